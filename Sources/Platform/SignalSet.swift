internal import Glibc

/// The signals the daemon answers, taken one by one by the main thread.
package enum SignalSet {
  package enum Signal: Sendable {
    case terminate
    case interrupt
    case hangUp
    case user1
  }

  /// Blocks them for this thread and all later ones, and ignores SIGPIPE.
  ///
  /// First thing in main.
  package static func block() {
    var set = wanted
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// The next signal, or nil when none came in time (`sigtimedwait`).
  package static func wait(for duration: Duration) -> Signal? {
    var set = wanted
    let nanoseconds = duration.nanoseconds
    var limit = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    switch sigtimedwait(&set, nil, &limit) {
    case SIGTERM: return .terminate
    case SIGINT: return .interrupt
    case SIGHUP: return .hangUp
    case SIGUSR1: return .user1
    default: return nil
    }
  }

  private static var wanted: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in [SIGTERM, SIGINT, SIGHUP, SIGUSR1] { sigaddset(&set, number) }
    return set
  }
}
