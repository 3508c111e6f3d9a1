import Engine
import Glibc
import TestSupport
import Testing

/// The real binaries over a real inbox.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct DaemonTests {
  @Test func aPictureReachesAllSinksAndTheDaemonDrainsOnTerminate() {
    let daemon = DaemonProcess()
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/before.bmp")
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 2), to: "\(daemon.inbox)/after.bmp")
    let isThere = eventually {
      let results = Results(of: daemon)
      return results.csv.count == 2 && results.json.count == 2 && results.sqlite.count == 2
    }
    #expect(isThere, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForNotice("STOPPING=1"))
    #expect(daemon.waitForExit() == 0)
    let results = Results(of: daemon)
    #expect(Set(results.csv) == ["before.bmp", "after.bmp"])
    #expect(results.isWhole)
  }

  @Test func everyImageIsThereExactlyOnceAfterManyKills() {
    let pictures = Int(getenv("LOOKOUT_KILL_PICTURES").flatMap { String(cString: $0) } ?? "") ?? 200
    let kills = Int(getenv("LOOKOUT_KILLS").flatMap { String(cString: $0) } ?? "") ?? 8
    let daemon = DaemonProcess()
    var generator = SystemRandomNumberGenerator()
    var written = 0
    for _ in 0..<kills {
      daemon.start()
      for _ in 0..<(pictures / kills) {
        Files.write(TestPicture.bmp(number: written), to: "\(daemon.inbox)/picture-\(written).bmp")
        written += 1
      }
      usleep(UInt32.random(in: 20_000...600_000, using: &generator))
      daemon.signal(SIGKILL)
      #expect(daemon.waitForExit() == -SIGKILL, "\(daemon.log)")
    }
    daemon.start()
    _ = eventually(seconds: 120) {
      let results = Results(of: daemon)
      return results.csv.count >= written && results.json.count >= written && results.sqlite.count >= written
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
    let expected = (0..<written).map { "picture-\($0).bmp" }.sorted()
    let results = Results(of: daemon)
    #expect(results.csv.sorted() == expected)
    #expect(results.json.sorted() == expected)
    #expect(results.sqlite.sorted() == expected)
    #expect(results.isWhole)
  }

  @Test func answeredFilesMoveOrGoAsConfigured() {
    let daemon = DaemonProcess(after: "delete")
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 7), to: "\(daemon.inbox)/gone.bmp")
    #expect(eventually { Results(of: daemon).csv.count == 1 && Files.names(in: daemon.inbox).isEmpty }, "\(daemon.log)")
    let done = daemon.scratch.folder("done")
    daemon.configure(after: "move:\(done)", settleMilliseconds: 100)
    daemon.signal(SIGHUP)
    #expect(daemon.waitForNotice("RELOADING=1"))
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 8), to: "\(daemon.inbox)/moved.bmp")
    #expect(eventually { Files.names(in: done) == ["moved.bmp"] }, "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 9), to: "\(daemon.inbox)/moved.bmp")
    #expect(eventually { Files.names(in: done).count == 2 }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(Results(of: daemon).csv == ["gone.bmp", "moved.bmp", "moved.bmp"])
  }

  @Test func aSignalIsAnsweredWhicheverThreadGetsIt() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    // The Glibc module does not show tgkill(2).
    typealias ThreadKill = @convention(c) (pid_t, pid_t, Int32) -> Int32
    let threadKill = unsafeBitCast(dlsym(nil, "tgkill"), to: ThreadKill.self)
    for thread in Files.names(in: "/proc/\(daemon.process)/task").compactMap({ Int32($0) }) {
      #expect(threadKill(daemon.process, thread, SIGUSR1) == 0)
    }
    #expect(threadKill(daemon.process, daemon.process, SIGHUP) == 0)
    #expect(daemon.waitForNotice("RELOADING=1"), "\(daemon.log)")
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }

  /// One configuration serves machines with and without bf16; what is missing is said once, and costs nothing else.
  @Test func aModelInBF16IsAnsweredOnAnyProcessor() {
    let daemon = DaemonProcess()
    let said = InstructionSet.best.gainsByBF16 ? 0 : 1
    let isSaid = { daemon.logLines(with: "instructions for precision = \"bf16\", computed in fp32: default") }
    daemon.configure(modelTable: "precision = \"bf16\"")
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    #expect(isSaid() == said, "\(daemon.log)")
    daemon.configure(modelTable: "precision = \"bf16\"\ntop_k = 3")
    daemon.signal(SIGHUP)
    #expect(daemon.waitForNotice("RELOADING=1"))
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 11), to: "\(daemon.inbox)/rounded.bmp")
    #expect(eventually { Results(of: daemon).csv == ["rounded.bmp"] }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(isSaid() == said, "\(daemon.log)")
  }

  @Test func aBadReloadChangesNothing() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    daemon.configure(after: "keep", settleMilliseconds: 100, extra: "[nonsense]\nkey = 1")
    daemon.signal(SIGHUP)
    #expect(daemon.waitForNotice("RELOADING=1"))
    #expect(daemon.waitForNotice("READY=1"))
    #expect(daemon.log.contains("nonsense"))
    Files.write(TestPicture.bmp(number: 10), to: "\(daemon.inbox)/still.bmp")
    #expect(eventually { Results(of: daemon).sqlite == ["still.bmp"] }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }
}
