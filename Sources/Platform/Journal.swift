internal import Glibc
internal import Synchronization

/// The journal: one line for each event that matters, with fields; plain lines on standard error elsewhere.
package enum Journal {
  /// Severity as in syslog(3).
  package enum Level: Int, Sendable {
    case critical = 2
    case error = 3
    case warning = 4
    case notice = 5
    case info = 6

    var word: String {
      switch self {
      case .critical: "critical"
      case .error: "error"
      case .warning: "warning"
      case .notice: "notice"
      case .info: "info"
      }
    }
  }

  /// The kinds of event, each with the 128-bit id that `journalctl MESSAGE_ID=` takes.
  package enum MessageID: String, CaseIterable, Sendable {
    case ready = "5b0c1b6f6f0c4e3c9d1f2a7e61b40001"
    case stopped = "5b0c1b6f6f0c4e3c9d1f2a7e61b40002"
    case startFailed = "5b0c1b6f6f0c4e3c9d1f2a7e61b40003"
    case reloaded = "5b0c1b6f6f0c4e3c9d1f2a7e61b40004"
    case reloadRefused = "5b0c1b6f6f0c4e3c9d1f2a7e61b40005"
    case watchCondition = "5b0c1b6f6f0c4e3c9d1f2a7e61b40006"
    case watchUnavailable = "5b0c1b6f6f0c4e3c9d1f2a7e61b40007"
    case fileIgnored = "5b0c1b6f6f0c4e3c9d1f2a7e61b40008"
    case quarantined = "5b0c1b6f6f0c4e3c9d1f2a7e61b40009"
    case disposalFailed = "5b0c1b6f6f0c4e3c9d1f2a7e61b4000a"
    case sinkOpened = "5b0c1b6f6f0c4e3c9d1f2a7e61b4000b"
    case sinkFailed = "5b0c1b6f6f0c4e3c9d1f2a7e61b4000c"
    case deadLetter = "5b0c1b6f6f0c4e3c9d1f2a7e61b4000d"
    case intakePaused = "5b0c1b6f6f0c4e3c9d1f2a7e61b4000e"
    case intakeResumed = "5b0c1b6f6f0c4e3c9d1f2a7e61b4000f"
    case strike = "5b0c1b6f6f0c4e3c9d1f2a7e61b40010"
    case stalled = "5b0c1b6f6f0c4e3c9d1f2a7e61b40011"
    case status = "5b0c1b6f6f0c4e3c9d1f2a7e61b40012"
    case modelReplaced = "5b0c1b6f6f0c4e3c9d1f2a7e61b40013"
    case modelRefused = "5b0c1b6f6f0c4e3c9d1f2a7e61b40014"
    case memoryBound = "5b0c1b6f6f0c4e3c9d1f2a7e61b40015"
    case sinkSays = "5b0c1b6f6f0c4e3c9d1f2a7e61b40016"
    case precisionMissing = "5b0c1b6f6f0c4e3c9d1f2a7e61b40017"
    case httpFailed = "5b0c1b6f6f0c4e3c9d1f2a7e61b40020"
  }

  /// Lines of one kind that are let through in a minute; the rest are counted and told in the next one.
  private static let linesPerMinute = 60

  private struct Allowance {
    var minute: Int64 = -1
    var used = 0
    var suppressed = 0
  }

  private static let allowances = Mutex<[MessageID: Allowance]>([:])

  /// Writes a line, to standard error where that is not the journal.
  ///
  /// Any thread; one that the journal does not take at once is counted and told with the next of its kind.
  ///
  /// `fields`: names in capitals, values of any text; they can be searched by `journalctl NAME=value`.
  package static func log(
    _ level: Level, _ message: String, id: MessageID, fields: [(String, String)] = []
  ) {
    guard let suppressed = admit(id) else { return }
    let text = Path.escape(Array((suppressed > 0 ? "\(message) (\(suppressed) such lines not shown)" : message).utf8))
    if isConnected {
      let entry = [
        ("MESSAGE", text), ("PRIORITY", "\(level.rawValue)"), ("MESSAGE_ID", id.rawValue),
        ("SYSLOG_IDENTIFIER", "lookoutd"),
      ]
      if !socket.send(entry + fields) {
        allowances.withLock { $0[id, default: Allowance()].suppressed += suppressed + 1 }
      }
    } else {
      let rest = fields.map { " \($0.0)=\(Path.escape(Array($0.1.utf8)))" }.joined()
      let line = Array("lookoutd: \(level.word): \(text)\(rest)\n".utf8)
      _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
  }

  /// How many lines of this kind were held back since the last one; nil if this one is too.
  private static func admit(_ id: MessageID) -> Int? {
    let minute = Clock.monotonicNanoseconds() / 60_000_000_000
    return allowances.withLock { allowances in
      var allowance = allowances[id] ?? Allowance()
      defer { allowances[id] = allowance }
      if allowance.minute != minute {
        allowance.minute = minute
        allowance.used = 0
      }
      guard allowance.used < linesPerMinute else {
        allowance.suppressed += 1
        return nil
      }
      allowance.used += 1
      defer { allowance.suppressed = 0 }
      return allowance.suppressed
    }
  }

  /// Whether standard error goes to the journal (`$JOURNAL_STREAM` names its device and inode).
  private static let isConnected: Bool = {
    guard let stream = getenv("JOURNAL_STREAM") else { return false }
    var status = stat()
    guard fstat(2, &status) == 0 else { return false }
    return String(cString: stream) == "\(status.st_dev):\(status.st_ino)"
  }()

  private static let socket = JournalSocket()
}
