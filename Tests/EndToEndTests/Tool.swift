import Glibc
import TestSupport

/// A program run to its end.
struct Ran {
  let status: Int32
  let output: String
  let errors: String
  /// The most memory that it was seen to hold at a time, if that was looked at.
  private(set) var peakBytes = 0

  /// Runs a program; `directory` is where it works.
  init(
    _ program: String, _ arguments: [String], in scratch: Scratch, directory: String = "/", watchesMemory: Bool = false
  ) {
    let number = UInt32.random(in: 0..<UInt32.max)
    let (out, err) = (scratch("out-\(number)"), scratch("err-\(number)"))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    var words = (["env", "-C", directory, program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    guard posix_spawnp(&process, "env", &actions, nil, &words, environ) == 0 else {
      (status, output, errors) = (127, "", "\(program) does not start")
      return
    }
    var ended: Int32 = 0
    while case let done = waitpid(process, &ended, watchesMemory ? WNOHANG : 0), done != process {
      guard done == 0 || errno == EINTR else { break }
      guard watchesMemory else { continue }
      peakBytes = max(peakBytes, Self.peakBytes(of: process, running: program))
      usleep(2000)
    }
    status = ended & 0x7F == 0 ? (ended >> 8) & 0xFF : -(ended & 0x7F)
    output = Files.text(out)
    errors = Files.text(err)
  }
}

extension Ran {
  /// What the kernel says of a process's memory, once it runs the program: before, the memory is the test's own, and so
  /// would be what `wait4` tells.
  fileprivate static func peakBytes(of process: pid_t, running program: String) -> Int {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/\(process)/exe", &path, path.count - 1)
    let running = String(decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let status = Files.text("/proc/\(process)/status")
    guard running.split(separator: "/").last == program.split(separator: "/").last,
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
    else { return 0 }
    return kibibytes * 1024
  }
}

extension DaemonProcess {
  /// Runs the tool against this daemon.
  func tool(_ arguments: String...) -> Ran {
    Ran("\(Self.products)/lookout", arguments + ["--socket", httpSocket], in: scratch)
  }

  /// Posts over the Unix socket.
  func post(_ path: String, _ body: [UInt8] = [], headers: [(String, String)] = []) -> RawHTTP.Answer? {
    guard let client = RawHTTP(unix: httpSocket) else { return nil }
    client.request("POST", path, headers: headers, body: body)
    return client.answer(within: 60)
  }
}
