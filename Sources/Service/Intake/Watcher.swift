// The first stage. One a watch, owned by the supervisor, a guest of the porter: it works on the thread `watch-NAME`, so that
// a folder that floods or whose file system hangs holds up no other, and rests without one. It turns hints (inotify events)
// and listings into arrivals: it admits files to the ledger and puts them into its lane of the candidates queue. It never
// reads pictures and never touches a file it does not own; a full lane stops it, and then the inbox itself is the buffer.

internal import Imaging
internal import Platform
internal import Synchronization

/// Finds finished files in one watched folder and admits each to the ledger once.
final class Watcher: Guest {
  /// How a watch begins.
  private struct Opening {
    let resumed: [Arrival]
    let armed: @Sendable () -> Void
  }

  /// What the other stages may ask of the watch.
  private struct Requests {
    var opening: Opening?
    var mayStop = false
    var isPaused = false
    var changed: [Arrival] = []
    var unread: [Arrival] = []
  }

  let settings: WatchSettings
  private let index: Int
  private let ledger: Ledger
  private let candidates: CandidateQueue
  private let tally: Tally
  private let inotify: Inotify?
  private let wake: WakeSignal
  private let requests = Mutex(Requests())
  private let told = Mutex(WatchCondition.offline)
  private let unheard: ClosedRange<Int64>?
  private let heard: Atomic<Int64>
  /// The state of the watch, from its begin to its end, while no thread works with it.
  private let resting = Mutex<WatchTurn?>(nil)
  let heartbeat: Heartbeat

  /// A duty that is as near as this is waited for by the thread; it is longer than the rest of a file that has just come.
  private static let nearNanoseconds: Int64 = 20_000_000

  /// `index`: the position of the watch in the configuration.
  ///
  /// `unheard`: times of the wall clock, in nanoseconds since 1970, at which events may have been missed; a file that is
  /// found changed then counts as dropped.
  ///
  /// Without an inotify instance (limit of the user) the folder is polled, and the journal says so.
  ///
  /// - Throws: `PlatformError` if there is no event descriptor.
  init(
    index: Int, settings: WatchSettings, ledger: Ledger, candidates: CandidateQueue, tally: Tally,
    unheard: ClosedRange<Int64>?
  ) throws(PlatformError) {
    self.unheard = unheard
    heard = Atomic(unheard?.lowerBound ?? Clock.wallNanoseconds())
    self.index = index
    self.settings = settings
    self.ledger = ledger
    self.candidates = candidates
    self.tally = tally
    heartbeat = Heartbeat(name: "watch-\(settings.name)")
    wake = try WakeSignal()
    do throws(PlatformError) {
      inotify = try Inotify()
    } catch {
      inotify = nil
      Journal.log(
        .warning,
        "watch \(settings.name) is polled, as there is no inotify instance: \(error); "
          + "raise fs.inotify.max_user_instances", id: .watchUnavailable, fields: [("LOOKOUT_WATCH", settings.name)])
    }
  }

  var name: String { heartbeat.name }

  var descriptors: [Int32] { [wake.raw] + (inotify.map { [$0.raw] } ?? []) }

  /// Lets the watch begin when it works next; until `stop` it goes on.
  ///
  /// Once, before the porter runs.
  ///
  /// - Parameters:
  ///   - resumed: arrivals of an earlier run that have no result yet; they go first, if their files are unchanged.
  ///   - armed: called once, when every folder that is there is under observation and before anything is listed.
  func begin(resumed: [Arrival], armed: @escaping @Sendable () -> Void) {
    let turn = WatchTurn(
      WatchTurn.Ground(
        index: index, settings: settings, ledger: ledger, candidates: candidates, tally: tally, inotify: inotify,
        heartbeat: heartbeat, unheard: unheard, tell: { condition in self.told.withLock { $0 = condition } }))
    resting.withLock { $0 = turn }
    requests.withLock { $0.opening = Opening(resumed: resumed, armed: armed) }
  }

  /// Ends the watch soon; arrivals already admitted stay in the ledger.
  ///
  /// Any thread.
  func stop() {
    requests.withLock { $0.mayStop = true }
    wake.wake()
  }

