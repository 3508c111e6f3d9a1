internal import Imaging
internal import Platform
internal import Synchronization

/// The state of a watch: its tree, the files that wait, and what is ready to be admitted.
///
/// It belongs to the thread that works for the watch, and rests with it between one thread and the next.
///
/// Everything is done in small steps between two looks at the kernel's events, so that neither a large tree nor a full
/// queue makes it deaf for long. This part observes folders; `WatchTurn+Looking` finds, examines and hands on files.
struct WatchTurn {
  /// What the watch works with.
  struct Ground {
    let index: Int
    let settings: WatchSettings
    let ledger: Ledger
    let candidates: CandidateQueue
    let tally: Tally
    /// Nil if the user has no inotify instance left: then everything is polled.
    let inotify: Inotify?
    let heartbeat: Heartbeat
    /// Times of the wall clock at which an earlier run or pipeline may have missed events.
    let unheard: ClosedRange<Int64>?
    let tell: @Sendable (WatchCondition) -> Void
  }

  static let sweepNanoseconds: Int64 = 60_000_000_000
  static let pollNanoseconds: Int64 = 1_000_000_000
  static let rearmNanoseconds: Int64 = 1_000_000_000

  let ground: Ground
  var tree: WatchedTree
  var tracker: SettleTracker
  var backlog: Backlog
  var drops: DropBook
  /// All that happened before this time of the wall clock was heard.
  var heardUntil: Int64
  var walks: [FolderWalk] = []
  var ready: [(path: [UInt8], identity: FileIdentity, isListed: Bool)] = []
  /// How often each file could not be read for a reason that may pass.
  var readFailures: [[UInt8]: Int] = [:]
  /// Files that were passed over, so that the journal names each only once.
  var passedOver: Set<FileIdentity> = []
  /// Files cannot be looked at for want of descriptors or memory, and the journal said so.
  var isShort = false
  /// Nothing is taken; folders are observed all the same.
  var isPaused = false
  /// The queue was closed under us: nothing more can be handed on.
  var isRefused = false
  /// Moments of the monotonic clock at which the tree is swept or polled, and at which its root is looked at.
  private var nextSweep: Int64 = 0
  private var nextRootLook: Int64 = 0

  init(_ ground: Ground) {
    self.ground = ground
    tree = WatchedTree(settings: ground.settings)
    tracker = SettleTracker(
      settleNanoseconds: Int64(ground.settings.settleMilliseconds) * 1_000_000,
      extensionLimit: ground.settings.retryAttempts)
    backlog = Backlog(order: ground.settings.order)
    drops = DropBook(hearsWrites: ground.settings.after == .keep)
    drops.unheard = ground.unheard
    heardUntil = ground.unheard?.lowerBound ?? Clock.wallNanoseconds()
  }

  // MARK: Arming

  /// Puts the tree under observation, folders first, and schedules its listing; or notes that it is offline.
  mutating func arm() {
    nextRootLook = Clock.monotonicNanoseconds() + Self.rearmNanoseconds
    guard let status = ground.heartbeat.outside({ try? FileStatus.of(tree.root, followingLinks: true) }),
      status.kind == .directory
    else { return setCondition(.offline, "the folder is not there") }
    if let error = ground.heartbeat.outside({ Self.closure(of: tree.root) }) {
      return setCondition(.offline, "\(error)")
    }
    tree.rootStatus = status
    let mode = ground.settings.mode
    let eventsCome = mode != .poll && ground.inotify != nil && (mode == .events || MountKind.givesEvents(tree.root))
    if eventsCome { observe(tree.root) }
    setCondition(
      tree.isWatched(tree.root) ? .armed : .polled, eventsCome || mode == .poll ? "" : "its file system gives no events"
    )
    listAnew()
  }

  /// Why a folder cannot be listed or searched; nil if it can.
  private static func closure(of folder: Path) -> PlatformError? {
    do throws(PlatformError) {
      _ = try FileDescriptor.open(folder, flags: [.readOnly, .directory])
      _ = try FileStatus.of(folder.appending(Array(".".utf8)), followingLinks: false)
      return nil
    } catch {
      return error
    }
  }

  /// Forgets what was being listed and lists everything.
  mutating func listAnew() {
    guard tree.condition != .offline else { return }
    backlog.removeAll()
    walks = [FolderWalk(tree.root, recursive: ground.settings.recursive, reason: .unknownContents)]
    scheduleSweep()
  }

