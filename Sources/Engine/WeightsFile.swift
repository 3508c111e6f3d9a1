internal import Hashing

/// A `.swiftweights` file, mapped and proved sound: a network's graph, weights, labels and how to feed it.
///
/// The file is a safetensors file. Its `__metadata__` holds `digest`, `format`, `version`, `graph`, `labels`,
/// `preprocessing`, `canary` (or the text `null`), `provenance`, and for a quantized network `quantization`. The digest is the SHA-256 of the whole file with
/// the digest's own 64 digits as zeros, so that no byte can change unnoticed. Immutable: any thread may read it.
package final class WeightsFile: TensorSource, Sendable {
  static let format = "lookout.swiftweights"
  static let version = "1"

  package let path: String
  package let graph: Graph
  /// The classes' names in the order of the outputs; empty if nobody named them.
  package let labels: [String]
  /// How a picture becomes the input, as a JSON object that `Imaging` reads.
  package let preprocessingJSON: String
  package let canary: Canary?
  /// Where the weights come from and by which command, in free words.
  package let provenance: String
  /// 64 hexadecimal digits that name exactly this model.
  package let digest: String
  /// The scales with which the network computes in bytes; nil if it was not quantized.
  package let quantization: Quantization?
  package let table: TensorTable
  private let bytes: MappedBytes
  private let digestOffset: Int

  /// Maps a file and checks everything in it: lengths, offsets, shapes against the graph, digest.
  ///
  /// - Throws: `EngineError.file` if it cannot be read, `EngineError.damaged` with the byte at which it breaks a rule,
  ///   `EngineError.graph` or `.tensor` if it is whole but contradicts itself. Get the file again, or import it anew.
  package static func open(path: String) throws(EngineError) -> WeightsFile {
    let file = try WeightsFile(unproved: MappedBytes(path: path))
    try file.checkDigest()
    try file.checkContents()
    return file
  }

  /// Reads table and texts; `checkDigest` and `checkContents` have yet to find them sound.
  init(unproved bytes: MappedBytes) throws(EngineError) {
    self.bytes = bytes
    path = bytes.path
    do throws(JSON.Fault) {
      let table = try bytes.withBytes { file throws(JSON.Fault) in try TensorTable(file: file) }
      self.table = table
      let texts = try Texts(table.metadata)
      digest = texts.digest
      digestOffset = texts.digestOffset
      labels = texts.labels
      preprocessingJSON = texts.preprocessing
      canary = texts.canary
      provenance = texts.provenance
      graph = texts.graph
      quantization = texts.quantization
    } catch {
      throw .damaged(path: bytes.path, offset: error.offset, reason: error.reason)
    }
  }

  /// Reads every byte.
  ///
  /// - Throws: `EngineError.damaged` if they are not those that were written.
  func checkDigest() throws(EngineError) {
    guard WeightsFile.digest(of: bytes, blankingDigitsAt: digestOffset) == digest else {
      throw .damaged(path: path, offset: digestOffset, reason: "the digest does not fit: a byte was changed")
    }
  }

  /// - Throws: `EngineError.graph` or `.tensor` if graph, labels, canary and tensors do not fit each other.
  func checkContents() throws(EngineError) {
    try WeightsFile.check(labels: labels, canary: canary, graph: graph)
    for tensor in try graph.requiredTensors() {
      guard let extents = extents(ofTensor: tensor.name) else {
        throw .tensor(name: tensor.name, reason: "the graph needs it, \(path) lacks it")
      }
      guard extents == tensor.extents else {
        throw .tensor(
          name: tensor.name, reason: "has shape \(extents), the graph needs \(tensor.extents) (in \(path))")
      }
      try checkType(of: tensor.name)
    }
  }

  private func checkType(of name: String) throws(EngineError) {
    guard let entry = table[name] else { throw .tensor(name: name, reason: "is not in \(path)") }
    switch entry.type {
    case .f32, .f16, .bf16: return
    case .i64, .f64: throw .tensor(name: name, reason: "has type \(entry.type.rawValue), which no kernel takes")
    case .i8:
      guard let scale = table[name + "_scale"], scale.type == .f32, scale.extents == entry.extents.prefix(1).map(\.self)
      else { throw .tensor(name: name, reason: "is I8 and needs '\(name)_scale', an F32 for each row") }
      guard let factors = table[name + "_input_scale"] else { return }
      guard factors.type == .f32, factors.extents.count == 1, factors.extents[0] > 0,
        WeightColumns.fits(extents: entry.extents, channels: factors.extents[0])
      else {
        throw .tensor(
          name: name, reason: "is I8 and '\(name)_input_scale' must be an F32 for each channel of its input")
      }
    }
  }

  static func check(labels: [String], canary: Canary?, graph: Graph) throws(EngineError) {
    guard let classes = try graph.shapes()[graph.outputName]?.countPerImage else {
      throw .graph(node: graph.outputName, reason: "is the graph's output, but no node")
    }
    guard labels.isEmpty || labels.count == classes else {
      throw .graph(node: graph.outputName, reason: "\(classes) outputs, but \(labels.count) labels")
    }
    if let canary, let answer = canary.answers.first(where: { $0.index >= classes }) {
      throw .graph(node: graph.outputName, reason: "\(classes) outputs, but the canary names number \(answer.index)")
    }
  }

  package func extents(ofTensor name: String) -> [Int]? { table[name]?.extents }

  package func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let entry = table[name] else { throw .tensor(name: name, reason: "is not in \(path)") }
    var floats = bytes.withBytes { entry.type.widen(UnsafeRawBufferPointer(rebasing: $0[entry.range])) }
    bytes.release(entry.range)
    guard entry.type == .i8 else { return floats }
    try checkType(of: name)
    let scales = try self.floats(ofTensor: name + "_scale")
    let factors = table[name + "_input_scale"] == nil ? [1] : try self.floats(ofTensor: name + "_input_scale")
    let layout = WeightColumns(extents: entry.extents, channels: factors.count)
    let row = floats.count / max(1, scales.count)
    var spread = [Float](repeating: factors[0], count: row)
    for (index, scale) in scales.enumerated() {
      if factors.count > 1, index % layout.rowsPerGroup == 0 {
        spread = layout.spread(factors, row: index, length: row)
      }
      floats.withUnsafeMutableBufferPointer { floats in
        spread.withUnsafeBufferPointer { spread in
          let numbers = UnsafeMutableBufferPointer(rebasing: floats[(index * row)..<((index + 1) * row)])
          for place in numbers.indices { numbers[place] *= scale / spread[place] }
        }
      }
    }
    return floats
  }

  package func signedBytes(ofTensor name: String) -> [Int8]? {
    guard let entry = table[name], entry.type == .i8 else { return nil }
    defer { bytes.release(entry.range) }
    return bytes.withBytes { [Int8](UnsafeRawBufferPointer(rebasing: $0[entry.range]).bindMemory(to: Int8.self)) }
  }

  package var readsRows: Bool { true }

  package func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float] {
    guard let entry = table[name], entry.type != .i8, let count = entry.extents.first, count > 0 else {
      let (floats, count) = (try floats(ofTensor: name), max(1, table[name]?.extents.first ?? 1))
      return Array(floats[(floats.count / count * rows.lowerBound)..<(floats.count / count * rows.upperBound)])
    }
    let row = entry.range.count / count
    let part = (entry.range.lowerBound + rows.lowerBound * row)..<(entry.range.lowerBound + rows.upperBound * row)
    let floats = bytes.withBytes { entry.type.widen(UnsafeRawBufferPointer(rebasing: $0[part])) }
    bytes.release(part)
    return floats
  }

  package func withFloats(
    ofTensor name: String, rows: Range<Int>, _ body: (UnsafeBufferPointer<Float>) throws(EngineError) -> Void
  ) throws(EngineError) {
    guard let entry = table[name], entry.type == .f32, let count = entry.extents.first, count > 0,
      entry.range.lowerBound % MemoryLayout<Float>.alignment == 0
    else {
      let floats = try floats(ofTensor: name, rows: rows)
      return try floats.withUnsafeBufferPointer { floats throws(EngineError) in try body(floats) }
    }
    let row = entry.range.count / count
    let part = (entry.range.lowerBound + rows.lowerBound * row)..<(entry.range.lowerBound + rows.upperBound * row)
    try bytes.withBytes { bytes throws(EngineError) in
      try body(UnsafeRawBufferPointer(rebasing: bytes[part]).assumingMemoryBound(to: Float.self))
    }
    bytes.release(part)
  }

  /// SHA-256 of a file whose 64 bytes at `offset` count as zeros ('0').
  private static func digest(of bytes: MappedBytes, blankingDigitsAt offset: Int) -> String {
    let hash = SHA256()
    for range in [0..<offset, (offset + 64)..<bytes.count] {
      if range.lowerBound > 0 { [UInt8](repeating: UInt8(ascii: "0"), count: 64).withUnsafeBytes { hash.update($0) } }
      for first in stride(from: range.lowerBound, to: range.upperBound, by: 1 << 22) {
        let part = first..<min(range.upperBound, first + (1 << 22))
        bytes.withBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[part])) }
        bytes.release(part)
      }
    }
    return hash.hexDigest()
  }
}
