internal import CKernels

/// A fully connected layer.
///
/// Its weights' gradient is shared out among the lanes by rows, over all images: the matrices are the largest of most
/// networks, and so no lane needs one of its own.
final class TrainingLinear: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let linear: Linear
  private let weights: UnsafeMutablePointer<Float>
  private let weightGradient: UnsafeMutablePointer<Float>?
  private let bias: UnsafeMutablePointer<Float>?
  private let biasPlace: Int?

  init(name: String, _ l: Linear, input: TrainingValue, output: TrainingValue, tensors: StepTensors) {
    self.name = name
    linear = l
    inputs = [StepInput(value: input)]
    self.output = output
    weights = tensors.values("weight")
    weightGradient = tensors.gradientPlace("weight").map { tensors.weights.gradients + $0 }
    bias = l.bias ? tensors.values("bias") : nil
    biasPlace = l.bias ? tensors.gradientPlace("bias") : nil
  }

  func forward(_ lane: LaneWork) {
    guard !lane.images.isEmpty else { return }
    let out = output.image(lane.images.lowerBound)
    if let bias {
      for n in lane.images { output.image(n).update(from: bias, count: linear.outFeatures) }
    }
    GradientProduct.multiply(
      inputs[0].value.image(lane.images.lowerBound), weights, out, rows: lane.images.count, depth: linear.inFeatures,
      columns: linear.outFeatures, keep: bias == nil ? 0 : 1)
  }

  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    if let biasPlace, !lane.images.isEmpty {
      training_sum_pixels(
        output.gradient(lane, lane.images.lowerBound), lane.images.count, linear.outFeatures,
        lane.gradients + biasPlace)
    }
    if input.value.wantsGradient, !lane.images.isEmpty {
      GradientProduct.multiplyTransposingSecond(
        output.gradient(lane, lane.images.lowerBound), weights, input.value.gradient(lane, lane.images.lowerBound),
        rows: lane.images.count, depth: linear.outFeatures, columns: linear.inFeatures,
        keep: input.accumulates ? 1 : 0)
    }
    guard let weightGradient else { return }
    lane.lanes.meet()
    let rows = lane.share(of: linear.inFeatures)
    for other in 0..<lane.lanes.count {
      let images = LaneWork.share(of: lane.batch, lane: other, of: lane.lanes.count)
      guard !images.isEmpty, !rows.isEmpty else { continue }
      GradientProduct.multiplyTransposingFirst(
        input.value.image(images.lowerBound) + rows.lowerBound, output.gradients[other],
        weightGradient + rows.lowerBound * linear.outFeatures, rows: rows.count, depth: images.count,
        columns: linear.outFeatures, aStride: linear.inFeatures)
    }
    lane.lanes.meet()
  }
}
