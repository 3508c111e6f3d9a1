internal import CKernels

/// A convolution that learns: by the direct kernels where they serve, by matrix products elsewhere.
final class TrainingConvolution: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let direct: DirectConvolution?
  private let unfolded: UnfoldedConvolution
  private let tensors: WeightAndBias
  private var turned: TrainingMemory?

  init(
    name: String, _ c: Convolution, input: TrainingValue, output: TrainingValue, tensors: StepTensors
  ) {
    self.name = name
    inputs = [StepInput(value: input)]
    self.output = output
    let window = Window(kernel: c.kernel, stride: c.stride, padding: c.padding, dilation: c.dilation, ceilMode: false)
    let direct = DirectConvolution(c, input: input.shape, output: output.shape, window: window)
    self.direct = direct
    unfolded = UnfoldedConvolution(c, input: input.shape, output: output.shape, window: window)
    self.tensors = WeightAndBias(tensors, hasBias: c.bias)
    if input.wantsGradient, direct?.spreadGradient != nil {
      turned = TrainingMemory(count: c.kernel.h * c.kernel.w * c.inChannels * c.outChannels)
    }
  }

  var scratchCount: Int { direct?.scratchCount ?? 0 }
  var patchCount: Int { unfolded.patchCount }

  func prepare() {
    if let turned { direct?.turn(tensors.weights, to: turned.floats) }
  }

  func forward(_ lane: LaneWork) {
    let x = inputs[0].value
    for n in lane.images {
      let out = output.image(n)
      if let bias = tensors.bias {
        for p in 0..<output.pixels { (out + p * output.shape.c).update(from: bias, count: output.shape.c) }
      }
      if let direct {
        direct.forward(
          x.image(n), tensors.weights, out, scratch: lane.scratch.floats, hasBias: tensors.bias != nil)
      } else {
        unfolded.forward(
          x.image(n), tensors.weights, out, patches: lane.patches.floats, hasBias: tensors.bias != nil)
      }
    }
  }

  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    for n in lane.images {
      let gradient = output.gradient(lane, n)
      tensors.addBiasGradient(gradient, pixels: output.pixels, channels: output.shape.c, lane)
      if let weightPlace = tensors.weightPlace {
        let target = lane.gradients + weightPlace
        if let direct {
          direct.addWeightGradient(input.value.image(n), gradient, target, scratch: lane.scratch.floats)
        } else {
          unfolded.addWeightGradient(input.value.image(n), gradient, target, patches: lane.patches.floats)
        }
      }
      guard input.value.wantsGradient else { continue }
      let target = input.value.gradient(lane, n)
      if let turned, let direct {
        direct.inputGradient(
          gradient, turned: turned.floats, target, scratch: lane.scratch.floats, accumulates: input.accumulates)
      } else {
        unfolded.inputGradient(
          gradient, tensors.weights, target, patches: lane.patches.floats, accumulates: input.accumulates)
      }
    }
  }
}

/// A convolution of each channel by itself.
final class TrainingDepthwise: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let geometry: training_depthwise
  private let tensors: WeightAndBias

  init(
    name: String, _ c: Convolution, input: TrainingValue, output: TrainingValue, tensors: StepTensors
  ) {
    self.name = name
    inputs = [StepInput(value: input)]
    self.output = output
    let (x, y) = (input.shape, output.shape)
    let window = Window(kernel: c.kernel, stride: c.stride, padding: c.padding, dilation: c.dilation, ceilMode: false)
    let pad = window.edges(for: x)
    geometry = training_depthwise(
      channels: x.c, height: x.h, width: x.w, out_height: y.h, out_width: y.w, kernel_h: c.kernel.h,
      kernel_w: c.kernel.w, stride_h: c.stride.h, stride_w: c.stride.w, dilation_h: c.dilation.h,
      dilation_w: c.dilation.w, top: pad.top, left: pad.left)
    self.tensors = WeightAndBias(tensors, hasBias: c.bias)
  }

  func forward(_ lane: LaneWork) {
    var geometry = geometry
    for n in lane.images {
      let out = output.image(n)
      training_depthwise_forward(&geometry, inputs[0].value.image(n), tensors.weights, out)
      guard let bias = tensors.bias else { continue }
      for p in 0..<output.pixels {
        let pixel = out + p * output.shape.c
        training_add(pixel, bias, output.shape.c, pixel)
      }
    }
  }

  func backward(_ lane: LaneWork) {
    var geometry = geometry
    let input = inputs[0]
    for n in lane.images {
      let gradient = output.gradient(lane, n)
      tensors.addBiasGradient(gradient, pixels: output.pixels, channels: output.shape.c, lane)
      if let weightPlace = tensors.weightPlace {
        training_depthwise_weights(&geometry, input.value.image(n), gradient, lane.gradients + weightPlace)
      }
      if input.value.wantsGradient {
        training_depthwise_input(
          &geometry, gradient, tensors.weights, input.value.gradient(lane, n), input.accumulates ? 1 : 0)
      }
    }
  }
}

/// A node's tensors, and where their gradients are added unless they are frozen.
struct StepTensors {
  let node: String
  let weights: TrainedWeights
  let isFrozen: (_ tensor: String) -> Bool

  func values(_ part: String) -> UnsafeMutablePointer<Float> { weights.memory(of: "\(node).\(part)") }

  func gradientPlace(_ part: String) -> Int? {
    let name = "\(node).\(part)"
    return isFrozen(name) ? nil : weights.parameter(name)?.range.lowerBound
  }
}

/// What a layer with weights and perhaps a bias trains.
struct WeightAndBias {
  let weights: UnsafeMutablePointer<Float>
  /// Where the gradients are added; none for what is frozen.
  let weightPlace: Int?
  let bias: UnsafeMutablePointer<Float>?
  private let biasPlace: Int?

  init(_ tensors: StepTensors, hasBias: Bool) {
    weights = tensors.values("weight")
    weightPlace = tensors.gradientPlace("weight")
    bias = hasBias ? tensors.values("bias") : nil
    biasPlace = hasBias ? tensors.gradientPlace("bias") : nil
  }

  func addBiasGradient(_ gradient: UnsafePointer<Float>, pixels: Int, channels: Int, _ lane: LaneWork) {
    guard let biasPlace else { return }
    training_sum_pixels(gradient, pixels, channels, lane.gradients + biasPlace)
  }
}
