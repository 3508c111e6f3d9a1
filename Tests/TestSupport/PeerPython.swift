import Glibc

/// The Python that `LOOKOUT_PYTHON` names, with other projects' programs in it; `scripts/peers.sh` makes one.
package enum PeerPython {
  /// Its path; nil where none is named.
  package static let path: String? = {
    let named = getenv("LOOKOUT_PYTHON").map { String(cString: $0) } ?? ""
    return named.isEmpty ? nil : named
  }()

  /// Whether there is one that can import all of these.
  package static func has(_ modules: String) -> Bool { run("import \(modules)") == 0 }

  /// Runs a script with these arguments and returns its exit status, or -1 where there is no Python or it crashed.
  package static func run(_ script: String, _ arguments: String...) -> Int32 {
    guard let path else { return -1 }
    var words = ([path, "-c", script] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child = pid_t()
    guard posix_spawn(&child, path, nil, nil, &words, environ) == 0 else { return -1 }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
  }
}
