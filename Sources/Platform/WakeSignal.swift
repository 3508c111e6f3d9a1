internal import CShims
internal import Glibc

/// A descriptor that becomes readable when somebody wakes the thread that polls it (`eventfd`).
package final class WakeSignal: Sendable {
  /// The descriptor: readable while there are wake-ups.
  package let raw: Int32

  /// - Throws: `PlatformError.system` when no descriptor is left.
  package init() throws(PlatformError) {
    raw = try checked("eventfd") { lookout_eventfd() }
  }

  deinit { close(raw) }

  /// Wakes the poller, now or at its next poll.
  ///
  /// Any thread.
  package func wake() {
    var one: UInt64 = 1
    _ = write(raw, &one, 8)
  }

  /// Sleeps until somebody wakes the thread, one of the descriptors is readable, or the time is over (`poll`); the
  /// wake-ups there were are taken.
  package func wait(besides descriptors: [Int32], milliseconds: Int32) {
    var waiting = ([raw] + descriptors).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard poll(&waiting, nfds_t(waiting.count), milliseconds) > 0 else { return }
    if waiting[0].revents != 0 { consume() }
  }

  /// Waits for a wake-up, at most as long as said, and takes it (`poll`).
  ///
  /// One thread.
  package func wait(for limit: Duration) {
    var waiting = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
    let nanoseconds = max(0, limit.nanoseconds)
    let milliseconds = Int32(clamping: nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0))
    if poll(&waiting, 1, milliseconds) > 0 { consume() }
  }

  /// Takes the wake-ups there are; the descriptor is quiet afterwards.
  func consume() {
    var count: UInt64 = 0
    _ = read(raw, &count, 8)
  }
}
