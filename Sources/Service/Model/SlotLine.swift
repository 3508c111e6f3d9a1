internal import Platform

/// How many slots of a pool are free, who waits for one, and who of them is woken next: a value without threads or lock.
///
/// Those in a hurry are woken as soon as there is a slot for them, the others one each time that slots come back: while
/// classifiers give whole batches back, one decoder fills them again, and the others stay asleep. When half of the slots
/// are free, the classifiers are about to run out of work, and all are woken. A slot is kept for whoever was woken.
///
/// After slots came back somebody asks `nextToWake` until it gives nobody, and wakes whom it gives.
package struct SlotLine: Sendable {
  private struct Waiter: Sendable {
    let seat: Int
    let isUrgent: Bool
  }

  private let count: Int
  package private(set) var free: Int
  private var seats = SeatNumbers()
  /// Those that wait and were not woken; who waits longest is first.
  private var waiters: [Waiter] = []
  /// Seats of those that were woken and have not come back yet.
  private var called: [Int] = []
  /// Slots came back, and nobody was woken for them yet.
  private var isNews = false

  /// All `count` slots are free.
  package init(count: Int) {
    self.count = count
    free = count
  }

  /// Takes a slot that is kept for nobody; false if there is none.
  package mutating func lease() -> Bool {
    guard free > called.count else { return false }
    free -= 1
    return true
  }

  /// So many slots are free again.
  package mutating func giveBack(_ number: Int) {
    free += number
    isNews = true
  }

  /// Seats somebody for whom there is no slot; gives the seat.
  package mutating func wait(urgently: Bool) -> Int {
    let seat = seats.take()
    waiters.append(Waiter(seat: seat, isUrgent: urgently))
    return seat
  }

  /// Whether who sits there was woken, so that a slot is kept for him.
  package func isCalled(_ seat: Int) -> Bool { called.contains(seat) }

  /// Somebody leaves his seat; if he was woken, the slot that was kept for him is free for all.
  package mutating func leave(_ seat: Int) {
    waiters.removeAll { $0.seat == seat }
    called.removeAll { $0 == seat }
    seats.giveBack(seat)
  }

  /// The seat of somebody who must be woken, and counts as woken from now on; nil if nobody must.
  package mutating func nextToWake() -> Int? {
    guard free > called.count, !waiters.isEmpty else { return nil }
    let index = waiters.firstIndex { $0.isUrgent }
    guard index != nil || isNews || free * 2 >= count else { return nil }
    if index == nil { isNews = false }
    let seat = waiters.remove(at: index ?? 0).seat
    called.append(seat)
    return seat
  }
}