  /// Takes no further file until it is called with false; then everything is listed anew.
  ///
  /// Any thread.
  func pause(_ isPaused: Bool) {
    requests.withLock { $0.isPaused = isPaused }
    wake.wake()
  }

  /// How the folder is observed.
  ///
  /// Any thread.
  var condition: WatchCondition { told.withLock { $0 } }

  /// A time of the wall clock, in nanoseconds since 1970; every file dropped before it was admitted.
  ///
  /// Any thread.
  var heardUntil: Int64 { heard.load(ordering: .relaxed) }

  /// Asks for another look at a file that changed while it was being read, once it rests.
  ///
  /// Any thread.
  func reexamine(_ arrival: Arrival) {
    requests.withLock { $0.changed.append(arrival) }
    wake.wake()
  }

  /// Asks for another look, later each time, at a file that could not be read for a reason that may pass.
  ///
  /// Any thread.
  func readAgainLater(_ arrival: Arrival) {
    requests.withLock { $0.unread.append(arrival) }
    wake.wake()
  }

  func work() -> Int64? {
    guard var turn = resting.withLock({ $0.take() }) else { return nil }
    heartbeat.begin()
    defer { heartbeat.rest() }
    // Files are admitted when all events are handled that happened before they were looked at.
    var isUpToDate = false
    if let opening = requests.withLock({ $0.opening.take() }) {
      turn.arm()
      opening.armed()
      turn.resume(opening.resumed)
    } else {
      isUpToDate = hear(&turn, for: .zero)
    }
    while true {
      // After every wake-up that was taken: one that comes later is left for the porter.
      let asked = requests.withLock { requests in
        defer { (requests.changed, requests.unread) = ([], []) }
        return requests
      }
      if asked.mayStop || turn.isRefused { return nil }
      turn.setPaused(asked.isPaused)
      if isUpToDate { turn.admitReady() }
      for arrival in asked.changed {
        turn.remember(arrival)
        turn.heard(of: arrival.path, announced: false, listed: arrival.sighting == .found)
      }
      for arrival in asked.unread { turn.readAgainLater(arrival) }
      turn.attend()
      turn.walk()
      turn.workOffBacklog()
      turn.lookAtWhatIsDue()
      if turn.isRefused { return nil }
      turn.tellWaiting()
      heard.store(turn.heardUntil, ordering: .relaxed)
      let (duty, now) = (turn.nextDuty, Clock.monotonicNanoseconds())
      if duty > now + Self.nearNanoseconds {
        resting.withLock { $0 = turn }
        return duty
      }
      isUpToDate = hear(&turn, for: .nanoseconds(max(now, duty) - now))
    }
  }

  /// Waits for events, requests or the end of time, and handles the events.
  ///
  /// - Returns: whether none is left that happened before.
  private func hear(_ turn: inout WatchTurn, for limit: Duration) -> Bool {
    heartbeat.rest()
    let now = Clock.wallNanoseconds()
    var events: [InotifyEvent] = []
    var areAll = true
    if let inotify {
      (events, areAll) = inotify.read(timeout: limit, wake: wake)
    } else {
      wake.wait(for: limit)
    }
    heartbeat.begin()
    for event in events { turn.handle(event) }
    if areAll { turn.noteHeard(until: now) }
    return areAll
  }
}

/// An admitted arrival on its way to a decoder.
struct Candidate: Sendable {
  let arrival: Arrival
  /// The position of its watch in the configuration.
  let watch: Int
  /// How often it could not be read before, for a reason that may pass.
  var readFailures = 0
  /// The moment of the monotonic clock at which it was handed on.
  var admittedAt = Clock.monotonicNanoseconds()

  /// Each watch has a lane of its own, of which the decoders take turn by turn.
  var lane: CandidateQueue.Lane { CandidateQueue.Lane(key: watch, limit: 1, lingerNanoseconds: 0, capacity: 64) }
}

/// Admitted arrivals by watch.
typealias CandidateQueue = BatchQueue<Int, Candidate>
