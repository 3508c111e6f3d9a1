internal import Imaging
internal import Platform
internal import Synchronization

/// The watch thread's own state: trees, waiting files and what is ready to be admitted.
struct WatchTurn {
  private static let admissionBatch = 64
  private static let sweepNanoseconds: Int64 = 60_000_000_000
  private static let pollNanoseconds: Int64 = 1_000_000_000
  private static let rearmNanoseconds: Int64 = 1_000_000_000

  private let ledger: Ledger
  private let candidates: BoundedQueue<Candidate>
  private let tally: Tally
  private let inotify: Inotify
  private let heartbeat: Heartbeat
  private var trees: [WatchedTree]
  private var tracker: SettleTracker
  private var ready: [(watch: Int, path: [UInt8], identity: FileIdentity)] = []
  /// Files that were passed over, so that the journal names each only once.
  private var passedOver: Set<FileIdentity> = []
  /// Nothing is taken; folders are observed all the same.
  private var isPaused = false
  private let tell: (Int, WatchCondition) -> Void
  /// The queue was closed under us: nothing more can be handed on.
  private(set) var isRefused = false

  init(
    watches: [WatchSettings], ledger: Ledger, candidates: BoundedQueue<Candidate>, tally: Tally, inotify: Inotify,
    heartbeat: Heartbeat, tell: @escaping (Int, WatchCondition) -> Void
  ) {
    self.tell = tell
    self.ledger = ledger
    self.candidates = candidates
    self.tally = tally
    self.inotify = inotify
    self.heartbeat = heartbeat
    trees = watches.enumerated().map { WatchedTree(index: $0.offset, settings: $0.element) }
    tracker = SettleTracker(
      settleNanoseconds: watches.map { Int64($0.settleMilliseconds) * 1_000_000 },
      extensionLimit: watches.map(\.retryAttempts))
  }

  // MARK: Watching

  mutating func armAll() {
    for index in trees.indices { arm(index) }
  }

  /// Puts a tree under observation, folders first, and schedules its listing.
  private mutating func arm(_ index: Int) {
    let tree = trees[index]
    let now = Clock.monotonicNanoseconds()
    guard let status = try? FileStatus.of(tree.root, followingLinks: true), status.kind == .directory else {
      setCondition(.offline, of: index, detail: "the folder is not there")
      trees[index].nextListing = now + Self.rearmNanoseconds
      return
    }
    let eventsCome = tree.settings.mode != .poll && (tree.settings.mode == .events || MountKind.givesEvents(tree.root))
    trees[index].nextListing = now
    guard eventsCome else {
      setCondition(.polled, of: index, detail: "listed every second")
      return
    }
    setCondition(observe(tree.root, in: index) ? .armed : .polled, of: index, detail: "")
  }

  /// Adds a watch for a folder and, where the tree is recursive, for every folder below; false when watches ran out.
  private mutating func observe(_ directory: Path, in index: Int) -> Bool {
    do throws(PlatformError) {
      let number = try inotify.add(directory, events: .arrivalsAndDepartures)
      trees[index].directories[number] = directory
    } catch {
      if error.isNotFound { return true }
      Journal.log(
        .warning, "no events for \(directory.displayed): \(error); this folder is polled instead", id: .watchUnavailable
      )
      return false
    }
    guard trees[index].settings.recursive else { return true }
    var isComplete = true
    for entry in (try? Directory.list(directory)) ?? [] where entry.kind == .directory {
      if IgnoredNames.contains(entry.name) { continue }
      if !observe(directory.appending(entry.name), in: index) { isComplete = false }
    }
    return isComplete
  }

  private mutating func setCondition(_ condition: WatchCondition, of index: Int, detail: String) {
    guard trees[index].condition != condition else { return }
    trees[index].condition = condition
    tell(index, condition)
    let tree = trees[index]
    if condition == .offline {
      tracker.forget(watch: index, below: tree.root.bytes)
      trees[index].directories = [:]
    }
    Journal.log(
      condition == .offline ? .warning : .info,
      "watch \(tree.settings.name) is \(condition): \(tree.root.displayed) \(detail)", id: .watchCondition)
  }

  /// While paused nothing is remembered of files, however many arrive: the end of the pause lists everything.
  mutating func setPaused(_ isPaused: Bool) {
    guard self.isPaused != isPaused else { return }
    self.isPaused = isPaused
    if isPaused {
      tracker.forgetAll()
    } else {
      for index in trees.indices { trees[index].nextListing = 0 }
    }
  }

