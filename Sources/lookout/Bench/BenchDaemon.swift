internal import Engine
internal import FoundationEssentials
internal import Glibc
internal import Platform

/// A daemon of this installation over a scratch folder of its own, started and measured as systemd would start it.
///
/// One thread uses it. The scratch folder goes with it, the daemon too if it still runs.
final class BenchDaemon {
  /// What the daemon is to do.
  struct Plan {
    var model: String
    /// What the model computes with.
    var precision: Precision
    var workers = 2
    /// Names of plugins; each writes into a file of its own.
    var sinks = ["csv", "json", "sqlite"]
    /// Move answered photos out of the inbox, which happens once every sink reported their rows durable.
    var moves = true
  }

  let inbox: Path
  /// Where answered photos go.
  let done: Path
  /// Where photos wait before they are renamed into the inbox: on the same file system.
  let staging: Path
  private let root: Path
  private let plan: Plan
  private var process: pid_t = 0
  private var notices: Int32 = -1

  /// Makes the folders below `scratch`, links the plugins and writes the configuration.
  init(_ plan: Plan, below scratch: String) throws(Failure) {
    self.plan = plan
    var template = Array("\(scratch)/lookout-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw .output("\(scratch): no folder can be made there: \(String(cString: strerror(errno)))")
    }
    let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    root = Path(path)
    (inbox, done, staging) = (root.appending("inbox"), root.appending("done"), root.appending("staging"))
    do throws(PlatformError) {
      for folder in [inbox, done, staging, root.appending("out"), root.appending("plugins")] {
        try Directory.create(folder, mode: 0o755)
      }
    } catch {
      throw .output("\(error)")
    }
    try linkPlugins()
    try Self.write(configuration, to: root.appending("lookout.toml"))
  }

  deinit {
    if process > 0 {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
    if notices >= 0 { close(notices) }
    try? FileManager.default.removeItem(atPath: root.displayed)
  }

  /// The file that a sink writes.
  func output(of sink: String) -> Path {
    root.appending("out/results." + (["json": "jsonl", "sqlite": "db"][sink] ?? sink))
  }

  private var configuration: String {
    let sinks = plan.sinks.map { "[sinks.\($0)]\nplugin = \"\($0)\"\npath = \"\(output(of: $0).displayed)\"\n" }
    return """
      [daemon]
      state_dir = "\(root.displayed)/state"
      runtime_dir = "\(root.displayed)/run"
      plugin_dirs = ["\(root.displayed)/plugins"]
      workers = \(plan.workers)
      [models.default]
      file = "\(plan.model)"
      precision = "\(plan.precision.rawValue)"
      [watches.inbox]
      path = "\(inbox.displayed)"
      sinks = [\(plan.sinks.map { "\"\($0)\"" }.joined(separator: ", "))]
      after = "\(plan.moves ? "move:\(done.displayed)" : "keep")"
      \(sinks.joined())
      """
  }

  private static var programFolder: String {
    let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "."
    return Path(path).parent.displayed
  }

  private static func write(_ text: String, to path: Path) throws(Failure) {
    do throws(PlatformError) {
      try FileDescriptor.open(path, flags: [.writeOnly, .create, .truncate]).writeAll(Array(text.utf8))
    } catch {
      throw .output("\(error)")
    }
  }

  /// Plugins of an installation stand in `../lib/lookout/plugins`, those of a build beside the programs.
  private func linkPlugins() throws(Failure) {
    let folder = Self.programFolder
    for sink in plan.sinks {
      let candidates = [
        "\(folder)/liblookout-sink-\(sink).so", "\(folder)/../lib/lookout/plugins/lookout-sink-\(sink).so",
      ]
      guard let found = candidates.first(where: { access($0, R_OK) == 0 }) else {
        throw .input("no plugin '\(sink)' beside this program: \(candidates.joined(separator: ", ")); run make build")
      }
      symlink(found, "\(root.displayed)/plugins/lookout-sink-\(sink).so")
    }
  }

  /// Starts the daemon and waits until it is ready.
  ///
  /// - Returns: nanoseconds from just before the process was made to READY.
  @discardableResult
  func start() throws(Failure) -> Int64 {
    let address = "\(root.displayed)/notify"
    try listen(at: address)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 2, "\(root.displayed)/log", O_WRONLY | O_CREAT | O_APPEND, 0o644)
    let program = "\(Self.programFolder)/lookoutd"
    let words = [program, "--config", "\(root.displayed)/lookout.toml"]
    var arguments = words.map { strdup($0) } + [nil]
    let variables = ["NOTIFY_SOCKET=\(address)", "PATH=/usr/bin:/bin"]
    var environment = variables.map { strdup($0) } + [nil]
    defer { for pointer in arguments + environment { free(pointer) } }
    let begun = Clock.monotonicNanoseconds()
    let result = posix_spawn(&process, program, &actions, nil, &arguments, &environment)
    guard result == 0 else { throw .input("\(program) cannot be started: \(String(cString: strerror(result)))") }
    try waitForNotice("READY=1")
    return Clock.monotonicNanoseconds() - begun
  }

