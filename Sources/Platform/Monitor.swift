internal import Glibc

/// A mutex with conditions on the monotonic clock: what queues and bells lock and wait with.
///
/// The owner numbers its conditions from 0 and guards its own state with `locked`.
final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let conditions: UnsafeMutablePointer<pthread_cond_t>
  private let count: Int

  init(conditions count: Int) {
    self.count = count
    conditions = .allocate(capacity: count)
    mutex.initialize(to: pthread_mutex_t())
    conditions.initialize(repeating: pthread_cond_t(), count: count)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let isReady =
      pthread_mutex_init(mutex, nil) == 0
      && (0..<count).allSatisfy { pthread_cond_init(conditions + $0, &attributes) == 0 }
    precondition(isReady, "no memory for a mutex")
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    for number in 0..<count { pthread_cond_destroy(conditions + number) }
    pthread_mutex_destroy(mutex)
    conditions.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` while no other thread is in here (`pthread_mutex_lock`).
  func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Waits, within `locked`, for a condition; wakes without cause as well (`pthread_cond_wait`).
  func wait(_ condition: Int) { pthread_cond_wait(conditions + condition, mutex) }

  /// Waits, within `locked`, for a condition until a moment of the monotonic clock (`pthread_cond_timedwait`).
  ///
  /// - Returns: false when the moment has come.
  func wait(_ condition: Int, until nanoseconds: Int64) -> Bool {
    let moment = max(0, nanoseconds)
    var deadline = timespec(tv_sec: Int(moment / 1_000_000_000), tv_nsec: Int(moment % 1_000_000_000))
    return pthread_cond_timedwait(conditions + condition, mutex, &deadline) != ETIMEDOUT
  }

  /// Wakes one thread that waits for a condition (`pthread_cond_signal`).
  func signal(_ condition: Int) { pthread_cond_signal(conditions + condition) }

  /// Wakes every thread that waits for a condition (`pthread_cond_broadcast`).
  func broadcast(_ condition: Int) { pthread_cond_broadcast(conditions + condition) }
}
