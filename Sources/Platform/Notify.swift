internal import CSystemd
internal import Glibc

/// What the service manager is told (sd_notify(3)); without a manager nothing happens.
///
/// Any thread.
package enum Notify {
  package static func ready(status: String) { send("READY=1\nSTATUS=\(oneLine(status))") }

  package static func status(_ text: String) { send("STATUS=\(oneLine(text))") }

  /// A reload begins; `ready` ends it.
  package static func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonicNanoseconds() / 1000)") }

  package static func stopping(status: String) { send("STOPPING=1\nSTATUS=\(oneLine(status))") }

  /// Asks for more time to stop, counted from now, and says how far the stop is.
  package static func extendTimeout(by duration: Duration, status: String) {
    send("EXTEND_TIMEOUT_USEC=\(duration.nanoseconds / 1000)\nSTATUS=\(oneLine(status))")
  }

  package static func watchdog() { send("WATCHDOG=1") }

  /// How often the manager wants to hear `watchdog` at the latest; nil if it does not (`sd_watchdog_enabled`).
  package static var watchdogInterval: Duration? {
    var microseconds: UInt64 = 0
    return sd_watchdog_enabled(0, &microseconds) > 0 ? .microseconds(Int64(clamping: microseconds)) : nil
  }

  private static func send(_ message: String) { sd_notify(0, message) }

  private static func oneLine(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }
}
