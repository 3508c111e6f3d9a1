internal import Imaging
internal import Platform
internal import Synchronization

extension WatchTurn {
  /// Files that are looked at, or admitted in one transaction, between two looks at the kernel's events.
  private static let batch = 64
  /// Entries of a folder that are compared with the ledger between two looks at the kernel's events.
  private static let walkBatch = 512

  // MARK: Finding

  /// Goes on with the first listing that is under way.
  mutating func walk() {
    guard !isPaused, !walks.isEmpty else { return }
    var walk = walks.removeFirst()
    let step = ground.heartbeat.outside { walk.step(limit: Self.walkBatch) }
    if let (folder, error) = step.unreadable {
      noteClosed(folder, error)
      if tree.condition == .offline { return }
    }
    if tree.condition == .armed {
      for folder in step.folders where !tree.isWatched(folder) && !tree.unwatched.contains(folder) { observe(folder) }
    }
    for start in stride(from: 0, to: step.files.count, by: Self.batch) {
      remember(step.files[start..<min(start + Self.batch, step.files.count)], walk.reason)
      if isRefused { return }
    }
    if !walk.isDone { walks.insert(walk, at: 0) }
  }

  /// Puts into the backlog those files that the ledger does not know.
  private mutating func remember(
    _ files: ArraySlice<(path: Path, status: FileStatus)>, _ reason: FolderWalk.Reason
  ) {
    let name = ground.settings.name
    let known = retryingLedger { (ledger) throws(LedgerError) in
      try ledger.known(files.map(\.status.identity), watch: name, paths: files.map(\.path.bytes))
    }
    guard let known else { return }
    for (file, isKnown) in zip(files, known) where !isKnown {
      // While a folder is watched, a change that no event told of was none of the contents.
      let isListed = reason != .sweep || !tree.isWatched(file.path.parent)
      if reason == .unknownContents, tree.condition == .armed {
        drops.listed(file.path.bytes, changedNanoseconds: file.status.ctimeNanoseconds)
      }
      backlog.add(
        Backlog.File(
          path: file.path.bytes, arrivedNanoseconds: file.status.ctimeNanoseconds,
          touchedNanoseconds: max(file.status.mtimeNanoseconds, file.status.ctimeNanoseconds),
          isFromSweep: reason == .sweep, isListed: isListed))
    }
  }

  /// Takes the next files of the backlog under observation, once the listings that fill it are done.
  mutating func workOffBacklog() {
    let mustBeWhole = ground.settings.order != .asFound
    guard !isPaused, !backlog.isEmpty, walks.isEmpty || !mustBeWhole else { return }
    let now = Clock.monotonicNanoseconds()
    let wall = Clock.wallNanoseconds()
    for file in backlog.next(Self.batch) {
      // A time in the future says nothing about rest.
      let age = wall - file.touchedNanoseconds
      let isResting = age >= Int64(ground.settings.settleMilliseconds) * 1_000_000
      if file.isFromSweep {
        tracker.swept(file.path, resting: isResting, listed: file.isListed, now: now)
      } else {
        heard(of: file.path, announced: isResting, listed: file.isListed)
      }
    }
    if backlog.isEmpty, backlog.isCut { listAnew() }
  }

  // MARK: Looking

  /// Examines files whose time has come; those that are whole are ready to be admitted.
  mutating func lookAtWhatIsDue() {
    if isPaused { return }
    for path in tracker.next(Self.batch, now: Clock.monotonicNanoseconds()) {
      ground.heartbeat.beat()
      look(at: path)
      if isRefused { return }
    }
  }

  private mutating func look(at key: [UInt8]) {
    let path = Path(key)
    let origin = tracker.origin(of: key)
    switch ground.heartbeat.outside({ FileProbe.look(at: path) }) {
    case .gone:
      forget(key)
    case .notAFile:
      forget(key)
      if let status = try? FileStatus.of(path, followingLinks: false), status.kind != .directory {
        passOver(path, status.identity, because: "it is no regular file")
      }
    case .unreadable(let error) where error.isShortage:
      tracker.delay(key, until: Clock.monotonicNanoseconds() + Self.pollNanoseconds)
      noteShortage(error)
    case .unreadable(let error):
      guard let status = try? FileStatus.of(path, followingLinks: false) else {
        // Not the file is closed, but its folder.
        tracker.forget(key)
        return noteClosed(path.parent, error)
      }
      settle(key, status, isComplete: false, origin) { turn in
        turn.tree.admits(name: path.lastComponent) == true ? nil : "it cannot be read: \(error)"
      }
    case .file(let status, _, _) where Self.mayChangeUnseen(status):
      tracker.delay(key, until: Clock.monotonicNanoseconds() + Self.tickNanoseconds)
    case .file(let status, let format, let isComplete):
      isShort = false
      settle(key, status, isComplete: isComplete, origin) { turn in
        turn.tree.admits(name: path.lastComponent) ?? (format != nil)
          ? nil : "neither its name nor its content is a picture's"
      }
    }
  }

  /// A time stamp of a file moves on with the kernel's clock tick only; what was changed within this one could change again
  /// and look the same.
  private static let tickNanoseconds: Int64 = 12_000_000

