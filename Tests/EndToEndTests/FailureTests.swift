import Glibc
import Hashing
import TestSupport
import Testing

/// What must go on while something else fails: sinks, weights files, the disk, a configuration.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct FailureTests {
  private func faulty(_ daemon: DaemonProcess, _ fault: String, at call: String) -> String {
    """
    [sinks.faulty]
    plugin = "faulty"
    path = "\(daemon.scratch("out/faulty"))"
    fault = "\(fault)"
    at = "\(call)"
    switch = "\(daemon.scratch("switch"))"
    """
  }

  private func lines(_ path: String) -> [Substring] { Files.text(path).split(separator: "\n") }

  @Test(arguments: [
    ("crash", "write"), ("exit", "flush"), ("verdict", "write"), ("fatal", "write"), ("retry", "write"),
  ])
  func aSinkThatFailsCostsNoOtherAnythingAndMissesNothing(_ fault: String, _ call: String) {
    let daemon = DaemonProcess()
    daemon.configure(sinks: ["table", "faulty"], extra: faulty(daemon, fault, at: call))
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write([1], to: daemon.scratch("switch"))
    for number in 0..<20 { Files.write(TestPicture.bmp(number: number), to: "\(daemon.inbox)/\(number).bmp") }
    #expect(eventually { Results(of: daemon).csv.count == 20 }, "\(daemon.log)")
    unlink(daemon.scratch("switch"))
    #expect(eventually(seconds: 90) { lines(daemon.scratch("out/faulty")).count >= 20 }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
    #expect(Set(lines(daemon.scratch("out/faulty"))).count == 20)
    #expect(lines(daemon.scratch("out/faulty")).count == 20)
  }

  @Test func aSinkThatDiesWhileItLoadsKeepsTheOthersFromNothing() {
    let daemon = DaemonProcess()
    daemon.configure(sinks: ["table", "faulty"], extra: faulty(daemon, "", at: ""))
    daemon.start(environment: ["LOOKOUT_FAULTY_LOAD=crash"])
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/one.bmp")
    #expect(eventually { Results(of: daemon).csv == ["one.bmp"] }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 75, "its result waits")
    daemon.start()
    #expect(eventually { lines(daemon.scratch("out/faulty")).count == 1 }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func theJournalHoldsWhatPluginsSayAndAGapOfTheSandboxOnce() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/one.bmp")
    #expect(eventually { Results(of: daemon).csv.count == 1 }, "\(daemon.log)")
    let gaps = daemon.logLines(with: "the sandbox has a gap")
    #expect(daemon.logLines(with: "no Landlock") <= 1 && gaps <= 3, "one line a gap, not a line a sink: \(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
    unlink(daemon.csv)
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    // What a plugin says comes by a way of its own, and may come after READY. The new file may have the old one's inode.
    let warnings = ["was removed or replaced since the last position", "is shorter than the last position"]
    #expect(
      eventually { warnings.contains { daemon.log.contains("warning: sink table: \(daemon.csv) \($0)") } },
      "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  @Test func aRejectedRecordBecomesADeadLetterAndItsFileStays() {
    let daemon = DaemonProcess()
    daemon.configure(after: "delete", sinks: ["table", "faulty"], extra: faulty(daemon, "reject", at: "write"))
    Files.write([1], to: daemon.scratch("switch"))
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    for number in 0..<14 { Files.write(TestPicture.bmp(number: number), to: "\(daemon.inbox)/\(number).bmp") }
    #expect(eventually { Files.names(in: daemon.inbox).count == 2 }, "\(Files.names(in: daemon.inbox)) \(daemon.log)")
    // The line is written once the result is settled, and the files may leave before.
    #expect(eventually { daemon.logLines(with: "now a dead letter") == 2 }, "\(daemon.log)")
    #expect(eventually { Results(of: daemon).csv.count == 14 })
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  // MARK: Models

  /// The default model under another digest: its provenance says something else.
  private static func otherModel() -> [UInt8] {
    var bytes = Files.read("\(DaemonProcess.repository)/models/default.swiftweights") ?? []
    func place(of text: String) -> Int? {
      let wanted = Array(text.utf8)
      return (0..<min(bytes.count, 1 << 20)).first { bytes[$0...].starts(with: wanted) }
    }
    guard let provenance = place(of: "\"provenance\":\""), let digest = place(of: "\"digest\":\"") else { return [] }
    let changed = provenance + 14
    bytes[changed] = bytes[changed] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
    let digits = digest + 10
    for index in digits..<digits + 64 { bytes[index] = UInt8(ascii: "0") }
    let sum = bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) }
    bytes.replaceSubrange(digits..<digits + 64, with: sum.utf8)
    return bytes
  }

  /// The digests in the CSV file, by picture.
  private func digests(_ daemon: DaemonProcess) -> [String: String] {
    var digests: [String: String] = [:]
    let text = String(Files.text(daemon.csv).unicodeScalars.filter { $0 != "\r" })
    for row in text.split(separator: "\n").dropFirst() {
      let fields = row.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      if let name = fields[3].split(separator: "/").last { digests[String(name)] = fields[10] }
    }
    return digests
  }

  private func answer(_ number: Int, _ daemon: DaemonProcess) -> String? {
    let name = "\(number).bmp"
    Files.write(TestPicture.bmp(number: number), to: "\(daemon.inbox)/\(name)")
    #expect(eventually { digests(daemon)[name] != nil }, "\(daemon.log)")
    return digests(daemon)[name]
  }

  @Test func aWeightsFileTakesOverWhenItIsWholeAndABadOneChangesNothing() {
    let daemon = DaemonProcess()
    let file = daemon.scratch("model.swiftweights")
    let original = Files.read("\(DaemonProcess.repository)/models/default.swiftweights") ?? []
    let other = Self.otherModel()
    Files.write(original, to: file)
    daemon.configure(model: file)
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let first = answer(0, daemon)

    // Copied over the old one, slowly, with a pause longer than the settling.
    let target = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC)
    let half = other.count / 2
    func append(_ part: ArraySlice<UInt8>) { part.withUnsafeBytes { _ = write(target, $0.baseAddress, $0.count) } }
    append(other[..<half])
    #expect(eventually { daemon.logLines(with: "a new weights file is refused") == 1 }, "\(daemon.log)")
    #expect(answer(1, daemon) == first)
    append(other[half...])
    close(target)
    #expect(eventually { daemon.logLines(with: "model default is now ") == 1 }, "\(daemon.log)")
    #expect(daemon.logLines(with: "a new weights file is refused") == 1, "told once")
    let second = answer(2, daemon)
    #expect(second != first && second?.count == 64)

    unlink(file)
    #expect(eventually { daemon.logLines(with: "is gone") == 1 }, "\(daemon.log)")
    #expect(answer(3, daemon) == second)
    Files.write(original, to: daemon.scratch("model.new"))
    rename(daemon.scratch("model.new"), file)
    #expect(eventually { daemon.logLines(with: "model default is now ") == 2 }, "\(daemon.log)")
    #expect(answer(4, daemon) == first)
    // The same bytes were answered by another model, so they are computed anew.
    Files.write(TestPicture.bmp(number: 2), to: "\(daemon.inbox)/again.bmp")
    #expect(eventually { digests(daemon)["again.bmp"] == first }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  // MARK: Disk, reload, check

  @Test(.enabled(if: geteuid() == 0)) func aFullDiskOfTheLedgerPausesIntakeUntilThereIsRoom() {
    let daemon = DaemonProcess()
    // Room for all that a slow machine drops before the daemon tells that there is none.
    guard mount("tmpfs", daemon.scratch("state"), "tmpfs", 0, "size=8m") == 0 else { return }
    defer { umount2(daemon.scratch("state"), 2) }
    daemon.configure(after: "delete")
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let ballast = open(daemon.scratch("state/ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    let block = [UInt8](repeating: 1, count: 4096)
    while block.withUnsafeBytes({ write(ballast, $0.baseAddress, $0.count) }) > 0 {}
    close(ballast)
    var written = 0
    // Free pages of the files that are there already take the first few.
    let isPaused = eventually {
      Files.write(TestPicture.bmp(number: written), to: "\(daemon.inbox)/\(written).bmp")
      written += 1
      return daemon.log.contains("intake pauses")
    }
    #expect(isPaused, "\(daemon.log)")
    #expect(daemon.waitForNotice("intake waits"), "the status tells it")
    for _ in 0..<5 {
      Files.write(TestPicture.bmp(number: written), to: "\(daemon.inbox)/\(written).bmp")
      written += 1
    }
    unlink(daemon.scratch("state/ballast"))
    #expect(eventually(seconds: 60) { Results(of: daemon).sqlite.count == written }, "\(daemon.log)")
    #expect(eventually { Files.names(in: daemon.inbox).isEmpty })
    #expect(eventually { daemon.log.contains("intake resumes") })
    #expect(daemon.logLines(with: "intake pauses") == daemon.logLines(with: "intake resumes"), "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
    #expect(Results(of: daemon).csv.count == written && Results(of: daemon).json.count == written)
  }

  /// Until the file `switch` is gone, its sink `faulty` fails for good at the first record; one picture was dropped.
  private func daemonWithASinkOutOfService() -> DaemonProcess {
    let daemon = DaemonProcess()
    Files.write([1], to: daemon.scratch("switch"))
    daemon.configure(sinks: ["table", "faulty"], extra: faulty(daemon, "fatal", at: "write"))
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/one.bmp")
    #expect(eventually { daemon.log.contains("sink faulty is out of service") }, "\(daemon.log)")
    return daemon
  }

  /// What goes wrong with an open sink is no wrong configuration, however soon it comes after the start.
  @Test func aSinkThatFailsAsSoonAsItIsOpenKeepsTheServiceFromNothing() {
    let daemon = daemonWithASinkOutOfService()
    for _ in 0..<3 {
      daemon.signal(SIGKILL)
      #expect(daemon.waitForExit() == -SIGKILL)
      daemon.start()
      #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    }
    unlink(daemon.scratch("switch"))
    #expect(eventually(seconds: 90) { lines(daemon.scratch("out/faulty")).count == 1 }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }

  @Test func aReloadDoesNotWaitForASinkThatIsOutOfService() {
    let daemon = daemonWithASinkOutOfService()
    daemon.configure(settleMilliseconds: 50, sinks: ["table", "faulty"], extra: faulty(daemon, "fatal", at: "write"))
    daemon.signal(SIGHUP)
    #expect(daemon.waitForNotice("RELOADING=1"))
    #expect(daemon.waitForNotice("READY=1", seconds: 20), "\(daemon.log)")
    #expect(daemon.log.contains("reloaded "))
    unlink(daemon.scratch("switch"))
    #expect(eventually { lines(daemon.scratch("out/faulty")).count == 1 }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForNotice("EXTEND_TIMEOUT_USEC="))
    #expect(daemon.waitForExit() == 0)
    #expect(Results(of: daemon).csv == ["one.bmp"])
  }

  @Test func theCheckNamesEverythingWithItsPlace() {
    let daemon = DaemonProcess()
    Files.write(Array("no weights".utf8), to: daemon.scratch("model"))
    daemon.configure(model: daemon.scratch("model"), extra: "colour = \"red\"")
    daemon.start(arguments: ["--check"])
    #expect(daemon.waitForExit() == 78)
    #expect(daemon.log.contains(":9:8: model default"), "\(daemon.log)")
    #expect(daemon.log.contains(":27:10: [sinks.archive] open: unknown key 'colour'"), "\(daemon.log)")
    #expect(daemon.logLines(with: "\(daemon.configuration):") == 2, "a line a problem")
    daemon.configure()
    daemon.start(arguments: ["--check"])
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }

  @Test func aMemoryLimitThatCannotBeKeptIsRefusedWithTheLeastThatCan() {
    let daemon = DaemonProcess()
    daemon.configure(daemon: "memory_limit = \"20M\"")
    daemon.start()
    #expect(daemon.waitForExit() == 78)
    #expect(daemon.log.contains("is the least that will do"), "\(daemon.log)")
    daemon.configure(daemon: "memory_limit = \"900M\"")
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    #expect(daemon.log.contains("memory stays below"))
    #expect(daemon.log.contains("memory_limit: 1 of 2 workers decode at a time"), "\(daemon.log)")
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/one.bmp")
    #expect(eventually { Results(of: daemon).csv == ["one.bmp"] }, "\(daemon.log)")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }
}
