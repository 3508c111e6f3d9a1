// Starting and reaping the sink host with nothing inherited but its socket and the daemon's stderr.

internal import Glibc

/// Starts `path`, told its sandbox, with one end of a socket as descriptor 3 and returns the other end, which the caller owns.
///
/// The child's stdin is /dev/null, its stdout and stderr the caller's stderr; signals are at their defaults and
/// unblocked; it leads a process group, so that a terminal's Ctrl-C does not reach it. The Swift runtime's handler of fatal
/// signals stays out of it: what a plugin raises must end the process.
/// The host closes descriptors above 3 that a library of the daemon opened without close-on-exec.
func spawnSinkHost(_ path: String, _ sandbox: SinkSandbox) throws(SinkProcessError) -> (socket: Int32, process: Int32) {
  var pair: [Int32] = [-1, -1]
  let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
  guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw .spawn(path: path, errno: errno) }
  let theirs = pair[1]
  defer { close(theirs) }

  var actions = posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawnattr_init(&attributes)
  defer {
    posix_spawn_file_actions_destroy(&actions)
    posix_spawnattr_destroy(&attributes)
  }
  posix_spawn_file_actions_adddup2(&actions, theirs, 3)
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
  posix_spawn_file_actions_adddup2(&actions, 2, 1)
  var every = sigset_t()
  var none = sigset_t()
  sigfillset(&every)
  sigemptyset(&none)
  posix_spawnattr_setsigdefault(&attributes, &every)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setpgroup(&attributes, 0)
  posix_spawnattr_setflags(
    &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

  var inherited: [UnsafeMutablePointer<CChar>?] = []
  var variable = environ
  while let text = variable.pointee {
    if strncmp(text, "SWIFT_BACKTRACE=", 16) != 0 { inherited.append(text) }
    variable += 1
  }
  var process: pid_t = 0
  let result = path.withCString { program in
    sandbox.rawValue.withCString { sandbox in
      var arguments: [UnsafeMutablePointer<CChar>?] = [
        UnsafeMutablePointer(mutating: program), UnsafeMutablePointer(mutating: sandbox), nil,
      ]
      return "SWIFT_BACKTRACE=enable=no".withCString { setting in
        var environment = inherited + [UnsafeMutablePointer(mutating: setting), nil]
        return posix_spawn(&process, program, &actions, &attributes, &arguments, &environment)
      }
    }
  }
  guard result == 0 else {
    close(pair[0])
    throw .spawn(path: path, errno: result)
  }
  return (pair[0], process)
}

/// How the child ended, nil while it runs.
func reap(_ process: Int32) -> String? {
  var status: Int32 = 0
  let result = waitpid(process, &status, WNOHANG)
  if result == 0 { return nil }
  if result < 0 { return errno == EINTR ? nil : "ended (its status was reaped elsewhere)" }
  let signal = status & 0x7f
  guard signal == 0 else { return "was killed by signal \(signal) (\(String(cString: strsignal(signal))))" }
  return "exited with status \((status >> 8) & 0xff)"
}
