import Glibc
import TestSupport
import Testing

/// Whatever lies in the inbox ends as documented and holds up nothing else.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct BadInputTests {
  /// A baseline JPEG's header that announces a picture of 65,500 × 65,500, and the end of an image.
  private static let bomb: [UInt8] =
    [0xFF, 0xD8, 0xFF, 0xC0, 0x00, 0x11, 8, 0xFF, 0xDC, 0xFF, 0xDC, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]
    + [0xFF, 0xDA, 0x00, 0x0C, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0] + [UInt8](repeating: 0, count: 64) + [0xFF, 0xD9]

  private static let photo = Files.read("\(DaemonProcess.repository)/Tests/ImagingTests/Fixtures/sampling0.jpg") ?? []

  @Test func eachEndsAsDocumentedAndNoneHoldsUpAnother() {
    let daemon = DaemonProcess()
    daemon.start()
    #expect(daemon.waitForNotice("READY=1"), "\(daemon.log)")
    let refused: [(name: String, bytes: [UInt8])] = [
      ("text.jpg", Array("this is no picture\n".utf8)), ("empty.jpg", []),
      ("truncated.jpg", Array(Self.photo.dropLast(Self.photo.count / 2))), ("bomb.jpg", Self.bomb),
      ("cut.bmp", Array(TestPicture.bmp(number: 3).prefix(500))),
    ]
    for file in refused { Files.write(file.bytes, to: "\(daemon.inbox)/\(file.name)") }
    mkdir("\(daemon.inbox)/folder.jpg", 0o755)
    mkfifo("\(daemon.inbox)/pipe.jpg", 0o644)
    symlink("/etc/passwd", "\(daemon.inbox)/link.jpg")
    Files.write(Array("notes".utf8), to: "\(daemon.inbox)/notes.txt")
    Files.write(TestPicture.bmp(number: 4), to: "\(daemon.inbox)/new\nline.bmp")
    Files.write(TestPicture.bmp(number: 5), to: Array("\(daemon.inbox)/latin-".utf8) + [0xE9] + Array(".bmp".utf8))
    Files.write(Self.photo, to: "\(daemon.inbox)/good.jpg")
    #expect(eventually { Results(of: daemon).sqlite.contains("good.jpg") }, "\(daemon.log)")

    let isQuarantined = eventually {
      let names = Set(Files.names(in: daemon.quarantine))
      return refused.allSatisfy { names.contains($0.name) && names.contains("\($0.name).reason.txt") }
    }
    #expect(isQuarantined, "\(Files.names(in: daemon.quarantine)) \(daemon.log)")
    for file in refused {
      #expect(Files.read("\(daemon.quarantine)/\(file.name)") == file.bytes, "the bytes of \(file.name)")
      #expect(!Files.exists("\(daemon.inbox)/\(file.name)"))
      #expect(Files.text("\(daemon.quarantine)/\(file.name).reason.txt").hasPrefix("reason: "))
    }
    #expect(Files.text("\(daemon.quarantine)/bomb.jpg.reason.txt").contains("65500"))
    // What is no regular file, or no picture by name and content, stays, with one line in the journal.
    for name in ["link.jpg", "pipe.jpg", "notes.txt"] {
      #expect(Files.exists("\(daemon.inbox)/\(name)"))
      #expect(eventually { daemon.logLines(with: "\(name) is left where it is") == 1 }, "\(name): \(daemon.log)")
    }
    #expect(Files.exists("\(daemon.inbox)/folder.jpg"))
    // A folder is watched whatever its name.
    Files.write(TestPicture.bmp(number: 6), to: "\(daemon.inbox)/folder.jpg/inside.bmp")
    let isAnswered = eventually {
      let rows = Results(of: daemon)
      return rows.sqlite.count == refused.count + 4 && rows.json.count == refused.count + 4
    }
    #expect(isAnswered, "\(Results(of: daemon).sqlite) \(daemon.log)")
    let rows = Results(of: daemon)
    #expect(rows.sqlite.contains("inside.bmp") && rows.sqlite.contains("new\nline.bmp"))
    let failed = Files.text(daemon.json).split(separator: "\n").filter { $0.contains("\"status\":\"failed\"") }
    #expect(failed.count == refused.count)
    #expect(daemon.logLines(with: "new\\x0aline.bmp") <= 1, "a line break in a name breaks no line of the journal")
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0)
  }

  /// Starts the daemon as another user, since root may read everything; false if this build is closed to others.
  private func startAsNobody(_ daemon: DaemonProcess) -> Bool {
    let nobody: uid_t = 65_534
    for folder in ["", "inbox", "out", "state", "run", "plugins"] {
      chown("\(daemon.scratch.path)/\(folder)", nobody, nobody)
    }
    for name in Files.names(in: daemon.scratch("plugins")) { chown(daemon.scratch("plugins/\(name)"), nobody, nobody) }
    chmod(daemon.scratch("notify"), 0o777)
    daemon.start(wrapper: ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    guard daemon.waitForNotice("READY=1") else {
      // The build folder itself may be closed to other users.
      let isClosed = ["Permission denied", "default.swiftweights is not there"].contains { daemon.log.contains($0) }
      #expect(daemon.log.isEmpty || isClosed, "\(daemon.log)")
      daemon.signal(SIGKILL)
      _ = daemon.waitForExit()
      return false
    }
    return true
  }

  @Test(.enabled(if: geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0))
  func aFolderThatWasClosedIsListedSoonAfterItOpens() {
    let daemon = DaemonProcess()
    daemon.configure(watch: "recursive = true")
    let folder = daemon.scratch.folder("inbox/below")
    guard startAsNobody(daemon) else { return }
    // The periodic sweep comes once a minute only.
    for (number, closed) in [folder, daemon.inbox].enumerated() {
      chmod(closed, 0)
      Files.write(TestPicture.bmp(number: number), to: "\(closed)/\(number).bmp")
      #expect(
        eventually { daemon.logLines(with: "it cannot be listed") + daemon.logLines(with: "tried again") > number })
      Files.write(TestPicture.bmp(number: 10 + number), to: "\(closed)/\(10 + number).bmp")
      chmod(closed, 0o777)
      #expect(eventually(seconds: 20) { Results(of: daemon).csv.count == 2 * (number + 1) }, "\(daemon.log)")
    }
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }

  @Test(.enabled(if: geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0))
  func aFileThatMayNotBeReadIsQuarantinedWithItsReason() {
    let daemon = DaemonProcess()
    guard startAsNobody(daemon) else { return }
    Files.write(TestPicture.bmp(number: 1), to: "\(daemon.inbox)/.secret")
    chmod("\(daemon.inbox)/.secret", 0)
    rename("\(daemon.inbox)/.secret", "\(daemon.inbox)/secret.bmp")
    Files.write(TestPicture.bmp(number: 2), to: "\(daemon.inbox)/open.bmp")
    #expect(eventually { Results(of: daemon).csv.contains("open.bmp") }, "\(daemon.log)")
    #expect(eventually { Files.exists("\(daemon.quarantine)/secret.bmp") }, "\(daemon.log)")
    #expect(Files.text("\(daemon.quarantine)/secret.bmp.reason.txt").contains("Permission denied"))
    daemon.signal(SIGTERM)
    #expect(daemon.waitForExit() == 0, "\(daemon.log)")
  }
}
