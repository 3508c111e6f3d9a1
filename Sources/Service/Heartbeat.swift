internal import Platform
internal import Synchronization

/// A stage thread's sign of life: it counts its turns and says whether it has work in hand.
///
/// The watchdog is fed only while every stage is idle or has moved lately, so that a wedged stage starves it and a merely
/// slow service does not. Written by one thread, read by the supervisor.
package final class Heartbeat: Sendable {
  /// What the thread is doing.
  package enum Activity: UInt8, Sendable {
    /// Nothing is in hand, or it waits for another stage.
    case resting
    case working
    /// It waits for a file system or a sink's process: a new start of the service would wait there again.
    case outside
  }

  /// The stage's thread name, for the journal.
  package let name: String
  /// The flight recorder's slots of this thread.
  package let slots: Range<Int>
  private let turns = Atomic<UInt64>(0)
  private let activity = Atomic<UInt8>(0)
  private let leftAt = Atomic<Int64>(0)
  private let allowance = Atomic<Int64>(0)

  /// `slots`: what the flight recorder is told of this thread's work goes there.
  package init(name: String, slots: Range<Int> = 0..<0) {
    self.name = name
    self.slots = slots
  }

  private func change(to new: Activity) {
    activity.store(new.rawValue, ordering: .relaxed)
    turns.wrappingAdd(1, ordering: .relaxed)
  }

  /// Marks the begin of a piece of work.
  package func begin() { change(to: .working) }

  /// Says that the next step may take so much longer than the patience of whoever watches, in nanoseconds; 0 ends it.
  package func allow(_ nanoseconds: Int64) { allowance.store(nanoseconds, ordering: .relaxed) }

  /// Marks progress inside a long piece of work.
  package func beat() { turns.wrappingAdd(1, ordering: .relaxed) }

  /// Marks the end of the work in hand; waiting for more is no stall.
  package func rest() { change(to: .resting) }

  /// Marks that from now on the thread depends on a file system or another process; `begin` or `rest` ends it.
  package func leave() {
    leftAt.store(Clock.monotonicNanoseconds(), ordering: .relaxed)
    change(to: .outside)
  }

  /// For how many nanoseconds the thread has been outside without a sign of life; 0 when it is not.
  ///
  /// Any thread.
  package func absence(now: Int64) -> Int64 {
    activity.load(ordering: .relaxed) == Activity.outside.rawValue ? max(0, now - leftAt.load(ordering: .relaxed)) : 0
  }

  /// Runs `body`, in which the thread depends on a file system or another process, and goes on with the work in hand.
  package func outside<T, Failure: Error>(_ body: () throws(Failure) -> T) throws(Failure) -> T {
    leave()
    defer { begin() }
    return try body()
  }

  /// The number of turns so far, what is being done, and how much longer than usual it may take.
  package var reading: (turns: UInt64, activity: Activity, allowanceNanoseconds: Int64) {
    (
      turns.load(ordering: .relaxed), Activity(rawValue: activity.load(ordering: .relaxed)) ?? .working,
      allowance.load(ordering: .relaxed)
    )
  }
}

/// Tells stages that do not move: a value the supervisor asks every now and then.
package struct StallDetector {
  /// A stage that has not moved for longer than it may.
  package struct Stall: Equatable, Sendable {
    package var stage: String
    package var activity: Heartbeat.Activity
    /// Since its last sign of life, as far as was looked.
    package var nanoseconds: Int64
  }

  private struct Sight {
    var turns: UInt64
    var since: Int64
  }

  private let patienceNanoseconds: Int64
  private var sights: [ObjectIdentifier: Sight] = [:]

  /// `patience`: how long one step of a stage may take.
  package init(patience: Duration) { patienceNanoseconds = patience.nanoseconds }

  /// The stages that have something in hand and have not moved for longer than the patience.
  ///
  /// `now`: a moment of the monotonic clock.
  package mutating func stalls(_ stages: [Heartbeat], now: Int64) -> [Stall] {
    var stalls: [Stall] = []
    var sightsNow: [ObjectIdentifier: Sight] = [:]
    for stage in stages {
      let (turns, activity, allowance) = stage.reading
      let id = ObjectIdentifier(stage)
      let sight = sights[id].flatMap { $0.turns == turns ? $0 : nil } ?? Sight(turns: turns, since: now)
      sightsNow[id] = sight
      guard activity != .resting, now - sight.since > patienceNanoseconds + allowance else { continue }
      stalls.append(Stall(stage: stage.name, activity: activity, nanoseconds: now - sight.since))
    }
    sights = sightsNow
    return stalls
  }
}
