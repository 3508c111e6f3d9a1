internal import Platform
internal import Synchronization

/// Which stages wait because the ledger takes no writes now, so that the journal hears of a fault once and of its end once.
///
/// Any thread.
package final class LedgerPatience: Sendable {
  private struct State {
    var waiting: Set<String> = []
    var reason: String?
  }

  private let state = Mutex(State())

  /// Why stages wait now; nil when none does.
  package var reason: String? { state.withLock { $0.reason } }

  func failed(_ stage: String, _ error: LedgerError) {
    let isFirst = state.withLock { state in
      state.waiting.insert(stage)
      defer { state.reason = "\(error)" }
      return state.reason == nil
    }
    if isFirst {
      Journal.log(.error, "intake pauses, sources stay where they are: \(error)", id: .intakePaused)
    }
  }

  func ended(_ stage: String, hasSucceeded: Bool) {
    let isLast = state.withLock { state in
      state.waiting.remove(stage)
      guard state.waiting.isEmpty, state.reason != nil else { return false }
      state.reason = nil
      return true
    }
    if isLast, hasSucceeded {
      Journal.log(.notice, "the ledger takes writes again, intake resumes", id: .intakeResumed)
    }
  }
}

extension Ledger {
  /// Why stages wait for the ledger now, for example a full disk; nil when none does.
  package var trouble: String? { patience.reason }

  /// Runs a ledger call until it succeeds, waiting while the disk is full, read-only or failing.
  ///
  /// The first failure and the recovery are journalled, nothing between. Blocks; meanwhile the caller counts as idle,
  /// since waiting for an operator is no stall.
  ///
  /// `heartbeat` is the calling stage's; `isOver` is asked before every further try, true gives up.
  ///
  /// - Returns: the call's result, or nil when given up.
  func patiently<T>(
    _ heartbeat: Heartbeat, until isOver: () -> Bool, _ body: () throws(LedgerError) -> T
  ) -> T? {
    var waitMilliseconds = 50
    var hasFailed = false
    while true {
      do throws(LedgerError) {
        // A disk that does not answer is no stall of the stage.
        heartbeat.leave()
        defer { heartbeat.begin() }
        let result = try body()
        if hasFailed { patience.ended(heartbeat.name, hasSucceeded: true) }
        return result
      } catch {
        hasFailed = true
        patience.failed(heartbeat.name, error)
        if isOver() {
          patience.ended(heartbeat.name, hasSucceeded: false)
          return nil
        }
        heartbeat.rest()
        Clock.pause(milliseconds: waitMilliseconds)
        heartbeat.begin()
        waitMilliseconds = min(waitMilliseconds * 2, 2_000)
      }
    }
  }
}
