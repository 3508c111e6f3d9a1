/// What lies in a `BatchQueue`, who waits at it, and who of them is woken next: a value without threads, clock or lock.
///
/// A consumer that finds nothing ripe waits, and so does a producer that finds its lane full. As many consumers are on
/// their way as batches are ripe, as far as there are any that wait. Of those that wait one keeps the time: it wakes by
/// itself when the next lane becomes ripe. So an element that fills no batch wakes nobody, however many come. A
/// producer is woken when its lane is half empty, so that it puts many at a time.
///
/// After each change somebody asks `nextToWake` until it gives nobody, and wakes whom it gives.
package struct BatchExchange<Key: Hashable & Sendable, Element: Sendable>: Sendable {
  package typealias Lane = BatchLanes<Key, Element>.Lane

  package private(set) var lanes = BatchLanes<Key, Element>()
  private let capacity: Int
  private var seats = SeatNumbers()
  /// Those that wait and were not woken; the last one came last.
  private var consumers: [WaitingConsumer] = []
  private var producers: [WaitingProducer] = []
  /// Seats of consumers that were woken and have not come back yet.
  private var called: [Int] = []

  /// `capacity`: the most elements in all lanes together; at least 1.
  package init(capacity: Int) {
    precondition(capacity > 0, "a queue holds at least one element")
    self.capacity = capacity
  }

  // MARK: Elements

  /// Adds an element that came at the moment `now`; false if the queue or the lane is full.
  package mutating func put(_ element: Element, in lane: Lane, now: Int64) -> Bool {
    guard lanes.count < capacity, !lanes.isFull(lane) else { return false }
    lanes.add(element, to: lane, now: now)
    return true
  }

  /// Appends the next batch to `batch`; false if no lane is ripe at the moment `now`.
  package mutating func take(now: Int64, into batch: inout [Element]) -> Bool { lanes.take(now: now, into: &batch) }

  /// Keeps consumers from these lanes.
  package mutating func hold(_ keys: Set<Key>) { lanes.held = keys }

  /// Everything is ripe, and nobody waits any more.
  package mutating func close() { lanes.isClosed = true }

  /// Takes everything out, held or not.
  package mutating func removeAll() -> [Element] { lanes.removeAll() }

  // MARK: Waiting

  /// Seats a consumer that found nothing ripe.
  ///
  /// - Returns: its seat, and the moment at which it must wake by itself, if it is to keep the time.
  package mutating func seatConsumer() -> (seat: Int, alarm: Int64?) {
    let due = lanes.nextDue
    let alarm = isTimeKept(of: due) ? nil : due
    let seat = seats.take()
    consumers.append(WaitingConsumer(seat: seat, alarm: alarm))
    return (seat, alarm)
  }

  /// A consumer woke, whatever woke it.
  package mutating func consumerReturned(from seat: Int) {
    consumers.removeAll { $0.seat == seat }
    called.removeAll { $0 == seat }
    seats.giveBack(seat)
  }

  /// Seats a producer that could not put an element into a lane.
  package mutating func seatProducer(for lane: Lane) -> Int {
    let seat = seats.take()
    producers.append(WaitingProducer(seat: seat, lane: lanes.reserve(lane), capacity: lane.capacity))
    return seat
  }

  /// A producer woke, whatever woke it.
  package mutating func producerReturned(from seat: Int) {
    if let index = producers.firstIndex(where: { $0.seat == seat }) { _ = callProducer(at: index) }
    seats.giveBack(seat)
  }

  /// The seat of somebody who must be woken at the moment `now`, and counts as woken from now on; nil if nobody must.
  package mutating func nextToWake(now: Int64) -> Int? {
    if let index = producers.firstIndex(where: hasRoom) { return callProducer(at: index) }
    guard !consumers.isEmpty, lanes.isClosed || isConsumerWanted(now: now) else { return nil }
    // Who keeps the time would wake soon anyway; else the one that worked last, whose caches are warm.
    let index = consumers.firstIndex { $0.alarm != nil } ?? consumers.count - 1
    let seat = consumers.remove(at: index).seat
    called.append(seat)
    return seat
  }

  /// A producer waits no longer.
  ///
  /// - Returns: its seat.
  private mutating func callProducer(at index: Int) -> Int {
    let producer = producers.remove(at: index)
    lanes.leave(producer.lane)
    return producer.seat
  }

  private func hasRoom(for producer: WaitingProducer) -> Bool {
    lanes.isClosed || lanes.count < capacity && lanes.count(at: producer.lane) <= producer.capacity / 2
  }

  private func isConsumerWanted(now: Int64) -> Bool {
    if called.count < lanes.ripeBatches(now: now, upTo: called.count + 1) { return true }
    // Whoever is on the way sees to the time when it comes.
    return called.isEmpty && !isTimeKept(of: lanes.nextDue)
  }

  private func isTimeKept(of due: Int64?) -> Bool {
    guard let due else { return true }
    return consumers.contains { $0.alarm.map { $0 <= due } ?? false }
  }
}

private struct WaitingConsumer: Sendable {
  let seat: Int
  /// The moment at which it wakes by itself.
  let alarm: Int64?
}

private struct WaitingProducer: Sendable {
  let seat: Int
  /// The number of its lane.
  let lane: Int
  /// Of its lane.
  let capacity: Int
}
