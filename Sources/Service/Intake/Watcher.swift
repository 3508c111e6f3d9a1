// The first stage. Owned by the supervisor, run on the thread `watch`. It turns hints (inotify events) and listings into
// arrivals: it admits files to the ledger and puts them into the candidates queue. It never reads pictures and never
// touches a file it does not own; a full queue stops it, and then the inbox itself is the buffer.

internal import Imaging
internal import Platform
internal import Synchronization

/// Finds finished files in the watched folders and admits each to the ledger once.
final class Watcher: Sendable {
  /// What the other stages may ask of the watch thread.
  private struct Requests {
    var mayStop = false
    var isPaused = false
    var reexamine: [SettleTracker.Key] = []
  }

  private let watches: [WatchSettings]
  private let ledger: Ledger
  private let candidates: BoundedQueue<Candidate>
  private let tally: Tally
  private let inotify: Inotify
  private let wake: WakeSignal
  private let requests = Mutex(Requests())
  private let told: Mutex<[WatchCondition]>
  let heartbeat = Heartbeat(name: "watch")

  /// - Throws: `PlatformError` if the kernel gives no inotify instance (limit of the user) or no event descriptor.
  init(watches: [WatchSettings], ledger: Ledger, candidates: BoundedQueue<Candidate>, tally: Tally)
    throws(PlatformError)
  {
    self.watches = watches
    self.ledger = ledger
    self.candidates = candidates
    self.tally = tally
    told = Mutex(watches.map { _ in .offline })
    self.inotify = try Inotify()
    self.wake = try WakeSignal()
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

  /// How each watched folder is observed, in the order of the configuration.
  ///
  /// Any thread.
  var conditions: [WatchCondition] { told.withLock { $0 } }

  /// Asks for another look at a file that changed while it was being read.
  ///
  /// Any thread.
  func reexamine(watch: Int, path: [UInt8]) {
    requests.withLock { $0.reexamine.append(SettleTracker.Key(watch: watch, path: path)) }
    wake.wake()
  }

  /// Watches until `stop`; closes the candidates queue on return.
  ///
  /// - Parameters:
  ///   - resumed: arrivals of an earlier run that have no result yet; they go first, if their files are unchanged.
  ///   - armed: called once, when every folder that is there is under observation and before anything is listed.
  func run(resumed: [Arrival], armed: () -> Void) {
    var turn = WatchTurn(
      watches: watches, ledger: ledger, candidates: candidates, tally: tally, inotify: inotify, heartbeat: heartbeat,
      tell: { index, condition in self.told.withLock { $0[index] = condition } })
    turn.armAll()
    armed()
    turn.resume(resumed)
    while true {
      let asked = requests.withLock { requests in
        defer { requests.reexamine = [] }
        return (stop: requests.mayStop, isPaused: requests.isPaused, paths: requests.reexamine)
      }
      if asked.stop || turn.isRefused { break }
      turn.setPaused(asked.isPaused)
      for key in asked.paths { turn.heard(of: key, announced: true) }
      turn.listWhatIsDue()
      turn.lookAtWhatIsDue()
      if turn.isRefused { break }
      turn.tellWaiting()
      heartbeat.rest()
      let events = inotify.read(timeout: turn.timeUntilNextDuty, wake: wake)
      heartbeat.begin()
      for event in events { turn.handle(event) }
    }
    candidates.close()
    heartbeat.rest()
  }
}

/// An admitted arrival on its way to a decoder.
struct Candidate: Sendable {
  let arrival: Arrival
  /// The position of its watch in the configuration.
  let watch: Int
  /// The moment of the monotonic clock at which it was handed on.
  var admittedAt = Clock.monotonicNanoseconds()
}
