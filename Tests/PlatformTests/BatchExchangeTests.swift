import Platform
import Testing

/// Who is woken when; moments and orders are made up, so that nothing depends on how fast a machine is.
@Suite struct BatchExchangeTests {
  private typealias Exchange = BatchExchange<Int, Int>

  private func lane(_ key: Int = 0, limit: Int, linger: Int64 = 0, capacity: Int = .max) -> Exchange.Lane {
    Exchange.Lane(key: key, limit: limit, lingerNanoseconds: linger, capacity: capacity)
  }

  private func put(_ exchange: inout Exchange, _ element: Int, in lane: Exchange.Lane, now: Int64) -> Bool {
    exchange.put(element, in: lane, now: now)
  }

  private func take(_ exchange: inout Exchange, now: Int64) -> [Int] {
    var batch: [Int] = []
    return exchange.take(now: now, into: &batch) ? batch : []
  }

  /// All that are woken at a moment, in order.
  private func woken(_ exchange: inout Exchange, now: Int64) -> [Int] {
    var seats: [Int] = []
    while let seat = exchange.nextToWake(now: now) { seats.append(seat) }
    return seats
  }

  @Test func aLoneElementThatNeedNotWaitWakesAConsumerAtOnce() {
    var exchange = Exchange(capacity: 9)
    let (seat, alarm) = exchange.seatConsumer()
    #expect(alarm == nil)
    #expect(woken(&exchange, now: 0).isEmpty)
    #expect(put(&exchange, 1, in: lane(limit: 8), now: 5))
    #expect(woken(&exchange, now: 5) == [seat])
  }

  @Test func aBatchThatFillsUpWakesOneToKeepTheTimeAndThenNobodyUntilItIsFull() {
    var exchange = Exchange(capacity: 9)
    let patient = lane(limit: 4, linger: 100)
    for _ in 0..<2 { _ = exchange.seatConsumer() }
    #expect(put(&exchange, 1, in: patient, now: 10))
    let first = woken(&exchange, now: 10)
    #expect(first.count == 1)
    exchange.consumerReturned(from: first[0])
    let (keeper, alarm) = exchange.seatConsumer()
    #expect(alarm == 110)
    for number in 2...3 {
      #expect(put(&exchange, number, in: patient, now: 20))
      #expect(woken(&exchange, now: 20).isEmpty)
    }
    #expect(put(&exchange, 4, in: patient, now: 30))
    #expect(woken(&exchange, now: 30) == [keeper], "the one who keeps the time; the other sleeps on")
  }

  @Test func whileConsumersAreBusyNobodyIsWoken() {
    var exchange = Exchange(capacity: 99)
    for number in 0..<50 {
      #expect(put(&exchange, number, in: lane(limit: 4, linger: 100), now: 0))
      #expect(woken(&exchange, now: 0).isEmpty)
    }
  }

  @Test func asManyAreOnTheirWayAsBatchesAreRipe() {
    var exchange = Exchange(capacity: 99)
    for _ in 0..<4 { _ = exchange.seatConsumer() }
    var seats: [Int] = []
    for number in 0..<6 {
      #expect(put(&exchange, number, in: lane(limit: 2, linger: 1_000), now: 0))
      seats += woken(&exchange, now: 0)
      // The one that was called for the time is still on its way when the batch is full.
      #expect(seats.count == max(1, (number + 1) / 2))
    }
    #expect(Set(seats).count == 3)
  }

