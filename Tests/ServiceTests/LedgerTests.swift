import FoundationEssentials
import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct LedgerTests {
  let fixture: LedgerFixture
  let ledger: Ledger

  init() throws {
    fixture = try LedgerFixture()
    ledger = try Ledger(path: fixture.path)
  }

  @Test func admitsEachStateOfAFileOnce() throws {
    let first = try admit([1, 2], to: ledger)
    #expect(first.map(\.id) == ["a1", "a2"])
    #expect(first[0].identity == identity(1))
    let again = try ledger.admit([arrival("b1", 1), arrival("b3", 3)], now: 2)
    #expect(again.map(\.id) == ["b3"])
    #expect(try ledger.unfinished().map(\.id) == ["a1", "a2", "b3"])
  }

  @Test func answersARepeatedAdmissionWithTheSameIDs() throws {
    let first = try admit([1, 2], to: ledger)
    #expect(try admit([1, 2], to: ledger) == first)
    try ledger.commit([outcome(1)], now: 2)
    #expect(try admit([1, 2], to: ledger).map(\.id) == ["a2"])
  }

  @Test func knowsAFileByWatchPathAndWholeIdentity() throws {
    try admit([1], to: ledger)
    let path = Array("/in/1.jpg".utf8)
    var others = [identity(1)]
    others.append(identity(1, ctime: 101))
    var other = identity(1)
    other.mtimeNanoseconds += 1
    others.append(other)
    other = identity(1)
    other.size += 1
    others.append(other)
    let answers = try ledger.known(others, watch: "inbox", paths: others.map { _ in path })
    #expect(answers == [true, false, false, false])
    other = identity(1)
    other.device -= 1
    #expect(try ledger.known([other], watch: "inbox", paths: [path]) == [true], "disks are numbered anew at each start")
    #expect(try ledger.known([identity(1)], watch: "other", paths: [path]) == [false])
    #expect(try ledger.known([identity(1)], watch: "inbox", paths: [path + [0x32]]) == [false])
  }

  @Test func aChangeOfRightsOrTimesIsNoNewArrival() throws {
    try admit([1], to: ledger)
    try ledger.commit([outcome(1, sinks: [], sha256: "aa")], now: 2)
    try ledger.disposed([("a1", .disposed, nil)], now: 3)
    let changed = try ledger.admit([arrival("b1", 1, ctime: 200)], now: 4)
    #expect(try !ledger.recognise(changed[0], sha256: "bb", disposition: .keep), "other bytes are another file")
    #expect(try ledger.recognise(changed[0], sha256: "aa", disposition: .keep))
    #expect(try ledger.unfinished().isEmpty)
    let path = Array("/in/1.jpg".utf8)
    #expect(try ledger.known([identity(1, ctime: 200)], watch: "inbox", paths: [path]) == [true])
    #expect(try ready(in: ledger).isEmpty)
    // mtime and ctime alike: somebody wrote the same bytes again.
    let again = try ledger.admit([arrival("c1", 1, ctime: 50)], now: 5)
    #expect(try !ledger.recognise(again[0], sha256: "aa", disposition: .keep))
  }

  @Test func aDropIsANewArrivalAndATouchIsNoneHoweverTheirTimesStand() throws {
    try admit([1], to: ledger)
    try ledger.commit([outcome(1, sinks: [], sha256: "aa")], now: 2)
    let dropped = try ledger.admit([arrival("b1", 1, ctime: 200, .dropped)], now: 3)
    #expect(try fixture.afterCrash().unfinished().map(\.sighting) == [.dropped], "it outlives a crash")
    #expect(try !ledger.recognise(dropped[0], sha256: "aa", disposition: .keep))
    try ledger.withdraw(["b1"], as: .vanished)
    // mtime and ctime alike, and no event told of a write.
    let touched = try ledger.admit([arrival("c1", 1, ctime: 50, .changed)], now: 4)
    #expect(try ledger.recognise(touched[0], sha256: "aa", disposition: .keep))
  }

  @Test func aFileThatChangedBeforeItCouldLeaveLeavesAfterAll() throws {
    let move = Disposition.move(directory: Array("/done".utf8))
    try admit([1], to: ledger)
    try ledger.commit([outcome(1, sinks: ["csv"], disposition: move, sha256: "aa")], now: 2)
    let waiting = try ledger.admit([arrival("b1", 1, ctime: 200)], now: 4)
    #expect(try ledger.recognise(waiting[0], sha256: "aa", disposition: move))
    #expect(try ready(in: ledger).isEmpty, "its sink does not have it yet")
    try ledger.advance(sink: "csv", to: 1, position: "1", rejected: [])
    #expect(try ledger.readyToDispose(limit: 9).map(\.arrival.identity.ctimeNanoseconds) == [200])
    try ledger.disposed([("a1", .disposed, nil)], now: 5)
    let left = try ledger.admit([arrival("c1", 1, ctime: 300)], now: 6)
    #expect(try ledger.recognise(left[0], sha256: "aa", disposition: move))
    #expect(try ready(in: ledger) == ["a1"], "it is still in its folder")
  }

  @Test func aFileDroppedAgainUnderTheSameNameIsANewArrival() throws {
    try admit([1], to: ledger)
    try ledger.commit([outcome(1, sinks: [])], now: 2)
    try ledger.disposed([("a1", .disposed, nil)], now: 3)
    let again = try ledger.admit([arrival("b1", 1, ctime: 200)], now: 4)
    #expect(again.map(\.id) == ["b1"])
  }

  @Test func keepsPathsThatAreNoText() throws {
    let path: [UInt8] = [0x2F, 0xFF, 0x0A, 0x00, 0xC3]
    _ = try ledger.admit([Arrival(id: "x", watch: "inbox", path: path, identity: identity(1))], now: 1)
    #expect(try ledger.unfinished().map(\.path) == [path])
  }

  @Test func aVanishedFileIsNewAgainAndAnIgnoredOneIsNot() throws {
    try admit([1, 2], to: ledger)
    try ledger.withdraw(["a1"], as: .vanished)
    try ledger.withdraw(["a2"], as: .ignored)
    #expect(try ledger.unfinished().isEmpty)
    let paths = [1, 2].map { Array("/in/\($0).jpg".utf8) }
    #expect(try ledger.known([identity(1), identity(2)], watch: "inbox", paths: paths) == [false, true])
    let counts = try ledger.counts()
    #expect(counts.vanished == 1 && counts.ignored == 1 && counts.seen == 0)
  }

  @Test func aResultArrivingAfterWithdrawalOrTwiceChangesNothing() throws {
    try admit([1, 2], to: ledger)
    try ledger.withdraw(["a1"], as: .vanished)
    #expect(try ledger.commit([outcome(1), outcome(2), outcome(2), outcome(9)], now: 2) == 1)
    #expect(try ledger.commit([outcome(2)], now: 3) == 0)
    #expect(try waiting("csv", in: ledger) == ["a2"])
    try ledger.withdraw(["a2"], as: .vanished)
    #expect(try ledger.counts().awaitingSinks == 1)
  }

  @Test func countsStrikes() throws {
    try admit([1, 2], to: ledger)
    #expect(try ledger.strike(["a1", "nobody"]).map(\.strikes) == [1])
    #expect(try ledger.strike(["a1", "a2"]).map(\.strikes) == [2, 1])
    let arrivals = try fixture.afterCrash().unfinished()
    #expect(arrivals.map(\.strikes) == [2, 1])
  }

  @Test func aStruckFileGoesToQuarantineWithoutAResult() throws {
    try admit([1], to: ledger)
    try ledger.disposed([("a1", .quarantined, Array("/q/1.jpg".utf8))], now: 2)
    #expect(try ledger.unfinished().isEmpty)
    #expect(try ledger.commit([outcome(1)], now: 3) == 0)
    #expect(try ledger.counts().quarantined == 1)
  }

  @Test func disposesOnlyWhenEverySinkIsDone() throws {
    try admit([1, 2, 3], to: ledger)
    try ledger.commit([outcome(1), outcome(2, sinks: ["csv"]), outcome(3, sinks: [])], now: 2)
    #expect(try ready(in: ledger) == ["a3"])
    try ledger.advance(sink: "csv", to: 2, position: "20")
    #expect(try ready(in: ledger) == ["a2", "a3"])
    #expect(try waiting("json", in: ledger) == ["a1"])
    try ledger.advance(sink: "json", to: 1, position: "1")
    #expect(try ready(in: ledger) == ["a1", "a2", "a3"])
    #expect(try ledger.readyToDispose(limit: 1).map(\.arrival.id) == ["a1"])
    try ledger.disposed([("a1", .disposed, nil), ("a2", .vanished, nil), ("a3", .disposed, nil)], now: 3)
    try ledger.disposed([("a1", .quarantined, nil)], now: 4)
    let counts = try ledger.counts()
    #expect(counts.disposed == 2 && counts.vanished == 1 && counts.quarantined == 0 && counts.readyToDispose == 0)
  }

  @Test(arguments: [
    Disposition.keep, .delete, .move(directory: [0x2F, 0xFF]), .move(directory: []),
    .quarantine(directory: Array("/q".utf8), reason: "no image: späť"), .quarantine(directory: [], reason: ""),
  ])
  func remembersTheDisposition(_ disposition: Disposition) throws {
    try admit([1], to: ledger)
    try ledger.commit([outcome(1, sinks: [], disposition: disposition)], now: 2)
    let kept = try fixture.afterCrash().readyToDispose(limit: 10)
    #expect(kept.map(\.disposition) == [disposition])
    #expect(kept.first?.arrival.path == Array("/in/1.jpg".utf8))
  }

  @Test func answersForBytesAndModelAnsweredBefore() throws {
    try admit([1, 2, 3], to: ledger)
    let sum = String(repeating: "ab", count: 32)
    try ledger.commit([outcome(1, sha256: sum, scores: [1, 2]), outcome(2, sha256: sum, scores: [3])], now: 2)
    try ledger.commit([outcome(3, sha256: "cd")], now: 2)
    #expect(try ledger.answer(sha256: sum, modelDigest: "m1") == [1, 2])
    #expect(try ledger.answer(sha256: sum, modelDigest: "m2") == nil)
    #expect(try ledger.answer(sha256: "cd", modelDigest: "m1") == nil)
  }

  @Test func knowsAfterARestartWhatItAnsweredAndWhatNot() throws {
    try admit(Array(1...3000), to: ledger)
    func sum(_ number: Int) -> String { String(repeating: "0", count: 60) + String(number + 1000, radix: 16) }
    try ledger.commit((1...2500).map { outcome($0, sha256: sum($0), scores: [UInt8($0 % 256)]) }, now: 2)
    let restarted = try fixture.afterCrash()
    #expect(try restarted.answer(sha256: sum(7), modelDigest: "m1") == [7], "before it has looked")
    try restarted.rememberAnswers()
    #expect(try (1...2500).allSatisfy { try restarted.answer(sha256: sum($0), modelDigest: "m1") == [UInt8($0 % 256)] })
    #expect(try (2501...3000).allSatisfy { try restarted.answer(sha256: sum($0), modelDigest: "m1") == nil })
    #expect(try restarted.answer(sha256: sum(7), modelDigest: "m2") == nil)
    try restarted.commit([outcome(2600, sha256: sum(2600), scores: [9])], now: 3)
    #expect(try restarted.answer(sha256: sum(2600), modelDigest: "m1") == [9])
  }

  @Test func tellsWhichFilesItNeverSaw() throws {
    #expect(try admit([1, 2], to: ledger).map(\.isFirst) == [true, true])
    let touched = try ledger.admit([arrival("b1", 1, ctime: 200)], now: 2)
    #expect(touched.map(\.isFirst) == [false])
    var otherInode = arrival("c1", 1)
    otherInode.identity.inode = 7
    #expect(try ledger.admit([otherInode], now: 3).map(\.isFirst) == [true], "another inode")
    #expect(try ledger.unfinished().allSatisfy { !$0.isFirst }, "nobody looked")
  }

  @Test func forgetsOnlyFinishedFilesThatAreGone() throws {
    try admit(Array(1...5), to: ledger)
    let old = outcome(1, sinks: [], sha256: "aa", scores: [1])
    try ledger.commit([old, outcome(2, sinks: []), outcome(3, sinks: []), outcome(4)], now: 10)
    try ledger.disposed([("a1", .disposed, nil), ("a2", .disposed, nil)], now: 20)
    try ledger.disposed([("a3", .disposed, nil)], now: 90)
    var asked: [String] = []
    let isNeeded = { (history: ArrivalHistory) -> Bool in
      asked.append(String(decoding: history.arrival.path, as: UTF8.self))
      return history.arrival.identity.inode == 2
    }
    #expect(try ledger.prune(olderThan: 5, isNeeded: isNeeded) == 0)
    #expect(asked.isEmpty)
    let forgotten = try ledger.prune(olderThan: 50, isNeeded: isNeeded)
    #expect(forgotten == 1)
    #expect(asked == ["/in/1.jpg", "/in/2.jpg"])
    #expect(try ledger.answer(sha256: "aa", modelDigest: "m1") == nil)
    let paths = (1...5).map { Array("/in/\($0).jpg".utf8) }
    let known = try ledger.known((1...5).map { identity($0) }, watch: "inbox", paths: paths)
    #expect(known == [false, true, true, true, true])
    #expect(try ledger.counts().disposed == 3)
  }

  @Test func forgetsNothingThatASinkStillHasToGet() throws {
    try admit([1, 2], to: ledger)
    try ledger.commit([outcome(1, sinks: ["csv"]), outcome(2, sinks: ["csv"])], now: 10)
    try ledger.advance(sink: "csv", to: 2, position: "p", rejected: [(1, "too long")])
    try ledger.disposed([("a1", .disposed, nil), ("a2", .disposed, nil)], now: 20)
    #expect(try ledger.prune(olderThan: 50, isNeeded: { _ in false }) == 1)
    #expect(try ledger.history(of: .id("a1")).count == 1)
    #expect(try ledger.redrive(sink: "csv", now: 60) == 1)
    #expect(try ledger.prune(olderThan: 99, isNeeded: { _ in false }) == 0)
    try ledger.advance(sink: "csv", to: 3, position: "q")
    #expect(try ledger.prune(olderThan: 99, isNeeded: { _ in false }) == 1)
  }

  @Test func pruningRestsBetweenItsStepsAndEndsWhenTold() throws {
    for start in stride(from: 1, to: 4_000, by: 500) {
      let numbers = Array(start..<start + 500)
      try admit(numbers, to: ledger)
      try ledger.withdraw(numbers.map { "a\($0)" }, as: .ignored, now: 5)
    }
    var rests = 0
    let some = try ledger.prune(
      olderThan: 50, isNeeded: { _ in false },
      pause: {
        rests += 1
        return rests < 2
      })
    #expect(rests == 2 && some > 0 && some < 4_000)
    #expect(try some + ledger.prune(olderThan: 50, isNeeded: { _ in false }) == 4_000)
  }

  @Test func theLogStaysSmallHoweverMuchIsWritten() throws {
    for number in 1...3_000 { try admit([number], to: ledger) }
    let log = try FileManager.default.attributesOfItem(atPath: fixture.path + "-wal")[.size] as? Int ?? 0
    #expect(log > 0 && log < 17 << 20)
  }
}
