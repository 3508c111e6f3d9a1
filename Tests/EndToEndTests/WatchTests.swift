import Glibc
import TestSupport
import Testing

/// Many watches, which rest without a thread.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct WatchTests {
  private static let names = (0..<40).map { "other-\($0)" }

  private func daemon() -> DaemonProcess {
    let daemon = DaemonProcess()
    let tables = Self.names.map { name in
      "[watches.\(name)]\npath = \"\(daemon.scratch.folder(name))\"\nsinks = [\"table\"]\nsettle_ms = 100\n"
    }
    daemon.configure(extra: tables.joined())
    daemon.start()
    return daemon
  }

  private func threads(_ daemon: DaemonProcess) -> [String] {
    Files.names(in: "/proc/\(daemon.process)/task").map { Files.text("/proc/\(daemon.process)/task/\($0)/comm") }
  }

  private func awaitRest(_ daemon: DaemonProcess) {
    #expect(eventually { !threads(daemon).contains { $0.hasPrefix("watch-") } }, "no moment without a watch's thread")
    #expect(threads(daemon).contains("porter\n"))
  }

  @Test func eachIsWokenByItsFilesAndAllEnd() {
    let daemon = daemon()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    awaitRest(daemon)
    for (number, name) in Self.names.enumerated() {
      Files.write(TestPicture.bmp(number: number), to: daemon.scratch("\(name)/\(name).bmp"))
    }
    #expect(eventually { Set(Results(of: daemon).csv) == Set(Self.names.map { "\($0).bmp" }) }, "\(daemon.log)")
    awaitRest(daemon)
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
    #expect(Results(of: daemon).csv.count == Self.names.count)
  }

  @Test func aFileWhoseWriterIsSilentIsTakenWhenItsRestIsOver() {
    let daemon = daemon()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let path = daemon.scratch("\(Self.names[7])/open.bmp")
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    let bytes = TestPicture.bmp(number: 1)
    #expect(write(file, bytes, bytes.count) == bytes.count)
    #expect(eventually { Results(of: daemon).csv == ["open.bmp"] }, "\(daemon.log)")
    close(file)
    daemon.signal(SIGHUP)
    #expect(daemon.waitForNotice("RELOADING=1") && daemon.waitForNotice("READY=1"), "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }

  @Test func aFolderThatGoesAndReturnsIsNoticedAtRest() {
    let daemon = daemon()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    awaitRest(daemon)
    let (folder, elsewhere) = (daemon.scratch(Self.names[3]), daemon.scratch("elsewhere"))
    #expect(rename(folder, elsewhere) == 0)
    #expect(eventually { daemon.log.contains("watch \(Self.names[3]) is offline") }, "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 3), to: "\(elsewhere)/kept.bmp")
    #expect(rename(elsewhere, folder) == 0)
    #expect(eventually { Results(of: daemon).csv == ["kept.bmp"] }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }
}