  mutating func handle(_ event: InotifyEvent) {
    if event.isOverflow {
      tally.overflows.add()
      for index in trees.indices { trees[index].nextListing = 0 }
      return
    }
    guard let index = trees.firstIndex(where: { $0.directories[event.watch] != nil }),
      let directory = trees[index].directories[event.watch]
    else { return }
    if event.mask.contains(.ignored) || event.mask.contains(.deleteSelf) || event.mask.contains(.moveSelf)
      || event.mask.contains(.unmount)
    {
      leave(directory, number: event.watch, in: index, isStillWatched: !event.mask.contains(.ignored))
      return
    }
    guard !event.name.isEmpty, !IgnoredNames.contains(event.name) else { return }
    let path = directory.appending(event.name)
    if event.mask.contains(.isDirectory) {
      guard trees[index].settings.recursive, !event.mask.isDisjoint(with: [.create, .movedTo]) else { return }
      if !observe(path, in: index) { setCondition(.polled, of: index, detail: "watches ran out") }
      list(path, in: index)
      return
    }
    if event.mask.contains(.movedFrom) || event.mask.contains(.delete) {
      tracker.forget(SettleTracker.Key(watch: index, path: path.bytes))
      return
    }
    heard(
      of: SettleTracker.Key(watch: index, path: path.bytes),
      announced: !event.mask.isDisjoint(with: [.closeWrite, .movedTo]))
  }

  /// A folder went away or was renamed: its watch is given back, and what came of it is found by listing.
  private mutating func leave(_ directory: Path, number: Int32, in index: Int, isStillWatched: Bool) {
    trees[index].directories[number] = nil
    if isStillWatched { inotify.remove(number) }
    if directory.bytes == trees[index].root.bytes {
      setCondition(.offline, of: index, detail: "the folder went away")
    }
    trees[index].nextListing = 0
  }

  mutating func heard(of key: SettleTracker.Key, announced: Bool) {
    if isPaused { return }
    tracker.heard(of: key, announced: announced, now: Clock.monotonicNanoseconds())
  }

  /// Tells how many files wait to be whole, and since when.
  func tellWaiting() {
    tally.settling.store(tracker.count, ordering: .relaxed)
    tally.oldestSettling.store(tracker.oldest ?? 0, ordering: .relaxed)
  }

  /// How long the thread may wait for events before a duty of its own is due.
  var timeUntilNextDuty: Duration? {
    let next = ([tracker.nextDue].compactMap { $0 } + trees.map(\.nextListing)).min() ?? Int64.max
    return .nanoseconds(max(0, next - Clock.monotonicNanoseconds()))
  }

  // MARK: Looking

  mutating func listWhatIsDue() {
    for index in trees.indices where trees[index].nextListing <= Clock.monotonicNanoseconds() {
      if trees[index].condition == .offline { arm(index) }
      if trees[index].condition == .offline { continue }
      let period = trees[index].condition == .polled ? Self.pollNanoseconds : Self.sweepNanoseconds
      trees[index].nextListing = Clock.monotonicNanoseconds() + period
      guard (try? FileStatus.of(trees[index].root, followingLinks: true)) != nil else {
        setCondition(.offline, of: index, detail: "the folder went away")
        trees[index].nextListing = Clock.monotonicNanoseconds() + Self.rearmNanoseconds
        continue
      }
      list(trees[index].root, in: index)
    }
  }

  /// Compares a folder, and those below, with the ledger; what is new is looked at.
  private mutating func list(_ directory: Path, in index: Int) {
    if isPaused { return }
    var folders = [directory]
    while let folder = folders.popLast(), !isRefused {
      heartbeat.begin()
      var unheard: [(path: [UInt8], status: FileStatus)] = []
      for entry in (try? Directory.list(folder)) ?? [] where !IgnoredNames.contains(entry.name) {
        let path = folder.appending(entry.name)
        guard let status = try? FileStatus.of(path, followingLinks: false) else { continue }
        if status.kind == .directory {
          if trees[index].settings.recursive {
            folders.append(path)
            if trees[index].condition == .armed,
              !trees[index].directories.values.contains(where: { $0.bytes == path.bytes })
            {
              _ = observe(path, in: index)
            }
          }
        } else {
          unheard.append((path.bytes, status))
        }
      }
      examine(unheard, in: index)
    }
    admitReady()
  }

  private mutating func examine(_ files: [(path: [UInt8], status: FileStatus)], in index: Int) {
    let name = trees[index].settings.name
    for start in stride(from: 0, to: files.count, by: Self.admissionBatch) {
      let part = files[start..<min(start + Self.admissionBatch, files.count)]
      guard
        let known = retryingLedger({ (ledger) throws(LedgerError) in
          try ledger.known(part.map(\.status.identity), watch: name, paths: part.map(\.path))
        })
      else { return }
      for (file, isKnown) in zip(part, known) where !isKnown {
        let key = SettleTracker.Key(watch: index, path: file.path)
        let age = Clock.wallNanoseconds() - max(file.status.mtimeNanoseconds, file.status.ctimeNanoseconds)
        heard(of: key, announced: age >= Int64(trees[index].settings.settleMilliseconds) * 1_000_000)
      }
      lookAtWhatIsDue()
      if isRefused { return }
    }
  }

