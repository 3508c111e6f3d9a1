internal import Platform
internal import Synchronization

/// What the main thread shows of itself to those who ask.
///
/// Written by the main thread, read by any.
final class Board: Sendable {
  enum Phase: String, Sendable {
    case starting
    case serving
    case reloading
    case stopping
  }

  struct Notes: Sendable {
    var phase = Phase.starting
    /// Stages that stood still at the last look, as the watchdog sees them.
    var stalled: [String] = []
    /// When the main thread was last heard of, in monotonic nanoseconds; while it reloads or drains it is not.
    var lastTurn = Clock.monotonicNanoseconds()
  }

  private let notes = Mutex(Notes())

  init() {}

  var reading: Notes { notes.withLock { $0 } }

  func note(_ change: (inout Notes) -> Void) { notes.withLock { change(&$0) } }
}

/// Whether the service does its job, and what stands against it.
struct Health: Sendable {
  enum Verdict: String, Sendable {
    case ready
    /// It serves, but not all of it.
    case degraded
    case unready
  }

  let verdict: Verdict
  /// For people, one line each.
  let reasons: [String]

  /// Judges what the main thread and the operations show.
  init(_ notes: Board.Notes, _ status: ServiceStatus) {
    guard notes.phase == .serving else {
      verdict = .unready
      reasons = ["the service is \(notes.phase.rawValue)"]
      return
    }
    reasons = (status.isPaused ? ["intake is paused by an operator"] : []) + status.troubles
    verdict = reasons.isEmpty ? .ready : .degraded
  }

  /// What makes a watchdog act: stages without progress, or a main thread that is not heard of.
  static func faults(_ notes: Board.Notes, now: Int64) -> [String] {
    var faults = notes.stalled.map { "no progress in \($0)" }
    let silence = (now - notes.lastTurn) / 1_000_000_000
    if notes.phase == .serving, silence > 30 { faults.append("the main thread was not heard of for \(silence) s") }
    return faults
  }
}
