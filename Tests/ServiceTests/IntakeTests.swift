import Service
import Testing

@Suite(.timeLimit(.minutes(1)))
struct SettleTrackerTests {
  private static let key = SettleTracker.Key(watch: 0, path: Array("/in/a.jpg".utf8))

  private static func tracker(settle: Int64 = 10_000_000, extensions: Int = 3) -> SettleTracker {
    SettleTracker(settleNanoseconds: [settle], extensionLimit: [extensions])
  }

  private static func look(size: Int64 = 100, complete: Bool) -> SettleTracker.Look {
    SettleTracker.Look(size: size, mtimeNanoseconds: 7, isComplete: complete)
  }

  /// Looks whenever the file is due and gives the moments, until it is taken or has been looked at often enough.
  private static func looks(at tracker: inout SettleTracker, complete: Bool) -> [Int64] {
    var moments: [Int64] = []
    while let now = tracker.nextDue, moments.count < 100 {
      moments.append(now)
      if tracker.looked(at: key, look(complete: complete), now: now) == .take { break }
    }
    return moments
  }

  @Test func aCompleteFileWhoseWriterIsDoneIsTakenAtOnce() {
    var tracker = Self.tracker()
    tracker.heard(of: Self.key, announced: true, now: 5)
    #expect(tracker.due(now: 5) == [Self.key])
    #expect(tracker.looked(at: Self.key, Self.look(complete: true), now: 5) == .take)
    #expect(tracker.count == 0)
    #expect(tracker.nextDue == nil)
  }

  @Test func aCompleteFileOfAnUnknownWriterRestsFirst() {
    var tracker = Self.tracker()
    tracker.heard(of: Self.key, announced: false, now: 0)
    #expect(tracker.due(now: 9_999_999).isEmpty)
    #expect(Self.looks(at: &tracker, complete: true) == [10_000_000, 20_000_000])
    #expect(tracker.count == 0)
  }

  @Test func anIncompleteFileWaitsTwiceAsLongEveryTimeAndIsTakenAtTheLimit() {
    var tracker = Self.tracker(extensions: 3)
    tracker.heard(of: Self.key, announced: true, now: 0)
    let millisecond: Int64 = 1_000_000
    #expect(
      Self.looks(at: &tracker, complete: false) == [0, 10, 30, 70, 150].map { $0 * millisecond })
  }

  @Test func withoutExtensionsAnIncompleteFileRestsOnce() {
    var tracker = Self.tracker(extensions: 0)
    tracker.heard(of: Self.key, announced: true, now: 0)
    #expect(Self.looks(at: &tracker, complete: false) == [0, 10_000_000])
  }

  @Test func growthRestartsTheRest() {
    var tracker = Self.tracker(extensions: 1)
    tracker.heard(of: Self.key, announced: false, now: 0)
    var size: Int64 = 1
    for _ in 0..<50 {
      guard let now = tracker.nextDue else { break }
      #expect(tracker.looked(at: Self.key, Self.look(size: size, complete: false), now: now) == .wait)
      size += 1
    }
    #expect(tracker.count == 1)
    let last = tracker.nextDue ?? 0
    #expect(tracker.looked(at: Self.key, Self.look(size: size, complete: true), now: last) == .wait)
    #expect(tracker.nextDue == last + 10_000_000)
    #expect(tracker.looked(at: Self.key, Self.look(size: size, complete: true), now: last + 10_000_000) == .take)
  }

  @Test func anAnnouncementMovesTheLookForward() {
    var tracker = Self.tracker()
    tracker.heard(of: Self.key, announced: false, now: 0)
    tracker.heard(of: Self.key, announced: true, now: 3)
    #expect(tracker.nextDue == 3)
    tracker.heard(of: Self.key, announced: false, now: 4)
    #expect(tracker.nextDue == 3)
    #expect(tracker.count == 1)
  }

  @Test func withoutSettlingItIsTakenAtTheFirstLook() {
    var tracker = Self.tracker(settle: 0, extensions: 0)
    tracker.heard(of: Self.key, announced: false, now: 9)
    #expect(tracker.nextDue == 9)
    #expect(tracker.looked(at: Self.key, Self.look(complete: true), now: 9) == .take)
  }

  @Test func withoutSettlingAnIncompleteFileNeverSpins() {
    var tracker = Self.tracker(settle: 0, extensions: 2)
    tracker.heard(of: Self.key, announced: false, now: 0)
    #expect(Self.looks(at: &tracker, complete: false) == [0, 1_000_000, 2_000_000])
  }

  @Test func forgetsAFileOrATree() {
    var tracker = SettleTracker(settleNanoseconds: [1, 1], extensionLimit: [0, 0])
    let keys = [(0, "/in/a/1"), (0, "/in/a/2"), (0, "/in/b/1"), (1, "/in/a/3")].map {
      SettleTracker.Key(watch: $0.0, path: Array($0.1.utf8))
    }
    for (index, key) in keys.enumerated() { tracker.heard(of: key, announced: true, now: Int64(index)) }
    #expect(tracker.due(now: 10) == keys)
    tracker.forget(watch: 0, below: Array("/in/a/".utf8))
    #expect(tracker.due(now: 10) == [keys[2], keys[3]])
    tracker.forget(keys[2])
    tracker.forget(keys[2])
    #expect(tracker.due(now: 10) == [keys[3]])
  }
}

