import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct LedgerSinkTests {
  let fixture: LedgerFixture
  let ledger: Ledger

  init() throws {
    fixture = try LedgerFixture()
    ledger = try Ledger(path: fixture.path)
    try admit(Array(1...4), to: ledger)
    try ledger.commit((1...4).map { outcome($0) }, now: 2)
  }

  @Test func eachSinkGoesAtItsOwnPace() throws {
    try ledger.advance(sink: "csv", to: 3, position: "300")
    let restarted = try fixture.afterCrash()
    #expect(try restarted.sinkState("csv") == (3, "300"))
    #expect(try restarted.sinkState("json") == (0, nil))
    #expect(try restarted.sinkState("unheard of") == (0, nil))
    #expect(try waiting("csv", in: restarted) == ["a4"])
    #expect(try waiting("json", in: restarted) == ["a1", "a2", "a3", "a4"])
    #expect(try waiting("json", in: restarted, after: 2) == ["a3", "a4"])
    #expect(try waiting("unheard of", in: restarted).isEmpty)
    let counts = try restarted.counts()
    #expect(counts.sinks["csv"]?.lag == 1 && counts.sinks["json"]?.lag == 4 && counts.awaitingSinks == 4)
  }

  @Test func aPositionMayChangeAloneAndACursorNeverGoesBack() throws {
    try ledger.advance(sink: "csv", to: 2, position: "a")
    try ledger.advance(sink: "csv", to: 2, position: "")
    #expect(try ledger.sinkState("csv") == (2, ""))
    #expect(throws: LedgerError.self) { try ledger.advance(sink: "csv", to: 1, position: "b") }
    #expect(try ledger.sinkState("csv") == (2, ""))
  }

  @Test func boundsAnAnswerByNumberAndBytes() throws {
    #expect(try ledger.pending(sink: "csv", after: 0, limit: 2, byteLimit: .max).count == 2)
    #expect(try ledger.pending(sink: "csv", after: 0, limit: 9, byteLimit: 16).count == 2)
    #expect(try ledger.pending(sink: "csv", after: 0, limit: 9, byteLimit: 0).map(\.record) == [Array("record 1".utf8)])
  }

  @Test func sequencesAreNeverUsedAgain() throws {
    for sink in ["csv", "json"] { try ledger.advance(sink: sink, to: 4, position: "end") }
    ledger.close()
    let reopened = try Ledger(path: fixture.path)
    try admit([5], to: reopened)
    try reopened.commit([outcome(5)], now: 3)
    #expect(try reopened.pending(sink: "csv", after: 4, limit: 9, byteLimit: .max).map(\.sequence) == [5])
  }

  @Test func aRejectedRecordBecomesADeadLetterAndCanBeSentAgain() throws {
    try ledger.advance(sink: "csv", to: 2, position: "2", rejected: [(1, "label, too long")])
    try ledger.advance(sink: "json", to: 2, position: "2")
    let ready = try fixture.afterCrash().readyToDispose(limit: 9)
    #expect(ready.map(\.arrival.id) == ["a1", "a2"])
    #expect(ready.map(\.rejectedBy) == [["csv"], []])
    #expect(try ledger.counts().sinks["csv"]?.deadLetters == 1)

    #expect(try ledger.redrive(sink: "csv", now: 9) == 1)
    #expect(try ledger.redrive(sink: "json", now: 9) == 0)
    #expect(try ledger.readyToDispose(limit: 9).map(\.arrival.id) == ["a2"], "the file waits for the letter again")
    let entries = try ledger.pending(sink: "csv", after: 2, limit: 9, byteLimit: .max)
    #expect(entries.map(\.arrivalID) == ["a3", "a4", "a1"])
    #expect(entries.last?.record == Array("record 1".utf8))
    #expect(try ledger.counts().deadLetters == 0)
    try ledger.advance(sink: "csv", to: 5, position: "5")
    #expect(try ledger.counts().sinks["csv"]?.lag == 0)
    #expect(try ledger.readyToDispose(limit: 9).map(\.arrival.id) == ["a1", "a2"])
  }

  @Test func aRejectionBeyondTheCursorIsRefusedWhole() throws {
    #expect(throws: LedgerError.self) {
      try ledger.advance(sink: "csv", to: 1, position: "1", rejected: [(1, "x"), (2, "y")])
    }
    #expect(try ledger.counts().deadLetters == 0)
    #expect(try ledger.sinkState("csv") == (0, nil))
  }

  @Test func noFileWaitsForASinkThatIsGoneYetNothingIsLost() throws {
    try ledger.advance(sink: "csv", to: 3, position: "3")
    try ledger.retireSinks(keeping: ["csv"])
    try ledger.retireSinks(keeping: ["csv"])
    #expect(try ready(in: ledger) == ["a1", "a2", "a3"])
    #expect(try ledger.counts().sinks["json"]?.isRetired == true)
    try ledger.disposed([("a1", .disposed, nil)], now: 3)

    try ledger.retireSinks(keeping: ["csv", "json"])
    #expect(try ready(in: ledger).isEmpty)
    #expect(try waiting("json", in: ledger) == ["a1", "a2", "a3", "a4"])
    try ledger.advance(sink: "json", to: 4, position: "4")
    #expect(try ready(in: ledger) == ["a2", "a3"])
    try ledger.advance(sink: "csv", to: 4, position: "4")
    #expect(try ready(in: ledger) == ["a2", "a3", "a4"])
  }

  @Test func droppingASinkGivesUpItsOutbox() throws {
    try ledger.advance(sink: "csv", to: 4, position: "4", rejected: [(2, "bad")])
    #expect(try ledger.dropSink("json") == 4)
    #expect(try ledger.dropSink("json") == 0)
    #expect(try ready(in: ledger) == ["a1", "a2", "a3", "a4"])
    #expect(try ledger.sinkState("json") == (0, nil))
    #expect(try ledger.counts().sinks.keys.sorted() == ["csv"])
  }
}
