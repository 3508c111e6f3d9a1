import Glibc
import TestSupport

/// A real `lookoutd` of this build over a private root, as systemd would run it.
final class DaemonProcess {
  let scratch: Scratch
  private(set) var process: pid_t = 0
  private let notifySocket: NotifySocket

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
    notifySocket = NotifySocket(path: scratch("notify"))
    configure(after: after, settleMilliseconds: settleMilliseconds)
  }

  deinit {
    if process > 0 { signal(SIGKILL) }
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
    process = Program.start(
      ["\(Self.products)/lookoutd", "--config", configuration],
      environment: ["NOTIFY_SOCKET=\(notifySocket.path)", "PATH=/usr/bin:/bin"], log: scratch("log"))
  }

  /// Waits for a notification with this text, as systemd would; false after `seconds`.
  func waitForNotice(_ text: String, seconds: Int = 30) -> Bool {
    let end = time(nil) + seconds
    while time(nil) < end {
      if let message = notifySocket.next(withinMilliseconds: 1000), message.contains(text) { return true }
    }
    return false
  }

  func signal(_ number: Int32) { kill(process, number) }

  /// Waits for the end and gives the exit status, or minus the signal that killed it.
  func waitForExit() -> Int32 {
    while true {
      if let end = Program.reap(process) {
        process = 0
        return end
      }
      _ = notifySocket.next(withinMilliseconds: 20)
    }
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