  mutating func lookAtWhatIsDue() {
    for key in tracker.due(now: Clock.monotonicNanoseconds()) {
      heartbeat.beat()
      look(at: key)
      if ready.count >= Self.admissionBatch { admitReady() }
      if isRefused { return }
    }
    admitReady()
  }

  private mutating func look(at key: SettleTracker.Key) {
    let path = Path(key.path)
    let name = path.lastComponent
    let heardAt = tracker.heardAt(key) ?? Clock.monotonicNanoseconds()
    switch FileProbe.look(at: path) {
    case .gone:
      tracker.forget(key)
    case .notAFile:
      tracker.forget(key)
      if let status = try? FileStatus.of(path, followingLinks: false), status.kind != .directory {
        passOver(path, status.identity, because: "it is no regular file")
      }
    case .unreadable(let error):
      let status = try? FileStatus.of(path, followingLinks: false)
      guard let status else { return tracker.forget(key) }
      let look = SettleTracker.Look(size: status.size, mtimeNanoseconds: status.mtimeNanoseconds, isComplete: false)
      guard tracker.looked(at: key, look, now: Clock.monotonicNanoseconds()) == .take else { return }
      if trees[key.watch].admits(name: name) == true {
        tally.settle.add(since: heardAt)
        ready.append((key.watch, key.path, status.identity))
      } else {
        passOver(path, status.identity, because: "it cannot be read: \(error)")
      }
    case .file(let status, let format, let isComplete):
      let look = SettleTracker.Look(
        size: status.size, mtimeNanoseconds: status.mtimeNanoseconds, isComplete: isComplete)
      guard tracker.looked(at: key, look, now: Clock.monotonicNanoseconds()) == .take else { return }
      if trees[key.watch].admits(name: name) ?? (format != nil) {
        tally.settle.add(since: heardAt)
        ready.append((key.watch, key.path, status.identity))
      } else {
        passOver(path, status.identity, because: "neither its name nor its content is a picture's")
      }
    }
  }

  private mutating func passOver(_ path: Path, _ identity: FileIdentity, because reason: String) {
    if passedOver.count > 10_000 { passedOver.removeAll() }
    guard passedOver.insert(identity).inserted else { return }
    tally.ignored.add()
    Journal.log(.info, "\(path.displayed) is left where it is: \(reason)", id: .fileIgnored)
  }

  // MARK: Handing on

  /// Takes up arrivals of an earlier run whose files are unchanged; the others are withdrawn, to be found anew.
  mutating func resume(_ arrivals: [Arrival]) {
    var withdrawn: [String] = []
    for arrival in arrivals {
      guard let index = trees.firstIndex(where: { $0.settings.name == arrival.watch }) else { continue }
      let status = try? FileStatus.of(Path(arrival.path), followingLinks: false)
      if status?.identity == arrival.identity {
        hand(Candidate(arrival: arrival, watch: index))
      } else {
        withdrawn.append(arrival.id)
      }
      if isRefused { break }
    }
    if !withdrawn.isEmpty {
      _ = retryingLedger { (ledger) throws(LedgerError) in try ledger.withdraw(withdrawn, as: .vanished) }
    }
  }

  private mutating func admitReady() {
    guard !ready.isEmpty else { return }
    let batch = ready
    ready = []
    for (index, part) in Dictionary(grouping: batch, by: \.watch) {
      let name = trees[index].settings.name
      let arrivals = retryingLedger { (ledger) throws(LedgerError) -> [Arrival] in
        let known = try ledger.known(part.map(\.identity), watch: name, paths: part.map(\.path))
        let fresh = zip(part, known).filter { !$0.1 }.map { $0.0 }
        guard !fresh.isEmpty else { return [] }
        return try ledger.admit(
          fresh.map { (id: UUIDv7.make(), watch: name, path: $0.path, identity: $0.identity) },
          now: Clock.wallNanoseconds())
      }
      guard let arrivals else { return }
      tally.admitted.add(arrivals.count)
      for arrival in arrivals { hand(Candidate(arrival: arrival, watch: index)) }
    }
  }

  /// Puts a candidate into the queue, waiting while it is full.
  private mutating func hand(_ candidate: Candidate) {
    heartbeat.rest()
    if !isRefused, !candidates.put(candidate) { isRefused = true }
    heartbeat.begin()
  }

  /// Runs a ledger call until it succeeds; a full disk pauses intake and nothing else.
  private mutating func retryingLedger<T>(_ body: (Ledger) throws(LedgerError) -> T) -> T? {
    let (ledger, candidates) = (ledger, candidates)
    let result = ledger.patiently(heartbeat, until: { candidates.isClosed }) { () throws(LedgerError) in
      try body(ledger)
    }
    if result == nil { isRefused = true }
    return result
  }
}
