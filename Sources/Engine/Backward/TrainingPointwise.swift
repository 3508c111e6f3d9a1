internal import CKernels

/// An element-wise function.
final class TrainingActivation: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let code: Int32

  init(name: String, _ activation: Activation, input: TrainingValue, output: TrainingValue) {
    self.name = name
    code = activation.code
    inputs = [StepInput(value: input)]
    self.output = output
  }

  func forward(_ lane: LaneWork) {
    for n in lane.images {
      training_activate(inputs[0].value.image(n), output.shape.countPerImage, code, output.image(n))
    }
  }

  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    guard input.value.wantsGradient else { return }
    for n in lane.images {
      training_activate_input(
        input.value.image(n), output.gradient(lane, n), output.shape.countPerImage, code,
        input.value.gradient(lane, n), input.accumulates ? 1 : 0)
    }
  }
}

/// A sum, with the ReLU or ReLU6 that follows it: their slopes show in the output.
final class TrainingAdd: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let code: Int32

  init(name: String, activation: Activation?, inputs: [TrainingValue], output: TrainingValue) {
    self.name = name
    code = activation?.code ?? 0
    self.inputs = inputs.map { StepInput(value: $0) }
    self.output = output
  }

  func forward(_ lane: LaneWork) {
    for n in lane.images {
      add(inputs[0].value.image(n), inputs[1].value.image(n), output.image(n))
    }
  }

  private func add(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>
  ) {
    training_add(a, b, output.shape.countPerImage, out)
    if code != 0 { training_activate(out, output.shape.countPerImage, code, out) }
  }

  func backward(_ lane: LaneWork) {
    for input in inputs where input.value.wantsGradient {
      for n in lane.images {
        training_activate_input(
          output.image(n), output.gradient(lane, n), output.shape.countPerImage, code,
          input.value.gradient(lane, n), input.accumulates ? 1 : 0)
      }
    }
  }
}

/// A product; the second factor may have one number a channel.
final class TrainingMultiply: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let isSpread: Bool

  init(name: String, inputs: [TrainingValue], output: TrainingValue) {
    self.name = name
    self.inputs = inputs.map { StepInput(value: $0) }
    self.output = output
    isSpread = inputs[1].shape != output.shape
  }

  func forward(_ lane: LaneWork) {
    let channels = output.shape.c
    for n in lane.images {
      let (a, b, out) = (inputs[0].value.image(n), inputs[1].value.image(n), output.image(n))
      for p in 0..<output.pixels {
        let factor = isSpread ? b : b + p * channels
        for c in 0..<channels { out[p * channels + c] = a[p * channels + c] * factor[c] }
      }
    }
  }

  func backward(_ lane: LaneWork) {
    let channels = output.shape.c
    for n in lane.images {
      let gradient = output.gradient(lane, n)
      let (a, b) = (inputs[0].value.image(n), inputs[1].value.image(n))
      if inputs[0].value.wantsGradient {
        let target = inputs[0].value.gradient(lane, n)
        let keep: Float = inputs[0].accumulates ? 1 : 0
        if keep == 0 { target.update(repeating: 0, count: output.shape.countPerImage) }
        for p in 0..<output.pixels {
          let factor = isSpread ? b : b + p * channels
          for c in 0..<channels { target[p * channels + c] += gradient[p * channels + c] * factor[c] }
        }
      }
      if inputs[1].value.wantsGradient {
        let target = inputs[1].value.gradient(lane, n)
        if !inputs[1].accumulates { target.update(repeating: 0, count: inputs[1].value.shape.countPerImage) }
        for p in 0..<output.pixels {
          let place = isSpread ? target : target + p * channels
          for c in 0..<channels { place[c] += gradient[p * channels + c] * a[p * channels + c] }
        }
      }
    }
  }
}

/// Joins along C.
final class TrainingConcatenate: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue

  init(name: String, inputs: [TrainingValue], output: TrainingValue) {
    self.name = name
    self.inputs = inputs.map { StepInput(value: $0) }
    self.output = output
  }

  func forward(_ lane: LaneWork) {
    for n in lane.images {
      var first = 0
      for input in inputs {
        let (source, target, part) = (input.value.image(n), output.image(n) + first, input.value.shape.c)
        for p in 0..<output.pixels { (target + p * output.shape.c).update(from: source + p * part, count: part) }
        first += part
      }
    }
  }

  func backward(_ lane: LaneWork) {
    for n in lane.images {
      var first = 0
      for input in inputs {
        let part = input.value.shape.c
        if input.value.wantsGradient {
          let (source, target) = (output.gradient(lane, n) + first, input.value.gradient(lane, n))
          for p in 0..<output.pixels {
            training_scale_add(
              source + p * output.shape.c, part, 1, target + p * part, input.accumulates ? 1 : 0)
          }
        }
        first += part
      }
    }
  }
}

/// Channels-last memory to C, H, W order, for what needs that order.
final class TrainingFlatten: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue

  init(name: String, input: TrainingValue, output: TrainingValue) {
    self.name = name
    inputs = [StepInput(value: input)]
    self.output = output
  }

  func forward(_ lane: LaneWork) {
    let x = inputs[0].value
    for n in lane.images {
      for p in 0..<x.pixels {
        for c in 0..<x.shape.c { output.image(n)[c * x.pixels + p] = x.image(n)[p * x.shape.c + c] }
      }
    }
  }

  func backward(_ lane: LaneWork) {
    let x = inputs[0].value
    guard x.wantsGradient else { return }
    for n in lane.images {
      let (gradient, target) = (output.gradient(lane, n), x.gradient(lane, n))
      for p in 0..<x.pixels {
        for c in 0..<x.shape.c {
          let before = inputs[0].accumulates ? target[p * x.shape.c + c] : 0
          target[p * x.shape.c + c] = before + gradient[c * x.pixels + p]
        }
      }
    }
  }
}
