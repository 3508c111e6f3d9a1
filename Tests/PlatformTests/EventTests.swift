import Glibc
import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct InotifyTests {
  /// A watched folder.
  private struct Watched {
    let scratch = Scratch()
    let inotify: Inotify
    let wake: WakeSignal
    let watch: Int32

    init() throws {
      inotify = try Inotify()
      wake = try WakeSignal()
      watch = try inotify.add(Path(scratch.path), events: .arrivalsAndDepartures)
    }

    /// Reads until an event fits; nil when none comes any more.
    func next(_ mask: InotifyEvent.Mask) -> InotifyEvent? {
      while true {
        let events = inotify.read(timeout: .seconds(20), wake: wake).events
        if events.isEmpty { return nil }
        if let event = events.first(where: { $0.mask.isSuperset(of: mask) }) { return event }
      }
    }
  }

  @Test func tellsOfAClosedFile() throws {
    let watched = try Watched()
    Files.write([1], to: watched.scratch("a.jpg"))
    let event = watched.next(.closeWrite)
    #expect(event?.name == Array("a.jpg".utf8))
    #expect(event?.watch == watched.watch)
    #expect(event?.isOverflow == false)
  }

  @Test func tellsOfAFileMovedIn() throws {
    let watched = try Watched()
    let elsewhere = Scratch()
    Files.write([1], to: elsewhere("draft"))
    try moveFile(from: Path(elsewhere("draft")), toFree: Path(watched.scratch("a.jpg")))
    #expect(watched.next(.movedTo)?.name == Array("a.jpg".utf8))
  }

  @Test func tellsOfANewFolder() throws {
    let watched = try Watched()
    watched.scratch.folder("sub")
    #expect(watched.next([.create, .isDirectory])?.name == Array("sub".utf8))
  }

  @Test func givesNamesThatAreNoUTF8() throws {
    let watched = try Watched()
    let name: [UInt8] = [0xFF, 0x0A, 0xC3, 0x2E]
    let path = Path(watched.scratch.path).appending(name)
    Files.write([1], to: path.bytes)
    #expect(watched.next(.closeWrite)?.name == name)
    try path.unlink()
    #expect(watched.next(.delete)?.name == name)
  }

  @Test func givesEveryOneOfManyEvents() throws {
    let watched = try Watched()
    for number in 0..<500 { Files.write([1], to: watched.scratch("\(number)")) }
    var closed: [String] = []
    while closed.count < 500 {
      let events = watched.inotify.read(timeout: .seconds(20), wake: watched.wake).events
      if events.isEmpty { break }
      closed += events.filter { $0.mask.contains(.closeWrite) }.map { String(decoding: $0.name, as: UTF8.self) }
    }
    #expect(closed == (0..<500).map { "\($0)" })
  }

  @Test func aWatchOfAFolderIsTheSameEveryTimeAndCanBeGivenBack() throws {
    let watched = try Watched()
    #expect(try watched.inotify.add(Path(watched.scratch.path), events: .arrivalsAndDepartures) == watched.watch)
    watched.inotify.remove(watched.watch)
    watched.inotify.remove(watched.watch)
    #expect(watched.next(.ignored)?.watch == watched.watch)
    Files.write([1], to: watched.scratch("unseen"))
    #expect(watched.inotify.read(timeout: .zero, wake: watched.wake).events.isEmpty)
  }

  @Test func watchesFoldersOnly() throws {
    let watched = try Watched()
    Files.write([1], to: watched.scratch("file"))
    #expect(throws: PlatformError.self) {
      try watched.inotify.add(Path(watched.scratch("file")), events: .arrivalsAndDepartures)
    }
  }

  @Test func aWakeUpEndsTheWait() throws {
    let watched = try Watched()
    watched.wake.wake()
    watched.wake.wake()
    #expect(watched.inotify.read(timeout: nil, wake: watched.wake).events.isEmpty)
    Files.write([1], to: watched.scratch("a"))
    #expect(watched.next(.closeWrite)?.name == [0x61])
  }

  @Test func aWakeUpFromAnotherThreadEndsTheWait() throws {
    let watched = try Watched()
    let wake = watched.wake
    let thread = OwnedThread(name: "wake") { wake.wake() }
    #expect(watched.inotify.read(timeout: nil, wake: wake).events.isEmpty)
    thread.join()
  }

  @Test func theWaitEndsInTime() throws {
    let watched = try Watched()
    #expect(watched.inotify.read(timeout: .zero, wake: watched.wake).events.isEmpty)
    #expect(watched.inotify.read(timeout: .microseconds(10), wake: watched.wake).events.isEmpty)
  }
}

@Suite(.timeLimit(.minutes(15)), .serialized)
struct NotifyTests {
  @Test func speaksToTheServiceManager() throws {
    let scratch = Scratch()
    let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(scratch("notify").utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
    setenv("NOTIFY_SOCKET", scratch("notify"), 1)
    defer { unsetenv("NOTIFY_SOCKET") }
    func heard() -> String {
      var buffer = [UInt8](repeating: 0, count: 1000)
      let count = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
    Notify.ready(status: "two\nlines")
    #expect(heard() == "READY=1\nSTATUS=two lines")
    Notify.watchdog()
    #expect(heard() == "WATCHDOG=1")
    Notify.stopping(status: "bye")
    #expect(heard() == "STOPPING=1\nSTATUS=bye")
    Notify.reloading()
    #expect(heard().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
    #expect(heard().isEmpty)
  }
}
