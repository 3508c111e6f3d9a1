import Glibc
import SinkProtocol
import Testing

/// What the host and the daemon's end of it make of a plugin that breaks the contract.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct FaultySinkTests {
  private func config(_ fault: String, at call: String) -> String {
    "{\"path\":\"\(makeFolder())/out\",\"fault\":\"\(fault)\",\"at\":\"\(call)\"}"
  }

  private func failure<T>(_ body: () throws(SinkProcessError) -> T) -> SinkProcessError? {
    do throws(SinkProcessError) {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: ["crash", "raise", "abort", "exit"], ["write", "flush"])
  func aDeathIsToldWithItsCallAndCause(_ fault: String, _ call: String) throws {
    let sink = try start("faulty", config(fault, at: call))
    let error = failure { () throws(SinkProcessError) in
      _ = try sink.write(entries(0..<3))
      _ = try sink.flush()
    }
    guard case .died(call, let how) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(how.contains(["exit": "status 0", "abort": "signal 6"][fault] ?? "signal 11"))
    guard case .died? = failure({ () throws(SinkProcessError) in try sink.flush() }) else {
      Issue.record("it still answers")
      return
    }
  }

  @Test(arguments: ["crash", "abort", "exit"]) func aDeathDuringOpenIsNoOpenSink(_ fault: String) {
    guard
      case .died("open", _) = failure({ () throws(SinkProcessError) in try start("faulty", config(fault, at: "open")) })
    else {
      Issue.record("opened")
      return
    }
  }

  @Test(arguments: ["write", "flush"]) func aHangEndsWithTheDeadlineAndTheProcess(_ call: String) throws {
    let limit = Duration.milliseconds(300)
    let sink = try start("faulty", config("hang", at: call), deadlines: .init(write: limit, flush: limit))
    let error = failure { () throws(SinkProcessError) in
      _ = try sink.write(entries(0..<3))
      _ = try sink.flush()
    }
    #expect(error == .expired(call: call, after: limit))
    #expect(kill(sink.processID, 0) != 0)
  }

  @Test func aHangInOpenAndInCloseEndsToo() throws {
    let limit = Duration.milliseconds(300)
    let error = failure { () throws(SinkProcessError) in
      try start("faulty", config("hang", at: "open"), deadlines: .init(open: limit))
    }
    #expect(error == .expired(call: "open", after: limit))
    let sink = try start("faulty", config("hang", at: "close"), deadlines: .init(close: limit))
    #expect(sink.close() == .expired(call: "close", after: limit))
    #expect(kill(sink.processID, 0) != 0)
  }

  @Test(arguments: ["crash", "abort", "exit"]) func aDeathInCloseIsTold(_ fault: String) throws {
    guard case .died("close", let how)? = try start("faulty", config(fault, at: "close")).close() else {
      Issue.record("it closed well")
      return
    }
    #expect(how.contains(["exit": "status 0", "abort": "signal 6"][fault] ?? "signal 11"))
    #expect(try start("faulty", config("none", at: "close")).close() == nil)
  }

  @Test func aSlowCallWithinTheDeadlineIsNoFault() throws {
    let sink = try start("faulty", config("slow", at: "write"))
    #expect(try sink.write(entries(0..<2)) == [.accepted, .accepted])
    sink.close()
  }

  @Test func everyVerdictIsTakenForWhatItIs() throws {
    let retry = try start("faulty", config("retry", at: "write"))
    #expect(try retry.write(entries(0..<2)) == [.retry("not now"), .retry("not now")])
    #expect(try !retry.flush().isEmpty)
    let reject = try start("faulty", config("reject", at: "write"))
    let verdicts = try reject.write(entries(0..<14))
    #expect(verdicts.indices.filter { verdicts[$0] != .accepted } == [6, 13])
    guard case .reject(let reason) = verdicts[6] else {
      Issue.record("\(verdicts[6])")
      return
    }
    #expect(reason == String(repeating: "y", count: 252), "a reason without its end is cut at the buffer's")
  }

  @Test(arguments: [
    ("fatal", "write", "broken"), ("status", "write", "1234"), ("verdict", "write", "77"),
    ("length", "flush", "5000 bytes"), ("bytes", "flush", "no UTF-8"),
  ])
  func garbageIsFatalAndSaysWhat(_ fault: String, _ call: String, _ word: String) throws {
    let sink = try start("faulty", config(fault, at: call))
    let error = failure { () throws(SinkProcessError) in
      _ = try sink.write(entries(0..<3))
      _ = try sink.flush()
    }
    guard case .fatal(call, let reason) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(reason.contains(word))
  }

  @Test func aReasonWithoutItsEndIsCut() throws {
    let sink = try start("faulty", config("unended", at: "write"))
    guard case .retry(let reason)? = try sink.write(entries(0..<1)).first else {
      Issue.record("no retry")
      return
    }
    #expect(reason == String(repeating: "x", count: 508))
  }

  @Test(arguments: ["keeps", "leak", "chatter"]) func whatHurtsOnlyThePluginHurtsNobodyElse(_ fault: String) throws {
    let sink = try start("faulty", config(fault, at: "write"))
    for batch in 0..<4 {
      #expect(try sink.write(entries(batch * 3..<batch * 3 + 3)) == [.accepted, .accepted, .accepted])
      _ = try sink.flush()
    }
    sink.close()
  }

  @Test(arguments: [
    ("major", "speaks sink ABI 2.0, this host 1.0"), ("short", "table of 40 bytes"), ("null", "no table"),
    ("empty", "empty member"),
  ])
  func aTableThatIsNoneOfOursIsRefused(_ table: String, _ words: String) {
    setenv("LOOKOUT_FAULTY_TABLE", table, 1)
    defer { unsetenv("LOOKOUT_FAULTY_TABLE") }
    guard
      case .fatal("load", let reason) = failure({ () throws(SinkProcessError) in try start("faulty", config("", at: ""))
      })
    else {
      Issue.record("opened")
      return
    }
    #expect(reason.contains(words), "\(reason)")
  }

  @Test func aConstructorThatCrashesIsADeathDuringOpen() {
    setenv("LOOKOUT_FAULTY_LOAD", "crash", 1)
    defer { unsetenv("LOOKOUT_FAULTY_LOAD") }
    guard case .died("open", _) = failure({ () throws(SinkProcessError) in try start("faulty", config("", at: "")) })
    else {
      Issue.record("opened")
      return
    }
  }

  @Test func aLibraryThatIsNoSinkIsRefused() {
    let host = "\(products)/lookout-sink-host"
    guard
      case .fatal("load", let reason) = failure({ () throws(SinkProcessError) in
        try SinkProcess(hostPath: host, pluginPath: "/lib/x86_64-linux-gnu/libm.so.6", name: "m", config: "{}")
      })
    else {
      Issue.record("opened")
      return
    }
    #expect(reason.contains("no symbol lookout_sink_v1"))
  }
}
