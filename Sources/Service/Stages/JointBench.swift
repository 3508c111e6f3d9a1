internal import Engine
internal import Platform
internal import Synchronization

/// A bench on which all processors compute one picture together, so that one which comes alone is answered sooner.
///
/// A classifier that begins while no other computes has it until it is done. Where pictures come close together each classifier
/// keeps to its own bench: a batch for each processor answers more of them a second than one batch for all.
///
/// `@unchecked`: the count of those who compute is the lock of the bench.
final class JointBench: @unchecked Sendable {
  private let computing = Atomic(0)
  private let shelf: ModelShelf
  private var bench: Bench

  /// `lanes`: how many threads, the classifier's own among them.
  init(lanes: Int, shelf: ModelShelf) {
    self.shelf = shelf
    bench = Bench(capacity: 1, lanes: LaneGroup(LanePool(count: lanes, name: "lane")))
  }

  /// Calls `body` with this bench if it is free and `isAlone`, otherwise with the classifier's `own`.
  func compute<Result>(
    isAlone: Bool, own: inout Bench, _ body: (inout Bench) -> Result
  ) -> (result: Result, isJoint: Bool) {
    let isFree = computing.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue == 0
    defer { computing.wrappingSubtract(1, ordering: .acquiringAndReleasing) }
    guard isFree else { return (body(&own), false) }
    bench.clear(but: shelf)
    return isAlone ? (body(&bench), true) : (body(&own), false)
  }
}
