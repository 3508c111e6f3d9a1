/// What a training plan does besides computing the graph.
package struct TrainingOptions: Sendable {
  /// Tensors that do not learn.
  package var frozen: Set<String> = []
  /// Nodes of batch norms that go by their running statistics and leave them as they are.
  package var frozenNorms: Set<String> = []
  /// How far the running statistics move towards a batch's; PyTorch's `momentum`.
  package var normMomentum = 0.1
  /// Whether dropout drops; without it the loss of a step is a function of weights and batch alone.
  package var drops = true
  /// What dropout draws from.
  package var seed: UInt64 = 0
  /// Whether `backward` also gives the gradient by the pictures.
  package var wantsInputGradient = false

  package init() {}
}

/// Runs a graph forward and backward over batches, for training.
///
/// Memory is channels-last. Each lane has its own share of a batch's images; sums over the batch are made a lane at a
/// time and joined in the order of the lanes, so the same lane count gives the same numbers to the bit. Owned by one
/// thread; the weights must not change while a call runs.
package final class TrainingPlan {
  package let weights: TrainedWeights
  package let batchCapacity: Int
  /// How many numbers the network answers an image with.
  package let outputCount: Int
  private let lanes: any TrainingLanes
  private let steps: [any TrainingStep]
  private let picture: TrainingValue
  private let result: TrainingValue
  private let works: [LaneWork]
  private let data: TrainingMemory
  private let laneGradients: [TrainingMemory]
  private let resultGradient: TrainingMemory
  private var batch = 0

  /// Lays out the memory; `batchCapacity` is the largest batch.
  ///
  /// - Throws: `EngineError.graph` if everything is frozen, or the activations of a batch would pass 64 GiB.
  package init(
    weights: TrainedWeights, batchCapacity: Int, lanes: any TrainingLanes, options: TrainingOptions = TrainingOptions()
  ) throws(EngineError) {
    precondition(batchCapacity > 0, "a batch has at least one image")
    self.weights = weights
    self.batchCapacity = batchCapacity
    self.lanes = lanes
    var lowering = try TrainingLowering(
      weights: weights, options: options, batchCapacity: batchCapacity, laneCount: lanes.count)
    let placeholder = TrainingMemory(count: 1)
    result = try lowering.build(placeholder: placeholder.floats)
    steps = lowering.steps
    picture = lowering.values[0]
    outputCount = result.shape.countPerImage
    let total = lowering.values.reduce(0) { $0 + ($1.shape.countPerImage * batchCapacity + 15) / 16 * 16 }
    guard total < 16 << 30 else {
      throw .graph(node: "", reason: "the activations of \(batchCapacity) images pass 64 GiB; use a smaller batch")
    }
    data = TrainingMemory(count: total)
    var end = 0
    for value in lowering.values {
      value.data = data.floats + end
      end += (value.shape.countPerImage * batchCapacity + 15) / 16 * 16
    }
    resultGradient = TrainingMemory(count: batchCapacity * outputCount)
    laneGradients = Self.layGradients(
      steps, picture: picture, result: result, laneImages: (batchCapacity + lanes.count - 1) / lanes.count,
      lanes: lanes.count)
    let scratchCount = steps.map(\.scratchCount).max() ?? 0
    let patchCount = steps.map(\.patchCount).max() ?? 0
    works = (0..<lanes.count).map {
      LaneWork(number: $0, lanes: lanes, scratchCount: scratchCount, patchCount: patchCount, weights: weights)
    }
  }

  /// Gives every value that wants a gradient a place in each lane's memory for the time between its last use and the
  /// step that made it.
  private static func layGradients(
    _ steps: [any TrainingStep], picture: TrainingValue, result: TrainingValue, laneImages: Int, lanes: Int
  ) -> [TrainingMemory] {
    var lastUse: [ObjectIdentifier: Int] = [:]
    for (index, step) in steps.enumerated() {
      for input in step.inputs { lastUse[ObjectIdentifier(input.value)] = index }
    }
    var values: [TrainingValue] = []
    var buffers: [(length: Int, first: Int, last: Int)] = []
    func add(_ value: TrainingValue, madeBy index: Int) {
      guard value.wantsGradient, value !== result, let use = lastUse[ObjectIdentifier(value)] else { return }
      values.append(value)
      buffers.append((value.shape.countPerImage * laneImages, steps.count - use, steps.count - index))
    }
    add(picture, madeBy: -1)
    for (index, step) in steps.enumerated() { add(step.output, madeBy: index) }
    let layout = IntervalLayout(buffers)
    let memories = (0..<lanes).map { _ in TrainingMemory(count: layout.count) }
    for (value, offset) in zip(values, layout.offsets) { value.gradients = memories.map { $0.floats + offset } }
    return memories
  }

  /// Where the pictures of the next batch go: for each image H×W×C floats.
  package var input: UnsafeMutablePointer<Float> { picture.data }

  /// The answers to the last batch, a row of `outputCount` an image; in C, H, W order if H = W = 1.
  package var output: UnsafePointer<Float> { UnsafePointer(result.data) }

  /// Where the loss puts its gradient by the answers before `backward`.
  package var outputGradient: UnsafeMutablePointer<Float> { resultGradient.floats }

  /// Bytes of activations, gradients and scratch; the weights are counted by their owner.
  package var workspaceBytes: Int {
    4
      * (data.count + resultGradient.count + laneGradients.reduce(0) { $0 + $1.count }
        + works.reduce(0) { $0 + $1.scratch.count + $1.patches.count })
  }

  /// Answers the `count` images in `input`.
  ///
  /// `isTraining`: batch norms use the batch's statistics and move their running ones, dropout drops as `step` says.
  package func forward(count: Int, isTraining: Bool, step: UInt64 = 0) {
    precondition((1...batchCapacity).contains(count), "more images than the plan holds")
    batch = count
    for step in steps { step.prepare() }
    for work in works {
      work.images = work.share(of: count)
      work.batch = count
      work.isTraining = isTraining
      work.step = step
    }
    let (work, steps) = (Shared(works), Shared(steps))
    lanes.run { lane in
      for step in steps.value { step.forward(work.value[lane]) }
    }
  }

  /// From `outputGradient`, for the batch of the last `forward`: adds to the weights' gradients.
  package func backward() {
    for work in works where work.number > 0 { work.gradients.update(repeating: 0, count: weights.count) }
    result.gradients = works.map { resultGradient.floats + $0.images.lowerBound * outputCount }
    let (work, steps, target) = (Shared(works), Shared(steps), Shared(weights))
    lanes.run { lane in
      let own = work.value[lane]
      for step in steps.value.reversed() where step.output.wantsGradient { step.backward(own) }
      own.lanes.meet()
      let part = own.share(of: target.value.count)
      for other in work.value.dropFirst() {
        for index in part { target.value.gradients[index] += other.gradients[index] }
      }
    }
  }

  /// The gradient by the pictures, of the lane's first image on; only if `wantsInputGradient`.
  package func inputGradient(ofImage index: Int) -> [Float] {
    guard let work = works.first(where: { $0.images.contains(index) }), picture.wantsGradient else { return [] }
    return Array(UnsafeBufferPointer(start: picture.gradient(work, index), count: picture.shape.countPerImage))
  }

  /// The first value of the last batch that holds a number that is none or infinite, by the name of its node.
  package var firstUnsoundNode: String? {
    steps.first { step in
      let count = batch * step.output.shape.countPerImage
      return UnsafeBufferPointer(start: step.output.data, count: count).contains { !$0.isFinite }
    }?.name
  }
}

/// What lanes share by the rules of the plan: each writes only what is its own.
private struct Shared<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}
