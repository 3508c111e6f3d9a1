// The last stage, one thread `dispose`. It lets a source go once every sink of its watch has its result durably, or once
// its failure is recorded: keep, delete, move or quarantine. It never touches a file that is not the one answered, and
// every step can be done again after a crash. A file that cannot leave now is postponed and holds up no other.

internal import Hashing
internal import Platform
internal import Synchronization

/// Lets answered files leave their inbox.
final class Disposer: Sendable {
  private static let lastWorkNanoseconds: Int64 = 1_000_000_000

  private let ledger: Ledger
  private let tally: Tally
  private let isReachable: @Sendable (String) -> Bool
  private let bell = Bell()
  private let isEnding = Mutex(false)
  private let isAborted = Flag()
  let heartbeat = Heartbeat(name: "dispose")

  /// `isReachable`: whether the file system of a watch of that name answers, as far as is known.
  init(ledger: Ledger, tally: Tally, isReachable: @escaping @Sendable (String) -> Bool) {
    self.isReachable = isReachable
    self.ledger = ledger
    self.tally = tally
  }

  /// There may be files ready to leave.
  ///
  /// Any thread.
  func ring() { bell.ring() }

  /// Ends `run` soon: what has been waiting for longer than a moment's work stays for the next start.
  ///
  /// Any thread.
  func drain() {
    isEnding.withLock { $0 = true }
    bell.ring()
  }

  /// Ends `run` with the file in hand; the others stay for the next start.
  ///
  /// Any thread.
  func abort() {
    isAborted.set()
    drain()
  }

  /// Works until drained.
  func run() {
    while true {
      let isLast = isEnding.withLock { $0 }
      heartbeat.begin()
      // At the end what cannot leave is tried once, not again when its time comes, and a stop waits for no long queue.
      let now = Clock.monotonicNanoseconds()
      let (limit, end) = isLast ? (now, now + Self.lastWorkNanoseconds) : (.max, .max)
      while pass(dueBefore: limit), Clock.monotonicNanoseconds() < end, isLast || !isEnding.withLock({ $0 }) {
        heartbeat.beat()
      }
      heartbeat.rest()
      if isLast { return }
      bell.wait(for: timeUntilNext)
    }
  }

  private var timeUntilNext: Duration {
    guard let due = try? ledger.nextDisposal() else { return .seconds(30) }
    // At least a moment, so that a ledger that takes no writes is not asked without a pause.
    return .nanoseconds(min(30_000_000_000, max(100_000_000, due - Clock.monotonicNanoseconds())))
  }

  /// Lets go of some files; false when nothing more is to be done now.
  private func pass(dueBefore limit: Int64) -> Bool {
    let now = min(limit, Clock.monotonicNanoseconds())
    guard let ready = try? ledger.readyToDispose(limit: 256, at: now), !ready.isEmpty else { return false }
    var done: [(id: String, state: ArrivalState, finalPath: [UInt8]?)] = []
    var postponed: [(id: String, due: Int64)] = []
    for leaving in ready where !isAborted.isSet {
      heartbeat.beat()
      let disposition = leaving.rejectedBy.isEmpty ? leaving.disposition : leaving.disposition.staying
      if let end = heartbeat.outside({ dispose(leaving.arrival, disposition, sha256: leaving.sha256) }) {
        done.append(end)
      } else {
        postponed.append((leaving.arrival.id, now + Self.wait(after: leaving.arrival.attempts)))
      }
    }
    let isStored = ledger.patiently(heartbeat, until: { isEnding.withLock { $0 } }) { () throws(LedgerError) in
      try ledger.disposed(done, now: Clock.wallNanoseconds())
      try ledger.postpone(postponed)
      return true
    }
    return isStored == true && !isAborted.isSet
  }

  /// Nanoseconds until a file is tried again that failed so often before: one second, twice as long each time, at most a
  /// minute.
  static func wait(after attempts: Int) -> Int64 { min(60, 1 << Int64(min(attempts, 6))) * 1_000_000_000 }

