internal import Platform

extension Ledger {
  /// Runs a ledger call until it succeeds, waiting while the disk is full, read-only or failing.
  ///
  /// The first failure and the recovery are journalled, nothing between. Blocks; meanwhile the caller counts as idle,
  /// since waiting for an operator is no stall.
  ///
  /// `heartbeat` is the calling stage's; `isOver` is asked before every further try, true gives up.
  ///
  /// - Returns: the call's result, or nil when given up or when the fault is not one that passes.
  func patiently<T>(
    _ heartbeat: Heartbeat, until isOver: () -> Bool, _ body: () throws(LedgerError) -> T
  ) -> T? {
    var waitMilliseconds = 50
    var failures = 0
    while true {
      do throws(LedgerError) {
        let result = try body()
        if failures > 0 { Journal.log(.notice, "\(heartbeat.name): the ledger takes writes again", id: .intakeResumed) }
        return result
      } catch {
        failures += 1
        if failures == 1 {
          Journal.log(
            .error, "\(heartbeat.name): intake pauses, sources stay where they are: \(error)", id: .intakePaused)
        }
        if isOver() { return nil }
        heartbeat.rest()
        Clock.pause(milliseconds: waitMilliseconds)
        heartbeat.begin()
        waitMilliseconds = min(waitMilliseconds * 2, 2_000)
      }
    }
  }
}
