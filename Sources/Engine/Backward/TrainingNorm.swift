internal import CKernels

/// Batch norm, with the activation that follows it.
///
/// In training it normalises by the batch's own mean and variance and moves the running ones towards them, as PyTorch
/// does (the running variance is the unbiased one); a frozen norm uses the running ones. What the activation got is
/// computed again when the gradient needs it, so only the norm's input is kept.
final class TrainingNorm: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let activation: Int32
  private let epsilon: Double
  private let momentum: Double
  private let isFrozen: Bool
  private let (weight, bias): (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>)
  private let (runningMean, runningVariance): (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>)
  private let (weightPlace, biasPlace): (Int?, Int?)
  private var lanes: [Sums]

  /// One lane's sums and its copy of what they make together.
  private final class Sums {
    let first: UnsafeMutablePointer<Double>
    let second: UnsafeMutablePointer<Double>
    /// Origin of the moments, then scale, shift, mean, slope, offset, and two rows for one image's sums.
    let rows: TrainingMemory
    let channels: Int
    var pixels = 0

    init(channels: Int) {
      self.channels = channels
      first = .allocate(capacity: channels)
      second = .allocate(capacity: channels)
      first.initialize(repeating: 0, count: channels)
      second.initialize(repeating: 0, count: channels)
      rows = TrainingMemory(count: 8 * channels)
    }

    deinit {
      first.deallocate()
      second.deallocate()
    }

    var origin: UnsafeMutablePointer<Float> { rows.floats }
    var scale: UnsafeMutablePointer<Float> { rows.floats + channels }
    var shift: UnsafeMutablePointer<Float> { rows.floats + 2 * channels }
    var mean: UnsafeMutablePointer<Float> { rows.floats + 3 * channels }
    var slope: UnsafeMutablePointer<Float> { rows.floats + 4 * channels }
    var offset: UnsafeMutablePointer<Float> { rows.floats + 5 * channels }
    var imageFirst: UnsafeMutablePointer<Float> { rows.floats + 6 * channels }
    var imageSecond: UnsafeMutablePointer<Float> { rows.floats + 7 * channels }

    func clear() {
      first.update(repeating: 0, count: channels)
      second.update(repeating: 0, count: channels)
    }

    func addImage() {
      for c in 0..<channels {
        first[c] += Double(imageFirst[c])
        second[c] += Double(imageSecond[c])
      }
    }
  }

  init(
    name: String, epsilon: Float, momentum: Double, activation: Activation?, input: TrainingValue,
    output: TrainingValue, tensors: StepTensors, usesRunningStatistics: Bool, lanes: Int
  ) {
    self.name = name
    inputs = [StepInput(value: input)]
    self.output = output
    self.activation = activation?.code ?? 0
    self.epsilon = Double(epsilon)
    self.momentum = momentum
    isFrozen = usesRunningStatistics
    (weight, bias) = (tensors.values("weight"), tensors.values("bias"))
    (runningMean, runningVariance) = (tensors.values("running_mean"), tensors.values("running_var"))
    (weightPlace, biasPlace) = (tensors.gradientPlace("weight"), tensors.gradientPlace("bias"))
    self.lanes = (0..<lanes).map { _ in Sums(channels: output.shape.c) }
  }

  private var channels: Int { output.shape.c }

  func forward(_ lane: LaneWork) {
    let own = lanes[lane.number]
    let x = inputs[0].value
    if lane.isTraining && !isFrozen {
      gatherMoments(lane, own)
      lane.lanes.meet()
      combine(lane, own)
    } else {
      for c in 0..<channels { set(own, c, mean: Double(runningMean[c]), variance: Double(runningVariance[c])) }
    }
    for n in lane.images {
      training_normalise(x.image(n), x.pixels, channels, own.scale, own.shift, activation, output.image(n))
    }
  }

  /// Sums of differences from the lane's first pixel, so that a large mean costs no digits.
  private func gatherMoments(_ lane: LaneWork, _ own: Sums) {
    let x = inputs[0].value
    own.clear()
    own.pixels = lane.images.count * x.pixels
    guard !lane.images.isEmpty else { return }
    own.origin.update(from: x.image(lane.images.lowerBound), count: channels)
    for n in lane.images {
      training_moments(x.image(n), x.pixels, channels, own.origin, own.imageFirst, own.imageSecond)
      own.addImage()
    }
  }

  /// Every lane joins all lanes' moments in the same order (Chan, Golub, LeVeque 1979).
  private func combine(_ lane: LaneWork, _ own: Sums) {
    let total = Double(lanes.reduce(0) { $0 + $1.pixels })
    for c in 0..<channels {
      var mean = 0.0
      for other in lanes where other.pixels > 0 {
        mean += Double(other.pixels) * Double(other.origin[c]) + other.first[c]
      }
      mean /= total
      var squares = 0.0
      for other in lanes where other.pixels > 0 {
        let count = Double(other.pixels)
        let shifted = other.first[c] / count
        let distance = Double(other.origin[c]) + shifted - mean
        squares += other.second[c] - shifted * other.first[c] + count * distance * distance
      }
      let variance = max(0, squares / total)
      set(own, c, mean: mean, variance: variance)
      if lane.number == 0 {
        let unbiased = total > 1 ? squares / (total - 1) : variance
        runningMean[c] = Float((1 - momentum) * Double(runningMean[c]) + momentum * mean)
        runningVariance[c] = Float((1 - momentum) * Double(runningVariance[c]) + momentum * unbiased)
      }
    }
  }

  private func set(_ own: Sums, _ c: Int, mean: Double, variance: Double) {
    let scale = Double(weight[c]) / (variance + epsilon).squareRoot()
    own.mean[c] = Float(mean)
    own.scale[c] = Float(scale)
    own.shift[c] = Float(Double(bias[c]) - mean * scale)
    own.slope[c] = Float(1 / (variance + epsilon))
  }

  func backward(_ lane: LaneWork) {
    let own = lanes[lane.number]
    let input = inputs[0]
    let x = input.value
    let usesBatch = lane.isTraining && !isFrozen
    own.clear()
    if usesBatch || weightPlace != nil || biasPlace != nil {
      for n in lane.images {
        training_normalise_sums(
          x.image(n), output.gradient(lane, n), x.pixels, channels, own.scale, own.shift, own.mean, activation,
          own.imageFirst, own.imageSecond)
        own.addImage()
      }
      addParameterGradients(lane, own)
    }
    if usesBatch {
      lane.lanes.meet()
      joinBackward(own)
    } else {
      own.slope.update(repeating: 0, count: channels)
      own.offset.update(repeating: 0, count: channels)
    }
    guard x.wantsGradient else { return }
    for n in lane.images {
      training_normalise_input(
        x.image(n), output.gradient(lane, n), x.pixels, channels, own.scale, own.shift, own.mean, own.slope,
        own.offset, activation, x.gradient(lane, n), input.accumulates ? 1 : 0)
    }
  }

  private func addParameterGradients(_ lane: LaneWork, _ own: Sums) {
    for c in 0..<channels {
      if let biasPlace { lane.gradients[biasPlace + c] += Float(own.first[c]) }
      if let weightPlace {
        lane.gradients[weightPlace + c] += Float(own.second[c] * Double(own.slope[c]).squareRoot())
      }
    }
  }

  /// dx = scale · (g − Σg/M − (x − mean)/(variance + ε) · Σg(x − mean)/M), M being all pixels of the batch.
  private func joinBackward(_ own: Sums) {
    let total = Double(lanes.reduce(0) { $0 + $1.pixels })
    for c in 0..<channels {
      let sum = lanes.reduce(0) { $0 + $1.first[c] }
      let dot = lanes.reduce(0) { $0 + $1.second[c] }
      let scale = Double(own.scale[c])
      own.slope[c] = Float(-scale * Double(own.slope[c]) * dot / total)
      own.offset[c] = Float(-scale * sum / total)
    }
  }
}