  private static func mayChangeUnseen(_ status: FileStatus) -> Bool {
    abs(Clock.wallNanoseconds() - status.ctimeNanoseconds) < tickNanoseconds
  }

  /// Tells the tracker what was seen; a file whose waiting is over is made ready, or passed over for a reason.
  private mutating func settle(
    _ key: [UInt8], _ status: FileStatus, isComplete: Bool, _ origin: SettleTracker.Origin?,
    objection: (WatchTurn) -> String?
  ) {
    let now = Clock.monotonicNanoseconds()
    let look = SettleTracker.Look(size: status.size, mtimeNanoseconds: status.mtimeNanoseconds, isComplete: isComplete)
    guard tracker.looked(at: key, look, now: now) == .take else { return }
    if let reason = objection(self) {
      drops.left(key)
      return passOver(Path(key), status.identity, because: reason)
    }
    if let origin {
      ground.tally.settle.add(now - origin.heardAt)
      if origin.isFromSweep { ground.tally.foundOnlyByRescan.add() }
    }
    ready.append((key, status.identity, origin?.isListed ?? true))
  }

  private mutating func noteShortage(_ error: PlatformError) {
    guard !isShort else { return }
    isShort = true
    Journal.log(
      .warning, "files of \(ground.settings.name) cannot be looked at, tried again every second: \(error)",
      id: .watchUnavailable, fields: [("LOOKOUT_WATCH", ground.settings.name)])
  }

  private mutating func passOver(_ path: Path, _ identity: FileIdentity, because reason: String) {
    if passedOver.count > 10_000 { passedOver.removeAll() }
    guard passedOver.insert(identity).inserted else { return }
    ground.tally.ignored.add()
    Journal.log(
      .info, "\(path.displayed) is left where it is: \(reason)", id: .fileIgnored,
      fields: [("LOOKOUT_WATCH", ground.settings.name)])
  }

  // MARK: Handing on

  /// Takes up arrivals of an earlier run whose files are unchanged; the others are withdrawn, to be found anew.
  mutating func resume(_ arrivals: [Arrival]) {
    var withdrawn: [String] = []
    for arrival in arrivals {
      let status = ground.heartbeat.outside { try? FileStatus.of(Path(arrival.path), followingLinks: false) }
      if status?.identity == arrival.identity {
        hand(arrival)
      } else {
        withdrawn.append(arrival.id)
        remember(arrival)
      }
      if isRefused { break }
    }
    if !withdrawn.isEmpty {
      _ = retryingLedger { (ledger) throws(LedgerError) in
        try ledger.withdraw(withdrawn, as: .vanished, now: Clock.wallNanoseconds())
      }
    }
  }

  /// A decoder could not read a file for a reason that may pass: it is looked at again, later each time.
  mutating func readAgainLater(_ arrival: Arrival) {
    let path = arrival.path
    remember(arrival)
    if readFailures.count > 10_000 { readFailures.removeAll() }
    let failures = readFailures[path, default: 0] + 1
    readFailures[path] = failures
    let now = Clock.monotonicNanoseconds()
    tracker.postpone(path, until: now + min(60, 1 << Int64(min(failures, 6))) * 1_000_000_000, now: now)
  }

  /// Admits the files that are ready.
  ///
  /// Once all events are handled that happened before the files were looked at, so that a drop is known as one.
  mutating func admitReady() {
    guard !ready.isEmpty, !isPaused else { return }
    let batch = ready.map {
      (path: $0.path, identity: $0.identity, sighting: drops.take($0.path, isListed: $0.isListed))
    }
    ready = []
    let name = ground.settings.name
    let arrivals = retryingLedger { (ledger) throws(LedgerError) -> [Arrival] in
      let known = try ledger.known(batch.map(\.identity), watch: name, paths: batch.map(\.path))
      let fresh = zip(batch, known).filter { !$0.1 }.map { $0.0 }
      guard !fresh.isEmpty else { return [] }
      return try ledger.admit(
        fresh.map {
          Arrival(id: UUIDv7.make(), watch: name, path: $0.path, identity: $0.identity, sighting: $0.sighting)
        },
        now: Clock.wallNanoseconds())
    }
    guard let arrivals else { return }
    ground.tally.admitted.add(arrivals.count)
    for arrival in arrivals { hand(arrival) }
  }

  /// Puts a candidate into the queue, waiting while its lane is full.
  private mutating func hand(_ arrival: Arrival) {
    let candidate = Candidate(
      arrival: arrival, watch: ground.index, readFailures: readFailures[arrival.path] ?? 0)
    ground.heartbeat.rest()
    if !isRefused, !ground.candidates.put(candidate, in: candidate.lane) { isRefused = true }
    ground.heartbeat.begin()
  }

  /// Runs a ledger call until it succeeds; a full disk pauses intake and nothing else.
  private mutating func retryingLedger<T>(_ body: (Ledger) throws(LedgerError) -> T) -> T? {
    let (ledger, candidates) = (ground.ledger, ground.candidates)
    let result = ledger.patiently(ground.heartbeat, until: { candidates.isClosed }) { () throws(LedgerError) in
      try body(ledger)
    }
    if result == nil { isRefused = true }
    return result
  }
}
