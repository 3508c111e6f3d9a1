/// A signal from any thread to the one that waits for it; rings before the wait are kept, several count as one.
package final class Bell: @unchecked Sendable {
  private let monitor = Monitor()
  private let rung = Monitor.Condition()
  private var hasRung = false

  package init() {}

  /// Wakes the waiting thread, now or at its next wait.
  ///
  /// Never blocks for long.
  package func ring() {
    monitor.locked { hasRung = true }
    rung.signal()
  }

  /// Waits for a ring, at most as long as said, on the monotonic clock.
  ///
  /// - Returns: whether the bell has rung.
  @discardableResult
  package func wait(for duration: Duration) -> Bool {
    let deadline = Clock.monotonicNanoseconds(after: duration)
    return monitor.locked {
      while !hasRung, monitor.wait(rung, until: deadline) {}
      defer { hasRung = false }
      return hasRung
    }
  }
}
