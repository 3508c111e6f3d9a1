import Platform
import Testing

/// Which batch leaves at which moment; the moments are made up.
@Suite struct BatchLanesTests {
  private typealias Lanes = BatchLanes<String, Int>

  private func take(_ lanes: inout Lanes, now: Int64) -> [Int] {
    var batch: [Int] = []
    return lanes.take(now: now, into: &batch) ? batch : []
  }

  @Test func aLaneIsRipeWhenItsOldestElementHasLingered() {
    var lanes = Lanes()
    #expect(lanes.nextDue == nil)
    let lane = Lanes.Lane(key: "a", limit: 9, lingerNanoseconds: 100)
    lanes.add(1, to: lane, now: 1000)
    lanes.add(2, to: lane, now: 1050)
    #expect(lanes.nextDue == 1100)
    #expect(take(&lanes, now: 1099) == [])
    #expect(take(&lanes, now: 1100) == [1, 2])
    #expect(lanes.count == 0 && lanes.nextDue == nil)
  }

  @Test func aWholeBatchIsRipeAtOnceAndTheRestWaitsFromItsOwnMoment() {
    var lanes = Lanes()
    let lane = Lanes.Lane(key: "a", limit: 2, lingerNanoseconds: 100)
    for number in 1...3 { lanes.add(number, to: lane, now: Int64(number) * 10) }
    #expect(take(&lanes, now: 30) == [1, 2])
    #expect(take(&lanes, now: 129) == [])
    #expect(take(&lanes, now: 130) == [3])
  }

  @Test func theLastWordOnALaneCounts() {
    var lanes = Lanes()
    lanes.add(1, to: Lanes.Lane(key: "a", limit: 8, lingerNanoseconds: 1_000_000), now: 0)
    #expect(take(&lanes, now: 10) == [])
    lanes.add(2, to: Lanes.Lane(key: "a", limit: 8, lingerNanoseconds: 0), now: 10)
    #expect(take(&lanes, now: 10) == [1, 2])
  }

  @Test func whatIsHeldIsNeverDueAndWhatIsClosedAlwaysRipe() {
    var lanes = Lanes()
    lanes.add(1, to: Lanes.Lane(key: "a", limit: 8, lingerNanoseconds: 50), now: 0)
    lanes.held = ["a"]
    #expect(lanes.nextDue == nil && take(&lanes, now: 1000) == [])
    lanes.held = []
    lanes.isClosed = true
    #expect(take(&lanes, now: 0) == [1])
  }

  @Test func capacityIsOfALane() {
    var lanes = Lanes()
    let narrow = Lanes.Lane(key: "a", limit: 8, lingerNanoseconds: 50, capacity: 1)
    #expect(!lanes.isFull(narrow))
    lanes.add(1, to: narrow, now: 0)
    #expect(lanes.isFull(narrow))
    #expect(!lanes.isFull(Lanes.Lane(key: "b", limit: 8, lingerNanoseconds: 50, capacity: 1)))
    #expect(lanes.removeAll() == [1])
    #expect(!lanes.isFull(narrow))
  }

  @Test func ofRipeLanesTheOneServedLongestAgoGoesFirst() {
    var lanes = Lanes()
    let keys = ["a", "b", "c"]
    for (number, key) in (keys + keys + keys).enumerated() {
      lanes.add(number, to: Lanes.Lane(key: key, limit: 1, lingerNanoseconds: 0), now: Int64(number))
    }
    for expected in [0, 1, 2, 3] { #expect(take(&lanes, now: 9) == [expected]) }
    lanes.add(9, to: Lanes.Lane(key: "d", limit: 1, lingerNanoseconds: 0), now: 9)
    for expected in [9, 4, 5, 6, 7, 8] { #expect(take(&lanes, now: 9) == [expected]) }
  }

  /// Ever new keys, as of models that are loaded anew.
  @Test func lanesOfKeysThatWentAwayServeOthers() {
    var lanes = Lanes()
    lanes.held = ["key 7"]
    for number in 0..<1_000 {
      lanes.add(number, to: Lanes.Lane(key: "key \(number)", limit: 2, lingerNanoseconds: 0), now: 0)
      #expect(take(&lanes, now: 0) == (number == 7 ? [] : [number]))
    }
    #expect(lanes.count(of: "key 7") == 1 && lanes.count(of: "key 8") == 0)
    lanes.held = []
    #expect(take(&lanes, now: 0) == [7])
  }
}
