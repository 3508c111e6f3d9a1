import Glibc
import Platform
import Synchronization
import TestSupport

/// A real `lookoutd` of this build over a private root, as systemd would run it.
final class DaemonProcess {
  let scratch: Scratch
  private(set) var process: pid_t = 0
  private let notices: Notices

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
  var httpSocket: String { scratch("run/\(socketName)") }
  /// For the next `configure`.
  var socketName = "http.sock"
  /// Addresses beside the socket, for the next `configure`.
  var listen: [String] = []

  init(after: String = "keep", settleMilliseconds: Int = 100) {
    scratch = Scratch()
    for name in ["inbox", "out", "state", "run", "plugins"] { scratch.folder(name) }
    for sink in ["csv", "json", "sqlite", "example-c", "faulty"] {
      if let bytes = Files.read("\(Self.products)/liblookout-sink-\(sink).so") {
        Files.write(bytes, to: scratch("plugins/lookout-sink-\(sink).so"))
      }
    }
    notices = Notices(path: scratch("notify"))
    configure(after: after, settleMilliseconds: settleMilliseconds)
  }

  deinit {
    if process > 0 { signal(SIGKILL) }
    notices.close()
  }

  /// `daemon`, `modelTable` and `watch` are lines for these tables, `extra` is text behind everything.
  func configure(
    after: String = "keep", settleMilliseconds: Int = 100, sinks: [String] = ["table", "lines", "archive"],
    model: String = "\(DaemonProcess.repository)/models/default.swiftweights", daemon: String = "",
    modelTable: String = "", watch: String = "", extra: String = ""
  ) {
    Files.write(
      Array(
        """
        [daemon]
        state_dir = "\(scratch("state"))"
        runtime_dir = "\(scratch("run"))"
        plugin_dirs = ["\(scratch("plugins"))"]
        workers = 2
        listen = [\((["unix:\(httpSocket)"] + listen).map { "\"\($0)\"" }.joined(separator: ", "))]
        \(daemon)
        [models.default]
        file = "\(model)"
        \(modelTable)
        [watches.inbox]
        path = "\(inbox)"
        sinks = [\(sinks.map { "\"\($0)\"" }.joined(separator: ", "))]
        after = "\(after)"
        settle_ms = \(settleMilliseconds)
        retry_attempts = 1
        \(watch)
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
  ///
  /// `wrapper`: a program with its arguments that runs it, for example as another user. `environment`: NAME=value.
  func start(wrapper: [String] = [], arguments more: [String] = [], environment added: [String] = []) {
    process = Program.start(
      wrapper + ["\(Self.products)/lookoutd", "--config", configuration] + more,
      environment: ["NOTIFY_SOCKET=\(scratch("notify"))", "PATH=/usr/bin:/bin"] + added, log: scratch("log"))
  }

  /// What a thread of this name has taken of the processors, in the kernel's ticks (proc(5)); nil if there is none.
  func ticks(ofThread name: String) -> Int? {
    for thread in Files.names(in: "/proc/\(process)/task") {
      let status = Files.text("/proc/\(process)/task/\(thread)/stat")
      guard let end = status.lastIndex(of: ")"), status[..<end].hasSuffix("(\(name)") else { continue }
      let fields = status[end...].split(separator: " ").dropFirst()
      return fields.dropFirst(11).prefix(2).reduce(0) { $0 + (Int($1) ?? 0) }
    }
    return nil
  }

  /// Waits for a notification with this text, as systemd would; false after `seconds`.
  ///
  /// Those before it are forgotten.
  func waitForNotice(_ text: String, seconds: Int = 30) -> Bool {
    eventually(seconds: seconds) { notices.take(through: text) }
  }

  func signal(_ number: Int32) { kill(process, number) }

  /// Waits for the end and gives the exit status, or minus the signal that killed it.
  func waitForExit() -> Int32 {
    while true {
      if let end = Program.reap(process) {
        process = 0
        return end
      }
      usleep(5_000)
    }
  }

  var log: String { Files.text(scratch("log")) }

  /// How many lines of the log hold a text.
  func logLines(with text: String) -> Int { log.split(separator: "\n").count { $0.contains(text) } }
}

/// What the daemon told its manager and no test has taken yet.
///
/// Read as a manager does, at once and always: a full socket would make the daemon wait.
private final class Notices: Sendable {
  private let waiting: Mutex<[String]>
  private let isClosed: Mutex<Bool>
  private let listener: Mutex<OwnedThread?>

  init(path: String) {
    waiting = Mutex([])
    isClosed = Mutex(false)
    listener = Mutex(nil)
    let bound = Bell()
    let thread = OwnedThread(name: "notices") { [self] in
      let socket = NotifySocket(path: path)
      bound.ring()
      while !isClosed.withLock({ $0 }) {
        if let text = socket.next(withinMilliseconds: 100) { waiting.withLock { $0.append(text) } }
      }
    }
    listener.withLock { $0 = thread }
    bound.wait(for: .seconds(60))
  }

  /// Ends the listening.
  func close() {
    isClosed.withLock { $0 = true }
    listener.withLock { $0 }?.join()
  }

  /// Forgets everything up to the first one with a text; false if there is none.
  func take(through text: String) -> Bool {
    waiting.withLock { waiting in
      guard let index = waiting.firstIndex(where: { $0.contains(text) }) else { return false }
      waiting.removeFirst(index + 1)
      return true
    }
  }
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
