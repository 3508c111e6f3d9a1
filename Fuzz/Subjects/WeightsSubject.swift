internal import Engine
internal import Hashing
internal import Imaging

/// Weights files: table, texts, graph, tensors, and the plan that is made of them.
///
/// The digest is set right first, since no fuzzer guesses one; that a wrong one is refused is tested elsewhere.
package struct WeightsSubject: Subject {
  private let file = MemoryFile()
  private static let key = Array("\"digest\":\"".utf8)
  private static let digits = 64

  package init() {}

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    var copy = Array(bytes)
    Self.mendDigest(&copy)
    copy.withUnsafeBytes { file.fill($0) }
    do {
      let weights = try WeightsFile.open(path: file.path)
      _ = try Preprocessing(json: weights.preprocessingJSON)
      guard try weights.graph.takesMoments() else { return nil }
      let plan = try weights.network().plan(batchCapacity: 1)
      if let canary = weights.canary { _ = plan.discrepancy(to: canary) }
      return nil
    } catch {
      return "\(error)"
    }
  }

  private static func mendDigest(_ bytes: inout [UInt8]) {
    guard let start = bytes.indices.dropLast(key.count + digits).first(where: { bytes[$0...].starts(with: key) })
    else { return }
    let place = start + key.count..<start + key.count + digits
    bytes.replaceSubrange(place, with: repeatElement(UInt8(ascii: "0"), count: digits))
    let hash = SHA256()
    bytes.withUnsafeBytes { hash.update($0) }
    bytes.replaceSubrange(place, with: hash.hexDigest().utf8)
  }
}
