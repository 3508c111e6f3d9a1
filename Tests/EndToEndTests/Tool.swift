import Glibc
import TestSupport

/// A program run to its end.
struct Ran {
  let status: Int32
  let output: String
  let errors: String

  /// Runs a program; `directory` is where it works.
  init(_ program: String, _ arguments: [String], in scratch: Scratch, directory: String = "/") {
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
    while waitpid(process, &ended, 0) < 0, errno == EINTR {}
    status = ended & 0x7F == 0 ? (ended >> 8) & 0xFF : -(ended & 0x7F)
    output = Files.text(out)
    errors = Files.text(err)
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
