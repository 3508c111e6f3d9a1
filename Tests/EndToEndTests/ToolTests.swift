import Glibc
import TestSupport
import Testing

/// The commands that operators use, against a real daemon.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct ToolTests {
  @Test func showsStatusAndExplainsImages() {
    let daemon = DaemonProcess(after: "delete")
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/one.bmp")
    Files.write(Array("no picture at all".utf8), to: "\(daemon.inbox)/two.jpg")
    #expect(eventually { Files.names(in: daemon.inbox).isEmpty }, "\(daemon.log)")
    let status = daemon.tool("status")
    #expect(status.status == 0 && status.output.contains("1 answered"), "\(status)")
    #expect(daemon.tool("status", "--json").output.contains("\"status\":\"ready\""))
    let one = daemon.tool("explain", "\(daemon.inbox)/one.bmp")
    #expect(one.status == 0 && one.output.contains("every sink has its result"), "\(one)")
    let two = daemon.tool("explain", "\(daemon.inbox)/two.jpg")
    #expect(two.status == 0 && two.output.contains("quarantined") && two.output.contains("reason"), "\(two)")
    let never = daemon.tool("explain", "\(daemon.inbox)/three.jpg")
    #expect(never.status == 66 && never.errors.contains("never was taken"), "\(never)")
    #expect(daemon.tool("explain").status == 64)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    #expect(daemon.tool("status").status == 69)
  }

  @Test func pausesDrainsAndResumes() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    #expect(daemon.tool("pause").status == 0)
    Files.write(TestPicture.bmp(number: 2), to: "\(daemon.inbox)/late.bmp")
    let drained = daemon.tool("drain", "--timeout", "20", "--json")
    #expect(drained.status == 0 && drained.output.contains("\"drained\":true"), "\(drained)")
    #expect(daemon.get("/readyz")?.text.contains("paused by an operator") == true)
    #expect(Results(of: daemon).csv.isEmpty)
    #expect(daemon.tool("resume").status == 0)
    #expect(eventually { Results(of: daemon).csv == ["late.bmp"] }, "\(daemon.log)")
    #expect(daemon.tool("redrive").output.contains("sink table: 0 dead letters"))
    #expect(daemon.tool("redrive", "nobody").status == 66)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func releasesFromQuarantine() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(Array("no picture".utf8), to: "\(daemon.inbox)/bad.jpg")
    #expect(eventually { daemon.tool("quarantine", "list").output.contains("bad.jpg") }, "\(daemon.log)")
    let id = daemon.tool("quarantine", "list").output.prefix { $0 != " " }
    let released = daemon.tool("quarantine", "release", String(id))
    #expect(released.status == 0 && released.output.contains("\(daemon.inbox)/bad.jpg"), "\(released)")
    #expect(daemon.tool("quarantine", "release", String(id)).status == 66)
    // It is no picture still, so it comes back as a new arrival.
    let isBack = eventually {
      let list = daemon.tool("quarantine", "list").output
      return list.contains("bad.jpg") && !list.contains(id)
    }
    #expect(isBack, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func aReloadReturnsWhenItIsDoneAndTellsWhyItIsRefused() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let done = daemon.scratch.folder("done")
    daemon.configure(after: "move:\(done)", settleMilliseconds: 100)
    #expect(daemon.tool("reload").status == 0)
    Files.write(TestPicture.bmp(number: 3), to: "\(daemon.inbox)/moved.bmp")
    #expect(eventually { Files.names(in: done) == ["moved.bmp"] }, "\(daemon.log)")
    daemon.configure(after: "keep", settleMilliseconds: 100, extra: "[nonsense]\nkey = 1")
    let refused = daemon.tool("reload")
    #expect(refused.status == 78 && refused.errors.contains("unknown table nonsense"), "\(refused)")
    #expect(daemon.get("/readyz")?.status == 200)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func writesACPluginThatBuildsAndPasses() {
    let scratch = Scratch()
    let tool = "\(DaemonProcess.products)/lookout"
    let made = Ran(
      tool, ["plugin", "new", "mine", "--language", "c", "--kit", DaemonProcess.repository], in: scratch,
      directory: scratch.path)
    #expect(made.status == 0, "\(made)")
    let folder = scratch("lookout-sink-mine")
    let built = Ran("make", ["CC=cc"], in: scratch, directory: folder)
    #expect(built.status == 0, "\(built)")
    let tested = Ran(tool, ["plugin", "test", "lookout-sink-mine.so"], in: scratch, directory: folder)
    #expect(tested.status == 0 && !tested.output.contains("skipped"), "\(tested)")
    #expect(Ran(tool, ["plugin", "new", "mine"], in: scratch, directory: scratch.path).status == 73)
    #expect(Ran(tool, ["plugin", "new", "../evil"], in: scratch, directory: scratch.path).status == 64)
    Files.write([0x7F], to: scratch("broken.so"))
    let broken = Ran(tool, ["plugin", "test", scratch("broken.so")], in: scratch)
    #expect(broken.status == 65 && broken.output.contains("failed\topens"), "\(broken)")
  }

  @Test func examinesTheMachine() {
    let daemon = DaemonProcess()
    let sound = daemon.tool("doctor", "--config", daemon.configuration, "--json", "--user", "nobody-there")
    #expect(sound.output.contains("\"subject\":\"model default\""), "\(sound)")
    Files.write(Array("[daemon]\nworkers = 0\n".utf8), to: daemon.scratch("bad.toml"))
    let bad = daemon.tool("doctor", "--config", daemon.scratch("bad.toml"))
    #expect(bad.status == 78 && bad.output.contains("bad.toml:2:11") && bad.output.contains("remedy:"), "\(bad)")
  }
}
