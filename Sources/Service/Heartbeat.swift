internal import Synchronization

/// A stage thread's sign of life: it counts its turns and says whether it has work in hand.
///
/// The watchdog is fed only while every stage is idle or has moved since the last look, so that a wedged stage starves
/// it and a merely slow service does not. Written by one thread, read by the supervisor.
package final class Heartbeat: Sendable {
  /// The stage's thread name, for the journal.
  package let name: String
  private let turns = Atomic<UInt64>(0)
  private let busy = Atomic<Bool>(false)

  package init(name: String) { self.name = name }

  /// Marks the begin of a piece of work.
  package func begin() {
    busy.store(true, ordering: .relaxed)
    turns.wrappingAdd(1, ordering: .relaxed)
  }

  /// Marks progress inside a long piece of work.
  package func beat() { turns.wrappingAdd(1, ordering: .relaxed) }

  /// Marks the end of the work in hand; waiting for more is no stall.
  package func rest() {
    turns.wrappingAdd(1, ordering: .relaxed)
    busy.store(false, ordering: .relaxed)
  }

  /// The number of turns so far and whether work is in hand.
  package var reading: (turns: UInt64, isBusy: Bool) {
    (turns.load(ordering: .relaxed), busy.load(ordering: .relaxed))
  }
}

/// Decides whether the watchdog may be fed: a value the supervisor asks once an interval.
package struct StallDetector {
  private var lastTurns: [ObjectIdentifier: UInt64] = [:]

  package init() {}

  /// Names the stages that are busy and have not moved since the last call; empty means healthy.
  package mutating func stalled(_ stages: [Heartbeat]) -> [String] {
    var names: [String] = []
    var turnsNow: [ObjectIdentifier: UInt64] = [:]
    for stage in stages {
      let (turns, isBusy) = stage.reading
      turnsNow[ObjectIdentifier(stage)] = turns
      if isBusy, lastTurns[ObjectIdentifier(stage)] == turns { names.append(stage.name) }
    }
    lastTurns = turnsNow
    return names
  }
}