  @Test func whoLeavesWithABatchHasTheTimeOfTheRestKept() {
    var exchange = Exchange(capacity: 99)
    let other = exchange.seatConsumer().seat
    for number in 0..<3 { #expect(put(&exchange, number, in: lane(limit: 2, linger: 100), now: 0)) }
    #expect(woken(&exchange, now: 0) == [other])
    // A third party takes the batch for which the other was called.
    #expect(take(&exchange, now: 0) == [0, 1])
    #expect(woken(&exchange, now: 0).isEmpty, "the other is on its way and will keep the time")
    exchange.consumerReturned(from: other)
    #expect(take(&exchange, now: 1) == [])
    #expect(exchange.seatConsumer().alarm == 100)
  }

  @Test func anEarlierMomentNeedsAnotherToKeepTheTime() {
    var exchange = Exchange(capacity: 99)
    #expect(put(&exchange, 1, in: lane(0, limit: 9, linger: 1_000), now: 0))
    let (keeper, alarm) = exchange.seatConsumer()
    #expect(alarm == 1_000)
    #expect(put(&exchange, 2, in: lane(1, limit: 9, linger: 2_000), now: 0))
    #expect(woken(&exchange, now: 0).isEmpty)
    #expect(put(&exchange, 3, in: lane(2, limit: 9, linger: 10), now: 0))
    #expect(woken(&exchange, now: 0) == [keeper])
    exchange.consumerReturned(from: keeper)
    #expect(exchange.seatConsumer().alarm == 10)
  }

  @Test func aProducerIsWokenWhenItsLaneIsHalfEmpty() {
    var exchange = Exchange(capacity: 99)
    let narrow = lane(limit: 1, capacity: 4)
    for number in 0..<4 { #expect(put(&exchange, number, in: narrow, now: 0)) }
    #expect(!put(&exchange, 4, in: narrow, now: 0))
    let seat = exchange.seatProducer(for: narrow)
    #expect(take(&exchange, now: 0) == [0])
    #expect(woken(&exchange, now: 0).isEmpty)
    #expect(put(&exchange, 9, in: lane(1, limit: 1, capacity: 4), now: 0), "another lane has room")
    #expect((0..<2).map { _ in take(&exchange, now: 0) } == [[9], [1]])
    #expect(woken(&exchange, now: 0) == [seat])
    exchange.producerReturned(from: seat)
  }

  @Test func aProducerIsWokenForItsLaneHoweverManyOthersComeAndGo() {
    var exchange = Exchange(capacity: 2)
    #expect(put(&exchange, 0, in: lane(limit: 9, linger: 1_000), now: 0))
    let narrow = lane(1, limit: 1, capacity: 1)
    #expect(put(&exchange, 1, in: narrow, now: 0) && !put(&exchange, 2, in: narrow, now: 0))
    let seat = exchange.seatProducer(for: narrow)
    #expect(take(&exchange, now: 0) == [1])
    for number in 2..<100 {
      #expect(put(&exchange, number, in: lane(number, limit: 1, capacity: 1), now: 0))
      if number < 99 { #expect(take(&exchange, now: 0) == [number]) }
    }
    #expect(woken(&exchange, now: 0).isEmpty, "the queue is full")
    #expect(take(&exchange, now: 0) == [99])
    #expect(woken(&exchange, now: 0) == [seat])
  }

  @Test func closingWakesEverybody() {
    var exchange = Exchange(capacity: 1)
    #expect(put(&exchange, 1, in: lane(limit: 9, linger: 100), now: 0))
    let consumers = (0..<2).map { _ in exchange.seatConsumer().seat }
    let seats = consumers + [exchange.seatProducer(for: lane(limit: 9))]
    exchange.close()
    #expect(Set(woken(&exchange, now: 0)) == Set(seats))
  }

  /// Whatever the order in which threads, wakes and time go on, nobody sleeps while there is something to do.
  @Test(arguments: [(1, 1), (1, 3), (3, 1), (3, 3)]) func noOrderLosesAWake(_ producers: Int, _ consumers: Int) {
    for seed in 0..<3_000 {
      var play = Play(producers: producers, consumers: consumers, seed: UInt64(seed))
      let fault = play.run()
      #expect(fault == nil, "\(producers) producers, \(consumers) consumers, order \(seed): \(fault ?? "")")
      if fault != nil { return }
    }
  }
}

/// Threads at one exchange, as `BatchQueue` lets them use it, in an order that is drawn.
///
/// What is done under the lock is one step, a signal another. A signal wakes who sits there when it comes; a thread may
/// wake without cause.
private struct Play {
  private enum Thread: Equatable {
    case ready
    /// It is about to signal a seat, and looks for the next one after that.
    case signalling(Int)
    case seated(Int, alarm: Int64?)
    /// It woke and wants the lock.
    case woken(Int)
    case ended
  }

  private var exchange = BatchExchange<Int, Int>(capacity: 6)
  private var threads: [Thread]
  private let producers: Int
  /// What each producer still puts.
  private var left: [Int]
  private var now: Int64 = 0
  private var taken = 0
  private let total: Int
  private var random: UInt64

  init(producers: Int, consumers: Int, seed: UInt64) {
    self.producers = producers
    threads = [Thread](repeating: .ready, count: producers + consumers)
    left = [Int](repeating: 5, count: producers)
    total = 5 * producers
    random = seed
  }

  /// What went wrong; nil if every element was taken, and nobody slept while there was something to do.
  mutating func run() -> String? {
    var closed = false
    for _ in 0..<10_000 {
      let movable = threads.indices.filter { isMovable(threads[$0]) }
      guard let thread = draw(movable) else {
        if let fault = faultAtRest() { return fault }
        if let alarm = alarms.min() {
          now = max(now, alarm)
          wake { [now] in $0.map { $0 <= now } ?? false }
        } else if threads[..<producers].allSatisfy({ $0 == .ended }), !closed {
          closed = true
          exchange.close()
          wakeAll()
        } else {
          return threads.allSatisfy { $0 == .ended } && taken == total ? nil : "\(taken) of \(total) were taken"
        }
        continue
      }
      switch next(16) {
      case 0: now += Int64(next(20))
      case 1: wake { _ in true }
      case 2: wake { [now] in $0.map { $0 <= now } ?? false }
      default: step(thread)
      }
    }
    return "it does not end"
  }

  private func isMovable(_ thread: Thread) -> Bool {
    switch thread {
    case .seated, .ended: false
    case .ready, .signalling, .woken: true
    }
  }

  private var alarms: [Int64] {
    threads.compactMap { if case .seated(_, let alarm?) = $0 { alarm } else { nil } }
  }

  /// All threads that could go on have done so: those that sleep must have a reason.
  private func faultAtRest() -> String? {
    let sleeping = threads[producers...].contains { if case .seated = $0 { true } else { false } }
    guard sleeping else { return nil }
    // One who keeps the time wakes for what is ripe by then.
    let due = alarms.min().map { max(now, $0) } ?? now
    if exchange.lanes.ripeBatches(now: now, upTo: 1) > 0, due > now { return "a batch is ripe and all consumers sleep" }
    if let next = exchange.lanes.nextDue, !alarms.contains(where: { $0 <= next }) { return "nobody keeps the time" }
    let isStuck = threads[..<producers].contains { if case .seated = $0 { true } else { false } }
    return isStuck && exchange.lanes.count == 0 ? "a producer sleeps before an empty queue" : nil
  }

  /// Wakes one of those that sleep and have such an alarm.
  private mutating func wake(_ matches: (Int64?) -> Bool) {
    let sleeping = threads.indices.filter {
      if case .seated(_, let alarm) = threads[$0] { matches(alarm) } else { false }
    }
    guard let thread = draw(sleeping), case .seated(let seat, _) = threads[thread] else { return }
    threads[thread] = .woken(seat)
  }

  private mutating func wakeAll() {
    while let seat = exchange.nextToWake(now: now) { signal(seat) }
  }

  private mutating func signal(_ seat: Int) {
    let sitting = threads.firstIndex { if case .seated(seat, _) = $0 { true } else { false } }
    if let sitting { threads[sitting] = .woken(seat) }
  }

  private mutating func step(_ thread: Int) {
    switch threads[thread] {
    case .seated, .ended: break
    case .signalling(let seat):
      signal(seat)
      wakeNext(thread)
    case .woken(let seat):
      if thread < producers { exchange.producerReturned(from: seat) } else { exchange.consumerReturned(from: seat) }
      act(thread)
    case .ready: act(thread)
    }
  }

  /// What a thread does under the lock until it leaves or waits.
  private mutating func act(_ thread: Int) {
    if thread < producers {
      guard left[thread] > 0 else { return threads[thread] = .ended }
      let key = next(2)
      let lane = BatchLanes<Int, Int>.Lane(
        key: key, limit: 1 + next(3), lingerNanoseconds: [0, 7, 40][next(3)], capacity: 3)
      guard exchange.put(0, in: lane, now: now) else {
        return threads[thread] = .seated(exchange.seatProducer(for: lane), alarm: nil)
      }
      left[thread] -= 1
      wakeNext(thread)
    } else {
      var batch: [Int] = []
      guard !exchange.take(now: now, into: &batch) else {
        taken += batch.count
        return wakeNext(thread)
      }
      if exchange.lanes.isClosed { return threads[thread] = .ended }
      let (seat, alarm) = exchange.seatConsumer()
      threads[thread] = .seated(seat, alarm: alarm)
    }
  }

  private mutating func wakeNext(_ thread: Int) {
    threads[thread] = exchange.nextToWake(now: now).map { .signalling($0) } ?? .ready
  }

  private mutating func draw(_ candidates: [Int]) -> Int? {
    candidates.isEmpty ? nil : candidates[next(candidates.count)]
  }

  /// SplitMix64, so that an order that fails can be drawn again.
  private mutating func next(_ bound: Int) -> Int {
    random &+= 0x9E37_79B9_7F4A_7C15
    var mixed = random
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
  }
}
