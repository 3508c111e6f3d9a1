internal import Service

/// What a crash or a bad disk leaves of the daemon's memory: database, log, index, flight recorder.
///
/// An input is these four files, each but the last behind its length in four bytes, little-endian.
package final class LedgerSubject: Subject {
  private let folder = MemoryFolder()
  private static let names = ["ledger.db", "ledger.db-wal", "ledger.db-shm", "flight-recorder"]

  package init() {}

  deinit { clear() }

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    clear()
    var rest = bytes[...]
    for name in Self.names.dropLast() {
      guard rest.count >= 4 else { break }
      let length = (0..<4).reduce(0) { $0 | Int(rest[rest.startIndex + $1]) << (8 * $1) }
      let part = rest.dropFirst(4).prefix(length)
      write(part, to: name)
      rest = rest[part.endIndex...]
    }
    write(rest, to: "flight-recorder")

    let report = FlightRecorder.report(path: "\(folder.path)/flight-recorder")
    precondition(report.culprits.allSatisfy(report.inHand.contains), "a culprit held nothing")
    do throws(LedgerError) {
      let ledger = try Ledger(path: "\(folder.path)/ledger.db")
      defer { ledger.close() }
      try Self.restart(ledger, report)
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// What a start, one image and an upkeep ask of a ledger.
  private static func restart(_ ledger: Ledger, _ report: FlightRecorder.Report) throws(LedgerError) {
    _ = try ledger.strike(report.culprits)
    let waiting = try ledger.unfinished()
    let identity = FileIdentity(device: 1, inode: 2, ctimeNanoseconds: 3, mtimeNanoseconds: 4, size: 5)
    _ = try ledger.known([identity], watch: "inbox", paths: [Array("/in/a".utf8)])
    let admitted = try ledger.admit(
      [Arrival(id: "fuzz", watch: "inbox", path: Array("/in/a".utf8), identity: identity)], now: 10)
    let outcomes = (waiting.prefix(4) + admitted).map {
      Outcome(
        arrivalID: $0.id, record: [1, 2, 3], sha256: "00", sinks: ["table", "archive"], scores: [4], modelDigest: "m",
        disposition: .keep)
    }
    _ = try ledger.commit(Array(outcomes), now: 11)
    _ = try ledger.answer(sha256: "00", modelDigest: "m")
    for sink in ["table", "archive"] {
      let state = try ledger.sinkState(sink)
      let entries = try ledger.pending(sink: sink, after: state.cursor, limit: 64, byteLimit: 1 << 20)
      if let last = entries.last {
        try ledger.advance(
          sink: sink, to: last.sequence, position: "p", rejected: entries.prefix(1).map { ($0.sequence, "why") })
      }
      _ = try ledger.redrive(sink: sink, now: 12)
    }
    let ready = try ledger.readyToDispose(limit: 64)
    try ledger.disposed(ready.map { (id: $0.arrival.id, state: .disposed, finalPath: nil) }, now: 12)
    _ = try ledger.prune(olderThan: 100) { _ in false }
    _ = try ledger.counts()
    for sought in [Ledger.Sought.id("fuzz"), .path(Array("/in/a".utf8)), .sha256("00")] {
      _ = try ledger.history(of: sought)
    }
    _ = try ledger.quarantine(limit: 64)
    try ledger.retireSinks(keeping: ["table"])
    _ = try ledger.dropSink("table")
  }

  private func clear() {
    for name in Self.names + ["ledger.db-journal"] { folder.remove(name) }
  }

  private func write(_ part: Slice<UnsafeRawBufferPointer>, to name: String) {
    if !part.isEmpty { folder.write(UnsafeRawBufferPointer(rebasing: part), to: name) }
  }
}
