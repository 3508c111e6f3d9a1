internal import Glibc

/// The lock that makes a state folder one daemon's; given back when the owner goes or the process dies (`flock`).
package final class PosixLock: Sendable {
  private let raw: Int32

  /// Takes the lock and writes the process id into the file, for people who look for the holder.
  ///
  /// - Throws: `PlatformError.locked` if another process holds it; `.system` where locks are not to be had at all.
  package init(path: Path) throws(PlatformError) {
    raw = try checked("open", path) { path.withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o640) } }
    do throws(PlatformError) {
      let raw = raw
      try checked("flock", path) { flock(raw, LOCK_EX | LOCK_NB) }
      try checked("ftruncate", path) { ftruncate(raw, 0) }
      let line = Array("\(getpid())\n".utf8)
      try checked("write", path) { line.withUnsafeBytes { write(raw, $0.baseAddress, $0.count) } }
    } catch {
      close(raw)
      if case .system("flock", _, EWOULDBLOCK) = error { throw .locked(path: path.displayed) }
      throw error
    }
  }

  deinit { close(raw) }
}
