/// Threads that a training plan is handed: each works on its own share of every batch.
///
/// The engine starts none itself. The share of a lane, and the order in which the lanes' sums are added up, depend on
/// the number of lanes alone: the same count gives the same numbers to the bit, on every run.
package protocol TrainingLanes: AnyObject, Sendable {
  var count: Int { get }

  /// Runs the work once on every lane, each with its number, and returns when all are done.
  func run(_ work: @Sendable (_ lane: Int) -> Void)

  /// Waits, within `run`, until every lane has come here.
  func meet()
}

/// The calling thread as the only lane.
package final class SingleLane: TrainingLanes {
  package let count = 1
  package init() {}
  package func run(_ work: @Sendable (_ lane: Int) -> Void) { work(0) }
  package func meet() {}
}

/// What one lane has to itself during a step.
final class LaneWork: @unchecked Sendable {
  let number: Int
  let lanes: any TrainingLanes
  /// The images of the batch that are this lane's.
  var images: Range<Int> = 0..<0
  /// All images of the batch.
  var batch = 0
  /// Whether batch norms use the batch's statistics and dropout drops.
  var isTraining = true
  /// Which step this is; dropout draws from it.
  var step: UInt64 = 0
  /// Memory for whatever a kernel needs during one call.
  let scratch: TrainingMemory
  /// A second one of the same size.
  let patches: TrainingMemory
  /// Where this lane adds its weights' gradients; laid out as `TrainedWeights.gradients`.
  let gradients: UnsafeMutablePointer<Float>
  private let ownGradients: TrainingMemory?

  init(
    number: Int, lanes: any TrainingLanes, scratchCount: Int, patchCount: Int, weights: TrainedWeights
  ) {
    self.number = number
    self.lanes = lanes
    scratch = TrainingMemory(count: scratchCount)
    patches = TrainingMemory(count: patchCount)
    let own = number == 0 ? nil : TrainingMemory(count: weights.count)
    ownGradients = own
    gradients = own?.floats ?? weights.gradients
  }

  /// This lane's part of a range that all lanes share out among them.
  func share(of count: Int) -> Range<Int> { LaneWork.share(of: count, lane: number, of: lanes.count) }

  static func share(of count: Int, lane: Int, of lanes: Int) -> Range<Int> {
    (count * lane / lanes)..<(count * (lane + 1) / lanes)
  }
}
