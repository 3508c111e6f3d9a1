// The first stage. One a watch, owned by the supervisor, run on the thread `watch-NAME`: a folder that floods or whose
// file system hangs holds up no other. It turns hints (inotify events) and listings into arrivals: it admits files to the
// ledger and puts them into its lane of the candidates queue. It never reads pictures and never touches a file it does
// not own; a full lane stops it, and then the inbox itself is the buffer.

internal import Imaging
internal import Platform
internal import Synchronization

/// Finds finished files in one watched folder and admits each to the ledger once.
final class Watcher: Sendable {
  /// What the other stages may ask of the watch thread.
  private struct Requests {
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
  let heartbeat: Heartbeat

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

  /// Ends `run` soon; arrivals already admitted stay in the ledger.
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

  /// Watches until `stop`.
  ///
  /// - Parameters:
  ///   - resumed: arrivals of an earlier run that have no result yet; they go first, if their files are unchanged.
  ///   - armed: called once, when every folder that is there is under observation and before anything is listed.
  func run(resumed: [Arrival], armed: () -> Void) {
    heartbeat.begin()
    var turn = WatchTurn(
      WatchTurn.Ground(
        index: index, settings: settings, ledger: ledger, candidates: candidates, tally: tally, inotify: inotify,
        heartbeat: heartbeat, unheard: unheard, tell: { condition in self.told.withLock { $0 = condition } }))
    turn.arm()
    armed()
    turn.resume(resumed)
    // Files are admitted when all events are handled that happened before they were looked at.
    var isUpToDate = false
    while true {
      let asked = requests.withLock { requests in
        defer { (requests.changed, requests.unread) = ([], []) }
        return requests
      }
      if asked.mayStop || turn.isRefused { break }
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
      if turn.isRefused { break }
      turn.tellWaiting()
      let wait = turn.timeUntilNextDuty
      heartbeat.rest()
      heard.store(turn.heardUntil, ordering: .relaxed)
      let now = Clock.wallNanoseconds()
      var events: [InotifyEvent] = []
      if let inotify {
        (events, isUpToDate) = inotify.read(timeout: wait, wake: wake)
      } else {
        wake.wait(for: wait)
        isUpToDate = true
      }
      heartbeat.begin()
      for event in events { turn.handle(event) }
      if isUpToDate { turn.noteHeard(until: now) }
    }
    heartbeat.rest()
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
