import Platform
import Service
import Testing

/// Who is woken when slots come back.
@Suite struct SlotLineTests {
  private func woken(_ line: inout SlotLine) -> [Int] {
    var seats: [Int] = []
    while let seat = line.nextToWake() { seats.append(seat) }
    return seats
  }

  private func lease(_ line: inout SlotLine) -> Bool { line.lease() }

  /// A line whose slots are all out.
  private func exhausted(_ count: Int) -> SlotLine {
    var line = SlotLine(count: count)
    for _ in 0..<count { #expect(lease(&line)) }
    return line
  }

  @Test func aBatchOfSlotsWakesOneOfThoseWhoCanWaitTheOneThatWaitedLongest() {
    var line = exhausted(20)
    #expect(!lease(&line))
    let seats = (0..<3).map { _ in line.wait(urgently: false) }
    line.giveBack(8)
    #expect(woken(&line) == [seats[0]])
    #expect(line.isCalled(seats[0]))
    #expect(!line.isCalled(seats[1]))
    line.leave(seats[0])
    for _ in 0..<8 { #expect(lease(&line)) }
    #expect(!lease(&line))
    line.giveBack(1)
    #expect(woken(&line) == [seats[1]])
  }

  @Test func whoIsInAHurryGoesFirstAndAtOnce() {
    var line = exhausted(20)
    let patient = line.wait(urgently: false)
    let hurried = (0..<2).map { _ in line.wait(urgently: true) }
    line.giveBack(3)
    #expect(woken(&line) == hurried + [patient])
  }

  @Test func allAreWokenWhenHalfOfTheSlotsAreFree() {
    var line = exhausted(8)
    let seats = (0..<3).map { _ in line.wait(urgently: false) }
    line.giveBack(2)
    #expect(woken(&line) == [seats[0]])
    line.giveBack(2)
    #expect(woken(&line) == [seats[1], seats[2]])
  }

  @Test func aSlotIsKeptForWhoWasWoken() {
    var line = exhausted(8)
    let seat = line.wait(urgently: false)
    line.giveBack(1)
    #expect(woken(&line) == [seat])
    #expect(!lease(&line), "the only one is kept")
    line.leave(seat)
    #expect(lease(&line))
  }

  @Test func whoGivesUpKeepsNobodyFromASlot() {
    var line = exhausted(8)
    let seat = line.wait(urgently: true)
    let other = line.wait(urgently: false)
    line.leave(seat)
    line.giveBack(1)
    #expect(woken(&line) == [other])
  }
}

@Suite(.timeLimit(.minutes(15)))
struct SlotPoolTests {
  @Test func leasesEverySlotOnceAndAgainWhenItIsBack() throws {
    let pool = SlotPool(count: 3, floatsPerSlot: 5)
    let slots = (0..<3).map { _ in pool.lease() }
    #expect(slots.map(\.floats.count) == [5, 5, 5])
    for (index, slot) in slots.enumerated() { slot.floats.update(repeating: Float(index)) }
    for (index, slot) in slots.enumerated() { #expect(Array(slot.floats) == Array(repeating: Float(index), count: 5)) }
    #expect(pool.lease(within: .nanoseconds(1)) == nil)
    pool.giveBack([slots[1]])
    let again = try #require(pool.lease(within: .seconds(60)))
    #expect(again.floats.baseAddress == slots[1].floats.baseAddress)
  }

  /// Decoders, requests and classifiers as in the service; a wake that is lost leaves somebody waiting for good.
  @Test func nobodyWaitsForGoodAmongManyThreads() {
    let pool = SlotPool(count: 6, floatsPerSlot: 1)
    let queue = BatchQueue<Int, SlotPool.Slot>(capacity: 6)
    let engines = (0..<2).map { _ in
      OwnedThread(name: "engine") {
        var batch: [SlotPool.Slot] = []
        while queue.take(into: &batch) {
          for slot in batch {
            #expect(slot.floats[0] == 1, "two have the same slot")
            slot.floats[0] = 0
          }
          pool.giveBack(batch)
          batch.removeAll()
        }
      }
    }
    let lane = BatchQueue<Int, SlotPool.Slot>.Lane(key: 0, limit: 3, lingerNanoseconds: 50_000)
    let producers = (0..<5).map { number in
      OwnedThread(name: "produce") {
        for round in 0..<2_000 {
          let slot = number < 3 ? pool.lease() : pool.lease(within: .seconds(120))
          guard let slot else {
            Issue.record("no slot for request \(round)")
            return
          }
          slot.floats[0] += 1
          #expect(queue.put(slot, in: lane))
        }
      }
    }
    for producer in producers { producer.join() }
    queue.close()
    for engine in engines { engine.join() }
    for _ in 0..<6 { #expect(pool.lease(within: .nanoseconds(1)) != nil) }
  }
}
