internal import Glibc

/// The lock that makes a state folder one daemon's; given back when the owner goes or the process dies (`flock`).
package final class PosixLock: Sendable {
  private let raw: Int32

  /// - Throws: `PlatformError.locked` if another process holds it.
  package init(path: Path) throws(PlatformError) {
    raw = try checked("open", path) { path.withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o640) } }
    guard flock(raw, LOCK_EX | LOCK_NB) == 0 else {
      close(raw)
      throw .locked(path: path.displayed)
    }
  }

  deinit { close(raw) }
}