  private func listen(at path: String) throws(Failure) {
    if notices >= 0 { close(notices) }
    unlink(path)
    notices = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let isShort = withUnsafeMutableBytes(of: &address.sun_path) { room in
      guard path.utf8.count < room.count else { return false }
      room.copyBytes(from: path.utf8)
      return true
    }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(notices, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard isShort, bound == 0 else { throw .output("\(path): no socket can be made there; name a shorter --scratch") }
  }

  private func waitForNotice(_ text: String) throws(Failure) {
    var buffer = [UInt8](repeating: 0, count: 8192)
    let end = Clock.monotonicNanoseconds() + 60_000_000_000
    while Clock.monotonicNanoseconds() < end {
      var waiting = pollfd(fd: notices, events: Int16(POLLIN), revents: 0)
      if poll(&waiting, 1, 20) > 0 {
        let count = recv(notices, &buffer, buffer.count, 0)
        if count > 0, String(decoding: buffer[..<count], as: UTF8.self).contains(text) { return }
      } else if waitpid(process, nil, WNOHANG) != 0 {
        process = 0
        throw .data("lookoutd ended before it was ready: \(log)")
      }
    }
    throw .data("lookoutd was not ready within a minute: \(log)")
  }

  /// Stops it with SIGTERM and waits until it drained.
  func stop() throws(Failure) {
    kill(process, SIGTERM)
    var status: Int32 = 0
    var unread = [UInt8](repeating: 0, count: 8192)
    while waitpid(process, &status, WNOHANG) == 0 {
      var waiting = pollfd(fd: notices, events: Int16(POLLIN), revents: 0)
      if poll(&waiting, 1, 5) > 0 { recv(notices, &unread, unread.count, 0) }
    }
    process = 0
    guard status == 0 else { throw .data("lookoutd ended with status \(status): \(log)") }
  }

  /// What the daemon wrote into its journal.
  var log: String {
    let bytes = FileManager.default.contents(atPath: "\(root.displayed)/log") ?? Data()
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Resident memory of the daemon, and of its sinks' processes together, in MiB (`VmRSS` of /proc).
  func residentMebibytes() -> (daemon: Double, sinks: Double) {
    // Sink hosts are made by sink threads, so every thread's children count.
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
    let hosts = threads.flatMap { thread in
      Self.text("/proc/\(process)/task/\(thread)/children").split(separator: " ").compactMap { Int32($0) }
    }
    return (Self.resident(process), hosts.reduce(0) { $0 + Self.resident($1) })
  }

  private static func resident(_ process: pid_t) -> Double {
    let line = text("/proc/\(process)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return (line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? 0)
      / 1024
  }

  private static func text(_ path: String) -> String {
    String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
  }
}
