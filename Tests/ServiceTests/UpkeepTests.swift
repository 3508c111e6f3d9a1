import Engine
import Platform
import Service
import Synchronization
import TestSupport
import Testing

/// The upkeep ends when it is asked to, whatever it is in the midst of.
@Suite(.timeLimit(.minutes(15))) struct UpkeepTests {
  private let scratch = Scratch()

  /// Lets the problems' closure reach the upkeep that asks it.
  private final class Holder: Sendable {
    let upkeep = Mutex<Upkeep?>(nil)
  }

  @Test func aStopWhileAlgorithmsAreMeasuredIsHeard() throws {
    let (holder, problems) = (Holder(), try measurable())
    let upkeep = Upkeep(
      ledger: try Ledger(path: scratch("ledger.db")), retentionSeconds: 60,
      algorithms: AlgorithmBook(stateDir: Path(scratch.path)),
      problems: {
        holder.upkeep.withLock { $0 }?.stop()
        return problems
      })
    holder.upkeep.withLock { $0 = upkeep }
    let ended = Bell()
    let thread = OwnedThread(name: "upkeep") {
      upkeep.run()
      ended.ring()
    }
    #expect(ended.wait(for: .seconds(30)), "it waits for its next turn instead")
    upkeep.stop()
    thread.join()
    holder.upkeep.withLock { $0 = nil }
  }
}
