import FoundationEssentials
import Service

/// A folder with one ledger, and ways to look at it as a restart after a crash would.
final class LedgerFixture {
  let folder: URL
  var path: String { folder.appendingPathComponent("ledger.db").path }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("ledger-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// Opens a copy of database and log as they are on disk now: what is left when the process dies at this instant.
  func afterCrash() throws -> Ledger {
    let copy = folder.appendingPathComponent("crash-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
    for name in ["ledger.db", "ledger.db-wal"] {
      let source = folder.appendingPathComponent(name)
      guard FileManager.default.fileExists(atPath: source.path) else { continue }
      try FileManager.default.copyItem(at: source, to: copy.appendingPathComponent(name))
    }
    return try Ledger(path: copy.appendingPathComponent("ledger.db").path)
  }
}

/// The n-th file of an inbox.
func identity(_ number: Int, ctime: Int64 = 100) -> FileIdentity {
  FileIdentity(
    device: .max - 1, inode: UInt64(number), ctimeNanoseconds: ctime, mtimeNanoseconds: 50, size: Int64(number) * 10)
}

/// Admits files of these numbers under ids `a<number>`.
@discardableResult
func admit(_ numbers: [Int], to ledger: Ledger, now: Int64 = 1) throws -> [Arrival] {
  try ledger.admit(numbers.map { arrival("a\($0)", $0) }, now: now)
}

/// An arrival of the n-th file of an inbox.
func arrival(_ id: String, _ number: Int, ctime: Int64 = 100, _ sighting: Arrival.Sighting = .found) -> Arrival {
  Arrival(
    id: id, watch: "inbox", path: Array("/in/\(number).jpg".utf8), identity: identity(number, ctime: ctime),
    sighting: sighting)
}

/// The result of file `a<number>`.
func outcome(
  _ number: Int, sinks: [String] = ["csv", "json"], disposition: Disposition = .keep, sha256: String = "",
  scores: [UInt8] = []
) -> Outcome {
  Outcome(
    arrivalID: "a\(number)", record: Array("record \(number)".utf8), sha256: sha256, sinks: sinks, scores: scores,
    modelDigest: "m1", disposition: disposition)
}

/// Ids that wait for a sink, in order.
func waiting(_ sink: String, in ledger: Ledger, after: Int64 = 0) throws -> [String] {
  try ledger.pending(sink: sink, after: after, limit: 1_000, byteLimit: .max).map(\.arrivalID)
}

/// Ids that are ready to be disposed of, in order.
func ready(in ledger: Ledger) throws -> [String] {
  try ledger.readyToDispose(limit: 1_000).map(\.arrival.id)
}