@Suite(.timeLimit(.minutes(1)))
struct IgnoredNamesTests {
  @Test(arguments: [
    "", ".hidden", ".a.jpg.Xy12", "~lock", "a.jpg~", "a.jpg.part", "a.PART", "a.jpg.filepart", "a.crdownload",
    "a.download", "a.tmp", "a.TEMP", "a.swp", "a.lock", "a.jpg.reason.txt", "Thumbs.db", "desktop.ini", "@eaDir",
    "#recycle", "#snapshot", "__MACOSX",
  ])
  func passesOver(_ name: String) {
    #expect(IgnoredNames.contains(Array(name.utf8)))
  }

  @Test(arguments: ["a.jpg", "part", "tmp", "a.partly", "apart", "a~b.png", "a.txt", "reason.txt", "a.part.jpg", "é"])
  func takes(_ name: String) {
    #expect(!IgnoredNames.contains(Array(name.utf8)))
  }

  @Test func takesNamesThatAreNoUTF8() {
    #expect(!IgnoredNames.contains([0xFF, 0xFE]))
    #expect(IgnoredNames.contains([0xFF] + Array(".part".utf8)))
  }
}

@Suite(.timeLimit(.minutes(1)))
struct StallDetectorTests {
  @Test func aBusyStageThatDoesNotMoveIsStalled() {
    let stage = Heartbeat(name: "decode-0")
    var detector = StallDetector()
    stage.begin()
    #expect(detector.stalled([stage]).isEmpty)
    #expect(detector.stalled([stage]) == ["decode-0"])
    stage.beat()
    #expect(detector.stalled([stage]).isEmpty)
    #expect(detector.stalled([stage]) == ["decode-0"])
    stage.rest()
    #expect(detector.stalled([stage]).isEmpty)
    #expect(detector.stalled([stage]).isEmpty)
  }

  @Test func newWorkIsNoStall() {
    let stages = [Heartbeat(name: "a"), Heartbeat(name: "b")]
    var detector = StallDetector()
    for stage in stages { stage.begin() }
    #expect(detector.stalled(stages).isEmpty)
    stages[0].rest()
    stages[0].begin()
    #expect(detector.stalled(stages) == ["b"])
    #expect(stages[0].reading.turns == 3)
    #expect(stages[0].reading.isBusy)
  }
}

@Suite(.timeLimit(.minutes(1)))
struct SlotPoolTests {
  @Test func leasesEverySlotOnceAndAgainWhenItIsBack() throws {
    let pool = SlotPool(count: 3, floatsPerSlot: 5)
    let slots = try (0..<3).map { _ in try #require(pool.lease()) }
    #expect(slots.map(\.floats.count) == [5, 5, 5])
    for (index, slot) in slots.enumerated() { slot.floats.update(repeating: Float(index)) }
    for (index, slot) in slots.enumerated() { #expect(Array(slot.floats) == Array(repeating: Float(index), count: 5)) }
    pool.giveBack(slots[1])
    let again = try #require(pool.lease())
    #expect(again.floats.baseAddress == slots[1].floats.baseAddress)
  }
}