  private mutating func scheduleSweep() {
    let period = tree.condition == .polled ? Self.pollNanoseconds : Self.sweepNanoseconds
    nextSweep = Clock.monotonicNanoseconds() + period
  }

  /// Adds a watch for a folder and, where the tree is recursive, for every folder below.
  mutating func observe(_ directory: Path) {
    guard let inotify = ground.inotify else { return }
    var folders = [directory]
    // Only where answered files stay can one be met again.
    let events: InotifyEvent.Mask =
      ground.settings.after == .keep ? .arrivalsAndDepartures.union(.modify) : .arrivalsAndDepartures
    while let folder = folders.popLast() {
      ground.heartbeat.beat()
      do throws(PlatformError) {
        tree.enter(try inotify.add(folder, events: events), folder)
      } catch {
        if error.isNotFound { continue }
        if tree.unwatched.insert(folder).inserted {
          Journal.log(
            .warning, "no events for \(folder.displayed), it is listed every second instead: \(error)",
            id: .watchUnavailable, fields: [("LOOKOUT_WATCH", ground.settings.name)])
        }
      }
      guard ground.settings.recursive else { return }
      // Only now, so that what is made in between either is listed here or comes as an event.
      for entry in (try? Directory.listing(folder)) ?? Directory.Listing() where entry.kind == .directory {
        if !IgnoredNames.contains(entry.name) { folders.append(folder.appending(entry.name)) }
      }
    }
  }

  mutating func setCondition(_ condition: WatchCondition, _ detail: String) {
    guard tree.condition != condition else { return }
    tree.condition = condition
    ground.tell(condition)
    if condition == .offline {
      tracker.forgetAll()
      ready = []
      backlog.removeAll()
      walks = []
      for number in tree.leaveAll() { ground.inotify?.remove(number) }
    }
    Journal.log(
      condition == .offline ? .warning : .info,
      "watch \(ground.settings.name) is \(condition): \(tree.root.displayed)\(detail.isEmpty ? "" : ": \(detail)")",
      id: .watchCondition, fields: [("LOOKOUT_WATCH", ground.settings.name)])
  }

  /// A folder cannot be listed or searched now.
  mutating func noteClosed(_ folder: Path, _ error: PlatformError) {
    if folder == tree.root { return setCondition(.offline, "it cannot be listed: \(error)") }
    guard !error.isNotFound, tree.closed.insert(folder).inserted else { return }
    Journal.log(
      .warning, "\(folder.displayed) cannot be listed, tried again until it can: \(error)", id: .watchUnavailable,
      fields: [("LOOKOUT_WATCH", ground.settings.name)])
  }

  /// Lists folders that were closed and are so no longer.
  private mutating func tryClosed() {
    for folder in tree.closed {
      if let error = ground.heartbeat.outside({ Self.closure(of: folder) }), !error.isNotFound { continue }
      tree.closed.remove(folder)
      if tree.condition == .armed { observe(folder) }
      if !isPaused {
        walks.append(FolderWalk(folder, recursive: ground.settings.recursive, reason: .unknownContents))
      }
    }
  }

  // MARK: Events

  /// While paused nothing is remembered of files but that they were dropped: the end of the pause lists everything.
  mutating func setPaused(_ isPaused: Bool) {
    guard self.isPaused != isPaused else { return }
    self.isPaused = isPaused
    if isPaused {
      tracker.forgetAll()
      ready = []
      backlog.removeAll()
      walks = []
    } else {
      listAnew()
    }
  }

