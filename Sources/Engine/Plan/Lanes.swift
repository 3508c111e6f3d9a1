/// Threads that work on one batch together, handed to the engine by its caller; the engine makes none.
///
/// A lane is one of them, numbered from 0. All lanes of a group run at the same time.
package struct LaneGroup: Sendable {
  package let count: Int
  private let onEach: @Sendable (_ body: (_ lane: Int) -> Void) -> Void
  private let barrier: @Sendable () -> Void

  /// Describes the caller's threads.
  ///
  /// - Parameters:
  ///   - count: how many lanes there are.
  ///   - run: calls its argument once on each lane with the lane's number, and returns when all have returned.
  ///   - synchronize: waits, within `run`, until every lane has come here; what each wrote before, all see after.
  package init(
    count: Int, run: @escaping @Sendable (_ body: (_ lane: Int) -> Void) -> Void,
    synchronize: @escaping @Sendable () -> Void
  ) {
    precondition(count > 0, "a group has at least one lane")
    self.count = count
    onEach = run
    barrier = synchronize
  }

  /// The caller's own thread as the only lane.
  package static let alone = LaneGroup(count: 1, run: { $0(0) }, synchronize: {})

  func run(_ body: (_ lane: Int) -> Void) { onEach(body) }

  func synchronize() { if count > 1 { barrier() } }
}

/// Equal parts of a range for lanes.
enum Share {
  /// What one of `lanes` takes of `count` things, in multiples of `grain` but for the last.
  static func of(_ count: Int, lane: Int, lanes: Int, grain: Int = 1) -> Range<Int> {
    let grains = (count + grain - 1) / grain
    return min(count, grains * lane / lanes * grain)..<min(count, grains * (lane + 1) / lanes * grain)
  }
}
