internal import Glibc

/// A mutex with conditions on the monotonic clock: what queues and bells lock and wait with.
///
/// The owner makes its conditions and guards its own state with `locked`.
package final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    let isReady = pthread_mutex_init(mutex, nil) == 0
    precondition(isReady, "no memory for a mutex")
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Something that threads wait for within one monitor.
  package final class Condition: @unchecked Sendable {
    fileprivate let raw = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
      raw.initialize(to: pthread_cond_t())
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      let isReady = pthread_cond_init(raw, &attributes) == 0
      precondition(isReady, "no memory for a condition")
      pthread_condattr_destroy(&attributes)
    }

    deinit {
      pthread_cond_destroy(raw)
      raw.deallocate()
    }

    /// Wakes one thread that waits (`pthread_cond_signal`).
    ///
    /// Outside the monitor too, where the woken thread finds it free.
    package func signal() { pthread_cond_signal(raw) }

    /// Wakes every thread that waits (`pthread_cond_broadcast`).
    package func broadcast() { pthread_cond_broadcast(raw) }
  }

  /// Runs `body` while no other thread is in here (`pthread_mutex_lock`).
  package func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Waits, within `locked`, for a condition; wakes without cause as well (`pthread_cond_wait`).
  package func wait(_ condition: Condition) { pthread_cond_wait(condition.raw, mutex) }

  /// Waits, within `locked`, for a condition until a moment of the monotonic clock (`pthread_cond_timedwait`).
  ///
  /// - Returns: false when the moment has come.
  package func wait(_ condition: Condition, until nanoseconds: Int64) -> Bool {
    let moment = max(0, nanoseconds)
    var deadline = timespec(tv_sec: Int(moment / 1_000_000_000), tv_nsec: Int(moment % 1_000_000_000))
    return pthread_cond_timedwait(condition.raw, mutex, &deadline) != ETIMEDOUT
  }
}
