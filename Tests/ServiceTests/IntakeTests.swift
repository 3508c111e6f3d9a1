import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct SettleTrackerTests {
  private static let key = Array("/in/a.jpg".utf8)

  private static func tracker(settle: Int64 = 10_000_000, extensions: Int = 3) -> SettleTracker {
    SettleTracker(settleNanoseconds: settle, extensionLimit: extensions)
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

  @Test func forgetsAFileOrAll() {
    var tracker = SettleTracker(settleNanoseconds: 1, extensionLimit: 0)
    let keys = ["/in/a/1", "/in/a/2", "/in/b/1"].map { Array($0.utf8) }
    for (index, key) in keys.enumerated() { tracker.heard(of: key, announced: true, now: Int64(index)) }
    #expect(tracker.due(now: 10) == keys)
    #expect(tracker.oldest == 0)
    tracker.forget(keys[0])
    tracker.forget(keys[0])
    #expect(tracker.due(now: 10) == [keys[1], keys[2]])
    #expect(tracker.oldest == 1)
    tracker.forgetAll()
    #expect(tracker.count == 0 && tracker.oldest == nil)
  }

  private func next(_ tracker: inout SettleTracker, _ limit: Int, now: Int64) -> [[UInt8]] {
    tracker.next(limit, now: now)
  }

  @Test func filesAreGivenSomeAtATimeInTheOrderInWhichTheyWereDueAndNoneThatIsDueNoLonger() {
    var tracker = SettleTracker(settleNanoseconds: 1, extensionLimit: 0)
    let keys = (0..<7).map { Array("/in/\($0)".utf8) }
    for (index, key) in keys[..<5].enumerated() { tracker.heard(of: key, announced: true, now: Int64(index)) }
    let first = tracker.next(2, now: 10)
    #expect(first == [keys[0], keys[1]])
    for key in first { _ = tracker.looked(at: key, Self.look(complete: true), now: 10) }
    tracker.forget(keys[2])
    tracker.delay(keys[3], until: 20)
    for key in keys[5...] { tracker.heard(of: key, announced: true, now: 5) }
    #expect(next(&tracker, 9, now: 10) == [keys[4]])
    #expect(Set(next(&tracker, 9, now: 10)) == Set(keys[4...]), "what was given and not looked at is due still")
    #expect(next(&tracker, 1, now: 20) == [keys[4]])
    tracker.forgetAll()
    #expect(next(&tracker, 9, now: 30).isEmpty)
  }

  @Test func whatTheSweepFindsIsGivenAMomentForItsEvent() {
    var tracker = Self.tracker()
    tracker.swept(Self.key, resting: true, now: 0)
    #expect(tracker.origin(of: Self.key)?.isFromSweep == true)
    #expect(tracker.due(now: 0).isEmpty)
    #expect(tracker.nextDue == 200_000_000)
    tracker.heard(of: Self.key, announced: true, now: 5)
    #expect(tracker.origin(of: Self.key)?.isFromSweep == false)
    #expect(tracker.origin(of: Self.key)?.heardAt == 0)
    #expect(tracker.looked(at: Self.key, Self.look(complete: true), now: 5) == .take)
    tracker.heard(of: Self.key, announced: false, now: 6)
    tracker.swept(Self.key, resting: true, now: 7)
    #expect(tracker.origin(of: Self.key)?.isFromSweep == false)
  }

  @Test func aPostponedFileIsLookedAtWhenItIsDueAndHasToRest() {
    var tracker = Self.tracker()
    tracker.postpone(Self.key, until: 70_000_000, now: 0)
    #expect(tracker.due(now: 69_999_999).isEmpty)
    #expect(tracker.looked(at: Self.key, Self.look(complete: true), now: 70_000_000) == .wait)
    #expect(tracker.looked(at: Self.key, Self.look(complete: true), now: 80_000_000) == .take)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct BacklogTests {
  private static func file(_ name: String, _ arrived: Int64) -> Backlog.File {
    Backlog.File(
      path: Array(name.utf8), arrivedNanoseconds: arrived, touchedNanoseconds: arrived, isFromSweep: false,
      isListed: false)
  }

  private static func names(_ files: [Backlog.File]) -> [String] {
    files.map { String(decoding: $0.path, as: UTF8.self) }
  }

  @Test(arguments: [
    (WatchSettings.Order.oldestFirst, ["a", "c", "d", "b"]), (.newestFirst, ["b", "d", "c", "a"]),
    (.asFound, ["b", "a", "d", "c"]),
  ])
  func givesFilesInOrder(_ order: WatchSettings.Order, _ expected: [String]) {
    var backlog = Backlog(order: order)
    for file in [Self.file("b", 9), Self.file("a", 1), Self.file("d", 5), Self.file("c", 5)] { backlog.add(file) }
    #expect(Self.names(backlog.next(1) + backlog.next(2) + backlog.next(9)) == expected)
    #expect(backlog.isEmpty && !backlog.isCut)
    #expect(backlog.next(1).isEmpty)
  }

  @Test func whatComesLaterIsPutInItsPlace() {
    var oldest = Backlog(order: .oldestFirst)
    oldest.add(Self.file("b", 2))
    oldest.add(Self.file("d", 4))
    #expect(Self.names(oldest.next(1)) == ["b"])
    oldest.add(Self.file("a", 1))
    #expect(Self.names(oldest.next(9)) == ["a", "d"])
    var found = Backlog(order: .asFound)
    for (index, name) in ["x", "y", "z"].enumerated() { found.add(Self.file(name, Int64(9 - index))) }
    #expect(Self.names(found.next(1)) == ["x"])
    found.add(Self.file("w", 0))
    #expect(Self.names(found.next(9)) == ["y", "z", "w"])
  }

  @Test(arguments: [
    (WatchSettings.Order.oldestFirst, [0, 1, 2, 3]), (.newestFirst, [99, 98, 97, 96]), (.asFound, [0, 1, 2, 3]),
  ])
  func keepsTheFirstInItsOrderAndSaysThatItIsCut(_ order: WatchSettings.Order, _ expected: [Int]) {
    var backlog = Backlog(order: order, limit: 4)
    for number in 0..<100 { backlog.add(Self.file("\(number)", Int64(number))) }
    #expect(Self.names(backlog.next(100)) == expected.map { "\($0)" })
    #expect(backlog.isCut)
    backlog.removeAll()
    #expect(!backlog.isCut)
  }
}

@Suite(.timeLimit(.minutes(15)))
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

@Suite(.timeLimit(.minutes(15)))
struct StallDetectorTests {
  private static let second: Int64 = 1_000_000_000

  @Test func aStageIsStalledThatDoesNotMoveForLongerThanThePatience() {
    let stage = Heartbeat(name: "decode-0")
    var detector = StallDetector(patience: .seconds(10))
    stage.begin()
    #expect(detector.stalls([stage], now: 0).isEmpty)
    #expect(detector.stalls([stage], now: 10 * Self.second).isEmpty)
    let stalls = detector.stalls([stage], now: 11 * Self.second)
    #expect(stalls.map(\.stage) == ["decode-0"] && stalls.map(\.activity) == [.working])
    #expect(stalls.map(\.nanoseconds) == [11 * Self.second])
    stage.beat()
    #expect(detector.stalls([stage], now: 12 * Self.second).isEmpty)
    #expect(detector.stalls([stage], now: 22 * Self.second).isEmpty)
    stage.rest()
    #expect(detector.stalls([stage], now: 100 * Self.second).isEmpty)
    #expect(detector.stalls([stage], now: 200 * Self.second).isEmpty)
  }

  /// However often it is asked: a slow stage that moves now and then is none that stands still.
  @Test func aSlowStageIsNoStalledOne() {
    let stage = Heartbeat(name: "engine-0")
    var detector = StallDetector(patience: .seconds(10))
    for tick in Int64(0)..<400 {
      if tick % 40 == 0 { stage.begin() }
      #expect(detector.stalls([stage], now: tick * Self.second / 4).isEmpty)
    }
  }

  @Test func aStepThatIsKnownToTakeLongMayTakeSoMuchLonger() {
    let stage = Heartbeat(name: "engine-0")
    var detector = StallDetector(patience: .seconds(10))
    stage.begin()
    stage.allow(100 * Self.second)
    #expect(detector.stalls([stage], now: 0).isEmpty)
    #expect(detector.stalls([stage], now: 110 * Self.second).isEmpty)
    #expect(detector.stalls([stage], now: 111 * Self.second).map(\.stage) == ["engine-0"])
    stage.allow(0)
    stage.beat()
    #expect(detector.stalls([stage], now: 112 * Self.second).isEmpty)
    #expect(detector.stalls([stage], now: 123 * Self.second).count == 1)
  }

  @Test func anAbsenceIsCountedFromItsBeginAndEndsWithTheWork() {
    let stage = Heartbeat(name: "watch-inbox")
    #expect(stage.absence(now: .max) == 0)
    stage.leave()
    #expect(stage.absence(now: .max) > 0)
    stage.begin()
    #expect(stage.absence(now: .max) == 0)
  }

  @Test func waitingForAFileSystemIsToldApart() {
    let stage = Heartbeat(name: "watch-inbox")
    var detector = StallDetector(patience: .seconds(10))
    stage.outside {
      #expect(detector.stalls([stage], now: 0).isEmpty)
      #expect(detector.stalls([stage], now: 20 * Self.second).map(\.activity) == [.outside])
    }
    #expect(detector.stalls([stage], now: 21 * Self.second).isEmpty)
    #expect(stage.reading.activity == .working)
  }

  @Test func newWorkIsNoStall() {
    let stages = [Heartbeat(name: "a"), Heartbeat(name: "b")]
    var detector = StallDetector(patience: .seconds(1))
    for stage in stages { stage.begin() }
    #expect(detector.stalls(stages, now: 0).isEmpty)
    stages[0].rest()
    stages[0].begin()
    #expect(detector.stalls(stages, now: 2 * Self.second).map(\.stage) == ["b"])
    #expect(stages[0].reading.turns == 3)
  }
}

@Suite(.timeLimit(.minutes(15)))
struct ModelFilesTests {
  private func file(_ number: Int) -> FileIdentity {
    FileIdentity(device: 1, inode: UInt64(number), ctimeNanoseconds: 1, mtimeNanoseconds: 1, size: 1)
  }

  @Test func aReplacedFileIsLoadedOnceItRests() {
    var files = ModelFiles(settleNanoseconds: 10)
    files.settle("m", file(1), now: 0)
    #expect(files.looked(at: "m", file(1), now: 100) == .nothing)
    #expect(files.looked(at: "m", file(2), now: 200) == .nothing)
    #expect(files.looked(at: "m", file(3), now: 209) == .nothing)
    #expect(files.looked(at: "m", file(3), now: 218) == .nothing)
    #expect(files.looked(at: "m", file(3), now: 219) == .load)
    files.settle("m", file(3), now: 220)
    #expect(files.looked(at: "m", file(3), now: 500) == .nothing)
  }

  @Test func aRefusedFileIsTriedAgainOnlyWhenItChanged() {
    var files = ModelFiles(settleNanoseconds: 10)
    files.settle("m", file(1), now: 0)
    #expect(files.looked(at: "m", file(2), now: 1) == .nothing)
    #expect(files.looked(at: "m", file(2), now: 11) == .load)
    files.settle("m", file(2), now: 11)
    #expect(files.looked(at: "m", file(2), now: 1_000) == .nothing)
    #expect(files.looked(at: "m", file(4), now: 1_001) == .nothing)
    #expect(files.looked(at: "m", file(4), now: 1_011) == .load)
  }

  @Test func aVanishedFileIsToldOnceAndItsReturnIsLoaded() {
    var files = ModelFiles(settleNanoseconds: 10)
    files.settle("m", file(1), now: 0)
    #expect(files.looked(at: "m", nil, now: 1) == .gone)
    #expect(files.looked(at: "m", nil, now: 2) == .nothing)
    #expect(files.looked(at: "m", nil, now: 900) == .nothing)
    #expect(files.looked(at: "m", file(2), now: 901) == .nothing)
    #expect(files.looked(at: "m", file(2), now: 911) == .load)
    files.keep([])
    #expect(files.looked(at: "m", file(9), now: 912) == .nothing)
  }
}
