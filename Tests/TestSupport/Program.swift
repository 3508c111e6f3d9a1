import Glibc

/// Starting and reaping programs in tests.
package enum Program {
  /// Starts a program (`posix_spawnp`); its standard output and error are appended to `log`.
  ///
  /// Signals are at their defaults and unblocked in the child.
  package static func start(_ words: [String], environment: [String], log: String) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // What starts a test may have blocked signals that the program waits for.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    var every = sigset_t()
    var none = sigset_t()
    sigfillset(&every)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &every)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    var arguments = words.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var process: Int32 = 0
    let result = posix_spawnp(&process, words[0], &actions, &attributes, &arguments, &variables)
    precondition(result == 0, "cannot start \(words[0]): \(result)")
    return process
  }

  /// How a child ended: its exit status, or minus the signal that killed it; nil while it runs.
  package static func reap(_ process: Int32) -> Int32? {
    var status: Int32 = 0
    guard waitpid(process, &status, WNOHANG) == process else { return nil }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
  }
}
