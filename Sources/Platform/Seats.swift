/// Numbers for threads that wait in one monitor, each at a seat of its own, so that a wake reaches the very one that is
/// meant: a value.
///
/// The least free number is given, so that there are never more than threads that wait at once.
package struct SeatNumbers {
  private var isTaken: [Bool] = []

  package init() {}

  package mutating func take() -> Int {
    let seat = isTaken.firstIndex(of: false) ?? isTaken.count
    if seat == isTaken.count { isTaken.append(true) } else { isTaken[seat] = true }
    return seat
  }

  package mutating func giveBack(_ seat: Int) { isTaken[seat] = false }
}

/// The conditions of the threads that wait in one monitor, by the number of their seat.
///
/// Used within the monitor; what `condition` gives may be signalled outside it. A signal that comes late finds another
/// thread in the seat, which looks around in vain and waits again.
package final class Seats: @unchecked Sendable {
  private let monitor: Monitor
  private var conditions: [Monitor.Condition] = []

  package init(in monitor: Monitor) { self.monitor = monitor }

  package func condition(of seat: Int) -> Monitor.Condition {
    while conditions.count <= seat { conditions.append(Monitor.Condition()) }
    return conditions[seat]
  }

  /// Waits at a seat until its condition is signalled, or until a moment of the monotonic clock; wakes without cause too.
  ///
  /// - Returns: false when the moment has come.
  @discardableResult
  package func wait(at seat: Int, until deadline: Int64?) -> Bool {
    let condition = condition(of: seat)
    if let deadline { return monitor.wait(condition, until: deadline) }
    monitor.wait(condition)
    return true
  }
}
