// A few threads that compute one thing together: the caller's own as lane 0 and helpers for the rest. They meet often and
// briefly, so they spin; a pool that is not used for a while parks its helpers.

internal import CShims
internal import Glibc
internal import Synchronization

/// Threads that run a function side by side, lane by lane, with a barrier between its phases.
///
/// Used by one thread at a time. The helpers end when the pool goes.
package final class LanePool: Sendable {
  /// The run that is under way, or was last: what helpers know of the pool.
  private final class Work: @unchecked Sendable {
    var body: (Int) -> Void = { _ in }
    /// How many runs have begun.
    let generation = Atomic(0)
    /// Helpers that are done with this one.
    let finished = Atomic(0)
  }

  package let count: Int
  private let work = Work()
  private let helpers: [Helper]
  private let barrier: Barrier

  /// Starts a helper for each lane but the caller's, named after the pool and the lane.
  package init(count: Int, name: String) {
    precondition(count > 0, "a pool has at least the caller's lane")
    self.count = count
    barrier = Barrier(count: count)
    helpers = (1..<max(1, count)).map { [work] in Helper(lane: $0, name: "\(name)-\($0)", work) }
  }

  deinit {
    for helper in helpers {
      helper.isEnding.store(true, ordering: .releasing)
      helper.bell.ring()
    }
    for helper in helpers { helper.join() }
  }

  /// Calls `body` once on each lane with its number, and returns when all have returned.
  package func run(_ body: (_ lane: Int) -> Void) {
    guard count > 1 else { return body(0) }
    withoutActuallyEscaping(body) { body in
      work.body = body
      work.finished.store(0, ordering: .relaxed)
      work.generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
      for helper in helpers where helper.isParked.load(ordering: .sequentiallyConsistent) { helper.bell.ring() }
      body(0)
      Spin.until { work.finished.load(ordering: .acquiring) == count - 1 }
      work.body = { _ in }
    }
  }

  /// Waits, within `run`, until every lane has come here; what each wrote before, all see after.
  package func synchronize() { barrier.wait() }

  /// One helper thread.
  ///
  /// It holds the work and not the pool, which could not go otherwise.
  private final class Helper: Sendable {
    let isParked = Atomic(false)
    let isEnding = Atomic(false)
    let bell = Bell()
    private let work: Work
    private let thread = Mutex<OwnedThread?>(nil)

    init(lane: Int, name: String, _ work: Work) {
      self.work = work
      thread.withLock { thread in thread = OwnedThread(name: name) { [self] in run(lane) } }
    }

    func join() { thread.withLock { $0 }?.join() }

    private func run(_ lane: Int) {
      var seen = 0
      while true {
        let hasWork = Spin.briefly { work.generation.load(ordering: .acquiring) != seen }
        if isEnding.load(ordering: .acquiring) { return }
        guard hasWork else {
          park(while: { work.generation.load(ordering: .sequentiallyConsistent) == seen })
          continue
        }
        seen += 1
        work.body(lane)
        work.finished.wrappingAdd(1, ordering: .releasing)
      }
    }

    private func park(while isIdle: () -> Bool) {
      isParked.store(true, ordering: .sequentiallyConsistent)
      if isIdle(), !isEnding.load(ordering: .acquiring) { bell.wait(for: .seconds(60)) }
      isParked.store(false, ordering: .relaxed)
    }
  }

  private final class Barrier: Sendable {
    private let count: Int
    private let arrived = Atomic(0)
    private let phase = Atomic(0)

    init(count: Int) { self.count = count }

    func wait() {
      let entered = phase.load(ordering: .acquiring)
      if arrived.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == count {
        arrived.store(0, ordering: .relaxed)
        phase.wrappingAdd(1, ordering: .releasing)
      } else {
        Spin.until { phase.load(ordering: .acquiring) != entered }
      }
    }
  }
}

/// Waiting for another processor that is about to be ready.
private enum Spin {
  /// About 50 µs: longer than lanes wait for each other, shorter than anybody minds.
  private static let turns = 2000

  /// Whether the condition came true in time.
  static func briefly(_ condition: () -> Bool) -> Bool {
    for _ in 0..<turns {
      if condition() { return true }
      lookout_relax()
    }
    return condition()
  }

  /// Yields the processor between turns, in case the other lane has none.
  static func until(_ condition: () -> Bool) {
    while !briefly(condition) { sched_yield() }
  }
}
