internal import Glibc

/// The clocks: one that only moves forward, the one on the wall, and each thread's own.
package enum Clock {
  /// Nanoseconds since some moment before the start of the process (`CLOCK_MONOTONIC`).
  package static func monotonicNanoseconds() -> Int64 { read(CLOCK_MONOTONIC) }

  /// The moment of the monotonic clock so long from now; now if the duration is negative.
  package static func monotonicNanoseconds(after duration: Duration) -> Int64 {
    let (moment, overflow) = monotonicNanoseconds().addingReportingOverflow(max(0, duration.nanoseconds))
    return overflow ? .max : moment
  }

  /// Nanoseconds since 1970 in UTC (`CLOCK_REALTIME`).
  package static func wallNanoseconds() -> Int64 { read(CLOCK_REALTIME) }

  /// Nanoseconds that the calling thread has had a processor (`CLOCK_THREAD_CPUTIME_ID`).
  package static func threadNanoseconds() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

  /// Blocks the calling thread (`nanosleep`).
  package static func pause(milliseconds: Int) {
    var left = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    var rest = timespec()
    while nanosleep(&left, &rest) != 0 && errno == EINTR { left = rest }
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var now = timespec()
    clock_gettime(clock, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
  }
}

extension Duration {
  /// Whole nanoseconds; what is too long for the type is its largest value, or its least.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow || carry ? (seconds < 0 ? Int64.min : Int64.max) : sum
  }
}
