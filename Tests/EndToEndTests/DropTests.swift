import Glibc
import TestSupport
import Testing

/// Files that are dropped again, and files that only change, where answered files stay in their inbox.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct DropTests {
  private let picture = TestPicture.bmp(number: 1)

  private func rows(_ daemon: DaemonProcess, _ name: String) -> Int {
    Results(of: daemon).csv.count { $0 == name }
  }

  /// Hands over another file and waits for its answer, so that whatever happened before it has been heard.
  private func passMark(_ daemon: DaemonProcess, _ number: Int) {
    Files.write(TestPicture.bmp(number: 1000 + number), to: "\(daemon.inbox)/mark-\(number).bmp")
    #expect(eventually { rows(daemon, "mark-\(number).bmp") == 1 }, "\(daemon.log)")
  }

  private func status(_ path: String) -> stat {
    var status = stat()
    #expect(stat(path, &status) == 0)
    return status
  }

  private func outAndBack(_ daemon: DaemonProcess, _ name: String) {
    rename("\(daemon.inbox)/\(name)", daemon.scratch(name))
    rename(daemon.scratch(name), "\(daemon.inbox)/\(name)")
  }

  /// As `cp -p` does over a file of the same bytes.
  private func copyOver(_ path: String) {
    let before = status(path)
    Files.write(picture, to: path)
    var times = [before.st_atim, before.st_mtim]
    utimensat(AT_FDCWD, path, &times, 0)
    let after = status(path)
    #expect(after.st_ino == before.st_ino && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
  }

  private func touch(_ path: String) {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    futimens(file, nil)
    close(file)
  }

  @Test func aFileDroppedAgainIsAnsweredAgainAndOneThatOnlyChangesIsNot() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let path = "\(daemon.inbox)/owl.bmp"
    Files.write(picture, to: path)
    #expect(eventually { rows(daemon, "owl.bmp") == 1 }, "\(daemon.log)")
    outAndBack(daemon, "owl.bmp")
    #expect(eventually { rows(daemon, "owl.bmp") == 2 }, "moved out and back\n\(daemon.log)")
    copyOver(path)
    #expect(eventually { rows(daemon, "owl.bmp") == 3 }, "written over\n\(daemon.log)")
    touch(path)
    passMark(daemon, 1)
    #expect(rows(daemon, "owl.bmp") == 3, "touched")
    chmod(path, 0o640)
    link(path, daemon.scratch("link"))
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
    chmod("\(daemon.inbox)/mark-1.bmp", 0o600)
    for round in 2...3 {
      daemon.start()
      #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
      passMark(daemon, round)
      daemon.signal(SIGTERM)
      #expect(daemon.waitForExit() == 0, "\(daemon.log)")
      #expect(rows(daemon, "owl.bmp") == 3 && rows(daemon, "mark-1.bmp") == 1, "found again by a start")
    }
    #expect(Set(Results(of: daemon).json).count == 4 && Results(of: daemon).json.count == 6)
  }

  /// Killed at any moment between the drop and its answer, the daemon answers it once.
  @Test func aDropIsAnsweredOnceThoughTheDaemonIsKilled() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(picture, to: "\(daemon.inbox)/owl.bmp")
    #expect(eventually { rows(daemon, "owl.bmp") == 1 }, "\(daemon.log)")
    for round in 0..<12 {
      if round % 3 == 2 { copyOver("\(daemon.inbox)/owl.bmp") } else { outAndBack(daemon, "owl.bmp") }
      usleep(UInt32(round / 2) * 4_000)
      daemon.signal(SIGKILL)
      #expect(daemon.waitForExit() == -SIGKILL)
      daemon.start()
      #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
      #expect(eventually { rows(daemon, "owl.bmp") == round + 2 }, "round \(round)\n\(daemon.log)")
      passMark(daemon, round)
      #expect(rows(daemon, "owl.bmp") == round + 2, "round \(round)\n\(daemon.log)")
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }

  @Test func aDropDuringAPauseIsAnsweredWhenItEnds() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    for name in ["owl.bmp", "hare.bmp"] { Files.write(picture, to: "\(daemon.inbox)/\(name)") }
    #expect(eventually { Results(of: daemon).csv.count == 2 }, "\(daemon.log)")
    #expect(daemon.tool("pause").status == 0)
    outAndBack(daemon, "owl.bmp")
    chmod("\(daemon.inbox)/hare.bmp", 0o600)
    #expect(daemon.tool("resume").status == 0)
    #expect(eventually { rows(daemon, "owl.bmp") == 2 }, "\(daemon.log)")
    passMark(daemon, 1)
    #expect(rows(daemon, "hare.bmp") == 1)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }
}