  mutating func handle(_ event: InotifyEvent) {
    if event.isOverflow {
      ground.tally.overflows.add()
      drops.unheard = heardUntil...max(heardUntil, Clock.wallNanoseconds())
      observe(tree.root)
      return listAnew()
    }
    guard let directory = tree.directories[event.watch] else { return }
    if event.mask.contains(.ignored) || event.mask.contains(.unmount) { return leave(directory, event.watch) }
    if event.mask.contains(.deleteSelf) || event.mask.contains(.moveSelf) {
      // Renamed within the tree it is known under its new path already, and still there.
      let isHere = (try? FileStatus.of(directory, followingLinks: false))?.kind == .directory
      if isHere, directory != tree.root { return }
      ground.inotify?.remove(event.watch)
      return leave(directory, event.watch)
    }
    guard !event.name.isEmpty, !IgnoredNames.contains(event.name) else { return }
    let path = directory.appending(event.name)
    if event.mask.contains(.isDirectory) {
      guard ground.settings.recursive, !event.mask.isDisjoint(with: [.create, .movedTo]) else { return }
      observe(path)
      if !isPaused { walks.append(FolderWalk(path, recursive: true, reason: .unknownContents)) }
    } else if event.mask.contains(.movedFrom) || event.mask.contains(.delete) {
      forget(path.bytes)
    } else if event.mask.contains(.modify) {
      drops.written(path.bytes)
    } else {
      if event.mask.contains(.create) { drops.written(path.bytes) }
      if event.mask.contains(.closeWrite) { drops.closed(path.bytes) }
      if event.mask.contains(.movedTo) { drops.drop(path.bytes) }
      heard(of: path.bytes, announced: !event.mask.isDisjoint(with: [.closeWrite, .movedTo]))
    }
  }

  /// All events up to a time of the wall clock are handled; what they told of is taken up, or stands in `drops`.
  mutating func noteHeard(until time: Int64) {
    if !isPaused, tree.condition != .offline, tracker.count == 0, ready.isEmpty, backlog.isEmpty, walks.isEmpty {
      drops.settle()
    }
    guard drops.isEmpty, ready.isEmpty, !walks.contains(where: { $0.reason == .unknownContents }) else { return }
    heardUntil = time
    drops.unheard = nil
  }

  /// A folder is watched no longer; without its root the tree is offline.
  private mutating func leave(_ directory: Path, _ number: Int32) {
    tree.leave(number)
    if directory == tree.root {
      setCondition(.offline, "the folder went away")
      nextRootLook = Clock.monotonicNanoseconds()
    }
  }

  mutating func heard(of path: [UInt8], announced: Bool, listed: Bool = false) {
    if !isPaused {
      tracker.heard(of: path, announced: announced, listed: listed, now: Clock.monotonicNanoseconds())
    }
  }

  /// An arrival ended without a result, and its file is to be an arrival of the same kind again.
  mutating func remember(_ arrival: Arrival) {
    if arrival.sighting == .dropped { drops.drop(arrival.path) }
  }

  /// A file is gone, or not to be taken.
  mutating func forget(_ path: [UInt8]) {
    tracker.forget(path)
    drops.left(path)
  }

  // MARK: Duties

  /// Tells how many files wait to be whole, and since when.
  func tellWaiting() {
    ground.tally.tellSettling(watch: ground.settings.name, count: tracker.count, oldest: tracker.oldest ?? 0)
  }

  /// The moment of the monotonic clock at which a duty is due even if no event comes; it may be over.
  var nextDuty: Int64 {
    if !isPaused, !walks.isEmpty || !backlog.isEmpty || !ready.isEmpty { return .min }
    return min(tracker.nextDue ?? .max, nextSweep, nextRootLook)
  }

  /// Looks whether the root is still the one that was armed, and begins the periodic listings.
  mutating func attend() {
    let now = Clock.monotonicNanoseconds()
    if now >= nextRootLook {
      nextRootLook = now + Self.rearmNanoseconds
      lookAtRoot()
    }
    guard now >= nextSweep, tree.condition != .offline else { return }
    scheduleSweep()
    guard !isPaused, walks.isEmpty else { return }
    walks = [
      FolderWalk(
        tree.root, recursive: ground.settings.recursive, reason: tree.condition == .polled ? .polled : .sweep)
    ]
  }

  private mutating func lookAtRoot() {
    if tree.condition == .offline { return arm() }
    let status = ground.heartbeat.outside { try? FileStatus.of(tree.root, followingLinks: true) }
    guard let status, status.kind == .directory else { return setCondition(.offline, "the folder went away") }
    if status.device != tree.rootStatus?.device || status.inode != tree.rootStatus?.inode {
      setCondition(.offline, "another folder is in its place")
      return arm()
    }
    tryClosed()
    if tree.condition == .armed, !isPaused {
      for folder in tree.unwatched where !tree.closed.contains(folder) {
        observe(folder)
        walks.append(FolderWalk(folder, recursive: false, reason: .polled))
      }
    }
  }
}
