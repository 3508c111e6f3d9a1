import CSQLite
import FoundationEssentials
import Service
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct LedgerQuestionTests {
  let fixture: LedgerFixture
  let ledger: Ledger

  init() throws {
    fixture = try LedgerFixture()
    ledger = try Ledger(path: fixture.path)
  }

  @Test func tellsTheHistoryOfAnArrivalByIDPathAndDigest() throws {
    try admit([1, 2], to: ledger, now: 7)
    try ledger.commit([outcome(1, sha256: "d1")], now: 8)
    try ledger.advance(sink: "csv", to: 1, position: "p", rejected: [(1, "too long")])
    let byID = try #require(try ledger.history(of: .id("a1")).first)
    #expect(byID.state == .classified && byID.admittedNanoseconds == 7 && byID.finishedNanoseconds == nil)
    #expect(byID.waitingSinks == ["json"])
    #expect(byID.deadLetters.map(\.sink) == ["csv"] && byID.deadLetters.map(\.reason) == ["too long"])
    #expect(try ledger.history(of: .path(Array("/in/1.jpg".utf8))) == [byID])
    #expect(try ledger.history(of: .sha256("d1")) == [byID])
    #expect(try ledger.history(of: .id("nobody")).isEmpty)
    try ledger.advance(sink: "json", to: 1, position: "p")
    try ledger.disposed([("a1", .disposed, Array("/done/1.jpg".utf8))], now: 9)
    let moved = try ledger.history(of: .path(Array("/done/1.jpg".utf8)))
    #expect(moved.map(\.arrival.id) == ["a1"] && moved.first?.finishedNanoseconds == 9)
  }

  @Test func listsTheQuarantineLatestFirstAndForgetsWhatIsReleased() throws {
    try admit([1, 2, 3], to: ledger)
    let bad = Disposition.quarantine(directory: Array("/q".utf8), reason: "no picture")
    try ledger.commit((1...3).map { outcome($0, sinks: [], disposition: bad) }, now: 2)
    #expect(try ledger.quarantine(limit: 9).isEmpty)
    try ledger.disposed((1...3).map { ("a\($0)", .quarantined, Array("/q/\($0).jpg".utf8)) }, now: 3)
    let all = try ledger.quarantine(limit: 9)
    #expect(all.map(\.arrival.id) == ["a3", "a2", "a1"])
    #expect(all.allSatisfy { $0.reason == "no picture" })
    #expect(try ledger.quarantine(limit: 1, before: "a3").map(\.arrival.id) == ["a2"])
    try ledger.released("a2")
    #expect(try fixture.afterCrash().quarantine(limit: 9).map(\.arrival.id) == ["a3", "a1"])
  }

  @Test func tellsSinceWhenTheOldestWaits() throws {
    #expect(try ledger.counts().oldestUnfinishedNanoseconds == nil)
    try admit([1], to: ledger, now: 5)
    try admit([2], to: ledger, now: 6)
    #expect(try ledger.counts().oldestUnfinishedNanoseconds == 5)
    try ledger.commit([outcome(1, sinks: ["csv"])], now: 7)
    #expect(try ledger.counts().oldestUnfinishedNanoseconds == 5)
    try ledger.advance(sink: "csv", to: 1, position: "p")
    #expect(try ledger.counts().oldestUnfinishedNanoseconds == 6)
  }

  @Test func aPostponedFileStepsAsideForOthersUntilItIsDue() throws {
    try admit([1, 2, 3], to: ledger)
    try ledger.commit((1...3).map { outcome($0, sinks: []) }, now: 2)
    #expect(try ledger.readyToDispose(limit: 1, at: 100).map(\.arrival.id) == ["a1"])
    try ledger.postpone([("a1", 150), ("a2", 120)])
    #expect(try ledger.readyToDispose(limit: 9, at: 100).map(\.arrival.id) == ["a3"])
    #expect(try ledger.nextDisposal() == 0)
    try ledger.disposed([("a3", .disposed, nil)], now: 3)
    #expect(try ledger.nextDisposal() == 120)
    let due = try ledger.readyToDispose(limit: 9, at: 150)
    #expect(due.map(\.arrival.id) == ["a2", "a1"] && due.allSatisfy { $0.arrival.attempts == 1 })
    let later = try fixture.afterCrash()
    try later.forgetPostponements()
    #expect(try later.readyToDispose(limit: 9, at: 0).map(\.arrival.attempts) == [0, 0])
  }

  /// Questions are answered while a writer holds the ledger, from the last whole transaction.
  @Test func questionsWaitForNoWriter() throws {
    try admit([1], to: ledger)
    var writer: OpaquePointer?
    #expect(sqlite3_open(fixture.path, &writer) == SQLITE_OK)
    defer { sqlite3_close(writer) }
    #expect(sqlite3_exec(writer, "BEGIN IMMEDIATE; DELETE FROM arrivals", nil, nil, nil) == SQLITE_OK)
    #expect(try ledger.counts().seen == 1)
    #expect(try ledger.history(of: .id("a1")).count == 1)
    #expect(sqlite3_exec(writer, "ROLLBACK", nil, nil, nil) == SQLITE_OK)
  }

  @Test func aLedgerOfTheFirstSchemaIsBroughtForwardWithAllItHolds() throws {
    let old = try LedgerFixture()
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "Fixtures/ledger-1.sql")
    var database: OpaquePointer?
    #expect(sqlite3_open(old.path, &database) == SQLITE_OK)
    #expect(sqlite3_exec(database, Files.text(script.path), nil, nil, nil) == SQLITE_OK)
    sqlite3_close(database)
    let ledger = try Ledger(path: old.path)
    #expect(try ledger.unfinished().map(\.id) == ["seen"])
    #expect(try ledger.unfinished().map(\.strikes) == [1])
    #expect(try ledger.readyToDispose(limit: 9, at: 0).map(\.arrival.id) == ["ready"])
    #expect(try ledger.quarantine(limit: 9).map(\.arrival.id) == ["bad"])
    #expect(try ledger.sinkState("csv") == (1, "p1"))
    #expect(try waiting("json", in: ledger) == ["waits"])
    #expect(try ledger.answer(sha256: "cc", modelDigest: "m1") == [3])
    let counts = try ledger.counts()
    #expect(counts.disposed == 1 && counts.quarantined == 1 && counts.deadLetters == 1)
    try ledger.advance(sink: "json", to: 2, position: "q")
    #expect(try ledger.readyToDispose(limit: 9).map(\.arrival.id) == ["waits", "ready"])
    ledger.close()
    #expect(try Ledger(path: old.path).counts().readyToDispose == 2)
  }
}
