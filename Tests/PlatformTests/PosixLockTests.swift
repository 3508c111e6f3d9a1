import Glibc
import Platform
import TestSupport
import Testing

/// One daemon a state folder.
@Suite(.timeLimit(.minutes(15))) struct PosixLockTests {
  @Test func aSecondHolderIsRefusedUntilTheFirstGoes() throws {
    let scratch = Scratch()
    let path = Path(scratch("lock"))
    do {
      let held = try PosixLock(path: path)
      #expect(throws: PlatformError.locked(path: scratch("lock"))) { try PosixLock(path: path) }
      withExtendedLifetime(held) { #expect(Files.text(scratch("lock")) == "\(getpid())\n") }
    }
    _ = try PosixLock(path: path)
  }
}
