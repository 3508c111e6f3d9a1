internal import Glibc

/// The signals the daemon answers, taken one by one by the thread that waits for them.
package enum SignalSet {
  package enum Signal: Sendable {
    case terminate
    case interrupt
    case hangUp
    case user1
  }

  /// Blocks them for this thread and all later ones, and ignores SIGPIPE.
  ///
  /// First thing in main: the kernel gives a signal to any thread that does not block it.
  package static func block() {
    var set = wanted
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// The next signal, or nil when none came in time (`sigtimedwait`); one thread of the process waits.
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

  private static let numbers = [SIGTERM, SIGINT, SIGHUP, SIGUSR1]

  private static var wanted: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }
}
