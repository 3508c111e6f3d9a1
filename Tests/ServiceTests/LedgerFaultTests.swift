import FoundationEssentials
import Glibc
import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct LedgerFaultTests {
  let fixture: LedgerFixture

  init() throws { fixture = try LedgerFixture() }

  @Test func everyStepIsThereAfterACrashRightBehindIt() throws {
    let ledger = try Ledger(path: fixture.path)
    try admit([1, 2], to: ledger)
    #expect(try fixture.afterCrash().unfinished().map(\.id) == ["a1", "a2"])
    try ledger.withdraw(["a2"], as: .ignored)
    #expect(try fixture.afterCrash().unfinished().map(\.id) == ["a1"])
    try ledger.commit([outcome(1)], now: 2)
    var crashed = try fixture.afterCrash()
    #expect(try crashed.unfinished().isEmpty)
    #expect(try waiting("csv", in: crashed) == ["a1"])
    #expect(try waiting("json", in: crashed) == ["a1"])
    try ledger.advance(sink: "csv", to: 1, position: "p")
    crashed = try fixture.afterCrash()
    #expect(try crashed.sinkState("csv") == (1, "p"))
    #expect(try ready(in: crashed).isEmpty)
    try ledger.advance(sink: "json", to: 1, position: "q")
    #expect(try ready(in: try fixture.afterCrash()) == ["a1"])
    try ledger.disposed([("a1", .disposed, nil)], now: 3)
    crashed = try fixture.afterCrash()
    #expect(try ready(in: crashed).isEmpty)
    #expect(try crashed.counts() == ledger.counts())
  }

  @Test func aLogCutAnywhereHoldsWholeStepsOnly() throws {
    let ledger = try Ledger(path: fixture.path)
    try admit(Array(1...8), to: ledger)
    try ledger.commit((1...8).map { outcome($0) }, now: 2)
    try ledger.advance(sink: "csv", to: 8, position: "8")
    let log = try Data(contentsOf: URL(fileURLWithPath: fixture.path + "-wal"))
    for cut in stride(from: 0, through: log.count, by: 1_931) {
      let copy = try LedgerFixture()
      try Data(contentsOf: URL(fileURLWithPath: fixture.path)).write(to: URL(fileURLWithPath: copy.path))
      try log.prefix(cut).write(to: URL(fileURLWithPath: copy.path + "-wal"))
      let survivor = try Ledger(path: copy.path)
      let counts = try survivor.counts()
      let state = try survivor.sinkState("csv")
      #expect([0, 8].contains(counts.seen) && [0, 8].contains(counts.awaitingSinks))
      #expect(state.cursor == 0 && state.position == nil || state.cursor == 8 && state.position == "8")
      #expect(try waiting("csv", in: survivor).count == (state.cursor == 8 ? 0 : counts.awaitingSinks))
      #expect(try waiting("json", in: survivor).count == counts.awaitingSinks)
    }
  }

  @Test func anEmptyFileBecomesALedgerAndALaterSchemaIsRefused() throws {
    try Data().write(to: URL(fileURLWithPath: fixture.path))
    let ledger = try Ledger(path: fixture.path)
    try admit([1], to: ledger)
    ledger.close()
    #expect(throws: LedgerError.self) { try ledger.counts() }
    let reopened = try Ledger(path: fixture.path)
    #expect(try reopened.unfinished().count == 1)
    reopened.close()

    try patch(60, [0, 0, 0, 99])
    #expect(throws: LedgerError.newer(path: fixture.path, found: 99, supported: 3)) { try Ledger(path: fixture.path) }
    try patch(60, [0, 0, 0, 3])
    #expect(try Ledger(path: fixture.path).unfinished().count == 1)
  }

  @Test func refusesAnotherProgramsDatabaseAndGarbage() throws {
    try Ledger(path: fixture.path).close()
    try patch(68, [1, 2, 3, 4])
    #expect(throws: LedgerError.foreign(path: fixture.path, applicationID: 0x0102_0304)) {
      try Ledger(path: fixture.path)
    }
    try patch(60, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(throws: LedgerError.foreign(path: fixture.path, applicationID: 0)) { try Ledger(path: fixture.path) }
    try Data(repeating: 0x41, count: 9_000).write(to: URL(fileURLWithPath: fixture.path))
    let error = #expect(throws: LedgerError.self) { try Ledger(path: fixture.path) }
    #expect(error?.isTransient == false)
    #expect(error?.description.contains(fixture.path) == true)
  }

  @Test func aMissingFolderIsTransient() throws {
    let error = #expect(throws: LedgerError.self) { try Ledger(path: fixture.path + "/no/such") }
    #expect(error?.isTransient == true)
    #expect(throws: LedgerError.self) { try Ledger(path: "") }
    #expect(throws: LedgerError.self) { try Ledger(path: "/tmp/a\0b") }
  }

  @Test func aFullDiskIsTransientAndLosesNothing() throws {
    let ledger = try Ledger(path: fixture.path)
    try admit(Array(1...4), to: ledger)
    try ledger.limit(pages: 1)
    let large = (1...4).map { number in
      var large = outcome(number)
      large.record = [UInt8](repeating: UInt8(number), count: 300_000)
      return large
    }
    let error = #expect(throws: LedgerError.self) { try ledger.commit(large, now: 2) }
    #expect(error?.isTransient == true)
    #expect(try ledger.unfinished().count == 4)
    #expect(try fixture.afterCrash().unfinished().count == 4)
    #expect(try ledger.counts().sinks.isEmpty)

    try ledger.limit(pages: 1_000_000)
    #expect(try ledger.commit(large, now: 3) == 4)
    #expect(try waiting("csv", in: ledger) == ["a1", "a2", "a3", "a4"])
    #expect(try ledger.pending(sink: "json", after: 3, limit: 9, byteLimit: .max).first?.record == large[3].record)
  }

  @Test func twoConnectionsSeeEachOthersSteps() throws {
    let ledger = try Ledger(path: fixture.path)
    try admit([1], to: ledger)
    let second = try Ledger(path: fixture.path)
    try admit([2], to: second)
    #expect(try ledger.unfinished().map(\.id) == ["a1", "a2"])
  }

  @Test func threadsMayShareOneLedger() async throws {
    let ledger = try Ledger(path: fixture.path)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for part in 0..<4 {
        group.addTask {
          for number in (part * 50 + 1)...(part * 50 + 50) {
            try admit([number], to: ledger)
            try ledger.commit([outcome(number)], now: 2)
          }
        }
      }
      try await group.waitForAll()
    }
    let entries = try ledger.pending(sink: "csv", after: 0, limit: 1_000, byteLimit: .max)
    #expect(Set(entries.map(\.arrivalID)).count == 200)
    #expect(entries.map(\.sequence) == Array(1...200))
  }

  @Test(arguments: 0..<6)
  func aKillInMidCommitLeavesWholeBatches(_ round: Int) async throws {
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = fixture.path as String, round = round as Int] in
      let ledger = try Ledger(path: path)
      for batch in 0..<1_000_000 {
        if batch == 4 {
          Task.detached {
            usleep(UInt32(1_000 + round * 3_321))
            kill(getpid(), SIGKILL)
          }
        }
        let numbers = Array((batch * 8 + 1)...(batch * 8 + 8))
        try admit(numbers, to: ledger)
        try ledger.commit(numbers.map { outcome($0) }, now: 2)
        let last = Int64(batch * 8 + 8)
        try ledger.advance(sink: "csv", to: last, position: "\(last)")
        if batch % 2 == 1 { try ledger.advance(sink: "json", to: last, position: "\(last)") }
      }
    }
    let ledger = try Ledger(path: fixture.path)
    let counts = try ledger.counts()
    let csv = try ledger.sinkState("csv")
    let json = try ledger.sinkState("json")
    #expect(counts.seen == 0 || counts.seen == 8)
    #expect(json.cursor >= 32)
    #expect(csv.position == (csv.cursor == 0 ? nil : "\(csv.cursor)"))
    #expect(csv.cursor % 8 == 0 && json.cursor % 16 == 0)
    let behind = try waiting("json", in: ledger, after: json.cursor).count
    #expect(behind == counts.awaitingSinks && [0, 8, 16].contains(behind))
    #expect(try waiting("csv", in: ledger).count == Int(json.cursor) + behind - Int(csv.cursor))
    #expect(counts.readyToDispose == Int(json.cursor))
  }

  /// Overwrites bytes of the closed database file.
  private func patch(_ offset: Int, _ bytes: [UInt8]) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: fixture.path))
    data.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    try data.write(to: URL(fileURLWithPath: fixture.path))
  }
}
