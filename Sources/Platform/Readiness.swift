internal import CShims
internal import Glibc

/// Descriptors in groups, for all of which one thread waits (epoll(7)).
///
/// A group that was told is not told again before it is expected anew, so that whoever attends to it may read in peace.
package final class Readiness: Sendable {
  private let raw: Int32
  private let groups: [[Int32]]
  private let signal: WakeSignal
  private static let signalKey = UInt64.max

  /// Expects every group.
  ///
  /// `groups`: descriptors that stay open as long as this lives, each in one group.
  ///
  /// - Throws: `PlatformError.system` when no descriptor or memory is left.
  package init(_ groups: [[Int32]]) throws(PlatformError) {
    self.groups = groups
    signal = try WakeSignal()
    raw = try checked("epoll_create1") { lookout_epoll() }
    try ask(for: signal.raw, key: Self.signalKey, once: false)
    for (number, group) in groups.enumerated() {
      for descriptor in group { try ask(for: descriptor, key: UInt64(number), once: true) }
    }
  }

  deinit { close(raw) }

  private func ask(for descriptor: Int32, key: UInt64, once: Bool) throws(PlatformError) {
    let raw = raw
    try checked("epoll_ctl") { lookout_epoll_ask(raw, descriptor, key, once ? 1 : 0) }
  }

  /// From now on a descriptor of this group that is readable, or is so already, ends the wait once.
  ///
  /// Any thread.
  package func expect(_ group: Int) {
    for descriptor in groups[group] {
      do throws(PlatformError) {
        try ask(for: descriptor, key: UInt64(group), once: true)
      } catch {
        // The kernel has known it since the start and takes no memory to hear of it again.
        preconditionFailure("\(error)")
      }
    }
  }

  /// Ends the wait, now or the next one.
  ///
  /// Any thread.
  package func wake() { signal.wake() }

  /// Waits until a group that is expected is readable, somebody calls `wake`, or a moment of the monotonic clock has come.
  ///
  /// One thread. `moment`: `.max` for none.
  ///
  /// - Returns: groups that are readable, some of them twice; more may follow at once.
  package func wait(until moment: Int64) -> [Int] {
    let now = Clock.monotonicNanoseconds()
    let left = moment > now ? moment - now : 0
    let milliseconds = moment == .max ? -1 : Int32(clamping: left / 1_000_000 + (left % 1_000_000 > 0 ? 1 : 0))
    return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 64) { keys in
      guard let first = keys.baseAddress else { return [] }
      let count = Int(lookout_epoll_wait(raw, first, milliseconds))
      var told: [Int] = []
      for key in keys.prefix(max(0, count)) {
        if key == Self.signalKey { signal.consume() } else { told.append(Int(key)) }
      }
      return told
    }
  }
}
