import Glibc
import TestSupport

/// A real `lookoutd` of this build over a private root, as systemd would run it.
final class DaemonProcess {
  let scratch: Scratch
  private(set) var process: pid_t = 0
  private let notifySocket: Int32

  /// Where this build's programs, plugins and test bundles are.
  static let products: String = {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count - 1)
    var program = String(decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if let bundle = CommandLine.arguments.first(where: { $0.hasSuffix(".xctest") }) { program = bundle }
    return String(program[..<(program.lastIndex(of: "/") ?? program.endIndex)])
  }()

  static let repository: String = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  var inbox: String { scratch("inbox") }
  var csv: String { scratch("out/results.csv") }
  var json: String { scratch("out/results.jsonl") }
  var database: String { scratch("out/results.db") }
  var quarantine: String { scratch("state/quarantine/inbox") }
  var configuration: String { scratch("lookout.toml") }
  var httpSocket: String { scratch("run/http.sock") }
  /// Addresses beside the socket, for the next `configure`.
  var listen: [String] = []

  init(after: String = "keep", settleMilliseconds: Int = 100) {
    scratch = Scratch()
    for name in ["inbox", "out", "state", "run", "plugins"] { scratch.folder(name) }
    for sink in ["csv", "json", "sqlite", "example-c"] {
      if let bytes = Files.read("\(Self.products)/liblookout-sink-\(sink).so") {
        Files.write(bytes, to: scratch("plugins/lookout-sink-\(sink).so"))
      }
    }
    notifySocket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = scratch("notify")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8) + [0]) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(notifySocket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    precondition(bound == 0, "cannot bind the notify socket")
    configure(after: after, settleMilliseconds: settleMilliseconds)
  }

  deinit {
    if process > 0 { signal(SIGKILL) }
    close(notifySocket)
  }

  func configure(after: String, settleMilliseconds: Int, extra: String = "") {
    Files.write(
      Array(
        """
        [daemon]
        state_dir = "\(scratch("state"))"
        runtime_dir = "\(scratch("run"))"
        plugin_dirs = ["\(scratch("plugins"))"]
        workers = 2
        listen = [\((["unix:\(httpSocket)"] + listen).map { "\"\($0)\"" }.joined(separator: ", "))]
        [models.default]
        file = "\(Self.repository)/models/default.swiftweights"
        [watches.inbox]
        path = "\(inbox)"
        sinks = ["table", "lines", "archive"]
        after = "\(after)"
        settle_ms = \(settleMilliseconds)
        retry_attempts = 1
        [sinks.table]
        plugin = "csv"
        path = "\(csv)"
        [sinks.lines]
        plugin = "json"
        path = "\(json)"
        [sinks.archive]
        plugin = "sqlite"
        path = "\(database)"
        \(extra)

        """.utf8), to: configuration)
  }

  /// Starts the daemon; its standard error goes to `log` in the private root.
  func start() {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 2, scratch("log"), O_WRONLY | O_CREAT | O_APPEND, 0o644)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let arguments = ["lookoutd", "--config", configuration]
    let environment = ["NOTIFY_SOCKET=\(scratch("notify"))", "PATH=/usr/bin:/bin"]
    var argumentPointers = arguments.map { strdup($0) } + [nil]
    var environmentPointers = environment.map { strdup($0) } + [nil]
    defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
    let result = posix_spawn(
      &process, "\(Self.products)/lookoutd", &actions, nil, &argumentPointers, &environmentPointers)
    precondition(result == 0, "cannot start lookoutd: \(result)")
  }

  /// Waits for a notification with this text, as systemd would; false after `seconds`.
  func waitForNotice(_ text: String, seconds: Int = 30) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 8192)
    let end = time(nil) + seconds
    while time(nil) < end {
      var waiting = pollfd(fd: notifySocket, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 1000) > 0 else { continue }
      let count = recv(notifySocket, &buffer, buffer.count, 0)
      if count > 0, String(decoding: buffer[..<count], as: UTF8.self).contains(text) { return true }
    }
    return false
  }

  func signal(_ number: Int32) { kill(process, number) }

  /// Waits for the end and gives the exit status, or minus the signal that killed it.
  func waitForExit() -> Int32 {
    var status: Int32 = 0
    var unread = [UInt8](repeating: 0, count: 8192)
    while waitpid(process, &status, WNOHANG) == 0 {
      var waiting = pollfd(fd: notifySocket, events: Int16(POLLIN), revents: 0)
      if poll(&waiting, 1, 20) > 0 { recv(notifySocket, &unread, unread.count, 0) }
    }
    process = 0
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
  }

  var log: String { Files.text(scratch("log")) }
}

/// Polls a condition that another process brings about; false when it did not come in time.
func eventually(seconds: Int = 30, _ condition: () -> Bool) -> Bool {
  let end = time(nil) + seconds
  while time(nil) < end {
    if condition() { return true }
    usleep(10_000)
  }
  return condition()
}