  /// Whether the file that was answered is still at its path.
  ///
  /// A change of mode, owner or number of links changes the identity, but not the bytes, whose digest decides then.
  ///
  /// - Throws: `PlatformError` when that cannot be told now, for example because its file system is not mounted.
  private func isStillThere(_ arrival: Arrival, sha256: String) throws(PlatformError) -> Bool {
    let path = Path(arrival.path)
    do throws(PlatformError) {
      var identity = try FileStatus.of(path, followingLinks: false).identity
      if identity == arrival.identity { return true }
      identity.ctimeNanoseconds = arrival.identity.ctimeNanoseconds
      guard identity == arrival.identity, !sha256.isEmpty else { return false }
      var bytes: [UInt8] = []
      let file = try FileDescriptor.open(path, flags: [.readOnly, .noFollow, .nonBlocking])
      try file.readAll(into: &bytes, expecting: Int(identity.size))
      return bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) } == sha256
    } catch {
      guard error.isNotFound, path.isSurelyGone(fromDevice: arrival.identity.device) else { throw error }
      return false
    }
  }

  /// Where a file went that a crash cut off between its move and the ledger's knowledge of it.
  ///
  /// A rename keeps inode, size and mtime; under another name, or after a copy, it is not found, which loses no file.
  private static func moved(_ arrival: Arrival, into directory: Path) -> Path? {
    let target = directory.appending(Path(arrival.path).lastComponent)
    guard let status = try? FileStatus.of(target, followingLinks: false), arrival.isBehind(status) else { return nil }
    return target
  }

  /// Lets one file go; nil if it cannot leave now and is to be tried again later.
  private func dispose(
    _ arrival: Arrival, _ disposition: Disposition, sha256: String
  ) -> (id: String, state: ArrivalState, finalPath: [UInt8]?)? {
    let source = Path(arrival.path)
    let stays = disposition == .keep
    do throws(PlatformError) {
      guard stays || isReachable(arrival.watch) else {
        throw .system(call: "the file system does not answer", path: source.displayed, errno: 110)
      }
      let isOurs = stays ? false : try isStillThere(arrival, sha256: sha256)
      switch disposition {
      case .keep:
        tally.disposed.add()
        return (arrival.id, .disposed, nil)
      case .delete:
        try source.unlink(aside: Array(".lookout-\(arrival.id)".utf8), isThere: isOurs, if: arrival.isBehind)
        tally.disposed.add()
        return (arrival.id, .disposed, nil)
      case .move(let directory):
        if isOurs { try Directory.create(Path(directory), mode: 0o750) }
        let target =
          isOurs
          ? try moveFile(from: source, intoDirectory: Path(directory), if: arrival.isBehind)
          : Self.moved(arrival, into: Path(directory))
        tally.disposed.add()
        return (arrival.id, .disposed, target?.bytes)
      case .quarantine(let directory, let reason):
        let cell = QuarantineCell(arrival: arrival, reason: reason, directory: Path(directory))
        let target = isOurs ? try cell.take(source) : cell.find(source)
        tally.quarantined.add()
        Journal.log(
          .warning, "\(source.displayed) is quarantined: \(reason)", id: .quarantined,
          fields: [("LOOKOUT_ID", arrival.id), ("LOOKOUT_WATCH", arrival.watch)])
        return (arrival.id, .quarantined, target?.bytes)
      }
    } catch {
      if arrival.attempts == 0 {
        Journal.log(
          .error, "\(source.displayed) is answered but cannot leave its folder, tried again until it can: \(error)",
          id: .disposalFailed, fields: [("LOOKOUT_ID", arrival.id), ("LOOKOUT_WATCH", arrival.watch)])
      }
      return nil
    }
  }
}

extension Arrival {
  /// Whether a file is the one that arrived, under whatever name: a rename keeps inode, size and mtime.
  func isBehind(_ status: FileStatus) -> Bool {
    status.inode == identity.inode && status.size == identity.size
      && status.mtimeNanoseconds == identity.mtimeNanoseconds
  }
}

extension Disposition {
  /// What may be done with a file whose result a sink rejected: it stays, or goes to quarantine, but is not given away.
  fileprivate var staying: Disposition {
    if case .quarantine = self { return self }
    return .keep
  }
}
