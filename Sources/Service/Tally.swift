package import Synchronization

/// What the service has done since it started; every stage adds, the supervisor and the journal read.
package final class Tally: Sendable {
  package let admitted = Atomic<Int>(0)
  package let answered = Atomic<Int>(0)
  package let failed = Atomic<Int>(0)
  package let quarantined = Atomic<Int>(0)
  package let disposed = Atomic<Int>(0)
  package let ignored = Atomic<Int>(0)
  package let batches = Atomic<Int>(0)
  package let overflows = Atomic<Int>(0)

  package init() {}

  /// One line for `systemctl status`.
  package func summary(waiting: Int) -> String {
    func read(_ counter: borrowing Atomic<Int>) -> Int { counter.load(ordering: .relaxed) }
    return "\(read(answered)) answered, \(read(failed)) failed, \(read(quarantined)) quarantined, "
      + "\(waiting) waiting"
  }
}

extension Atomic where Value == Int {
  /// Adds to the counter; no other memory is ordered by it.
  package borrowing func add(_ amount: Int = 1) { wrappingAdd(amount, ordering: .relaxed) }
}
