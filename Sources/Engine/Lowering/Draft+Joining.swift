/// Passes over finished drafts.
extension Draft {
  /// How many steps read a value; the network's caller is one more reader of its output.
  private func readers(of value: Int) -> Int {
    steps.reduce(value == outputValue ? 1 : 0) { $0 + $1.inputs.count { $0 == value } }
  }

  /// Joins each depthwise convolution with the 1×1 convolutions that alone feed it and alone take its output.
  mutating func joinDepthwise() {
    for index in steps.indices {
      guard case .depthwise(nil, let middle, nil, nil) = steps[index].operation else { continue }
      var last = index
      var (expansion, projection): (DraftConvolution?, DraftConvolution?) = (nil, nil)
      if readers(of: middle.step.input) == 1,
        let before = steps.firstIndex(where: { $0.output == middle.step.input }),
        case .convolution(let draft) = steps[before].operation, draft.isPlainPointwise, draft.step.residual == nil
      {
        expansion = draft
        steps[before].operation = .activation
        steps[before].inputs = []
      }
      if readers(of: middle.step.output) == 1,
        let after = steps.firstIndex(where: { $0.inputs.contains(middle.step.output) }),
        case .convolution(let draft) = steps[after].operation, draft.isPlainPointwise,
        draft.step.input == middle.step.output
      {
        projection = draft
        last = after
      }
      var inputs = [expansion?.step.input ?? middle.step.input]
      if let residual = projection?.step.residual { inputs.append(residual) }
      let joined = DraftStep(
        name: expansion?.name ?? middle.name,
        operation: .depthwise(expansion: expansion, middle, projection: projection, sums: nil), inputs: inputs,
        output: projection?.step.output ?? middle.step.output)
      if last != index { steps[index].inputs = [] }
      steps[last] = joined
    }
    // What was joined to another step reads nothing.
    steps.removeAll { $0.inputs.isEmpty }
  }

  /// Lets a depthwise convolution add up what it writes, if a mean over all of it follows.
  mutating func takeSums() {
    for index in steps.indices {
      guard case .adaptiveAveragePool = steps[index].operation, values[steps[index].output].shape.h == 1,
        values[steps[index].output].shape.w == 1,
        let maker = steps[..<index].lastIndex(where: { $0.output == steps[index].inputs[0] }),
        case .depthwise(let expansion, let middle, nil, nil) = steps[maker].operation
      else { continue }
      let shape = middle.step.outputShape
      values.append(Value(name: middle.name, shape: shape, isPerLane: true))
      let sums = values.count - 1
      steps[maker].operation = .depthwise(expansion: expansion, middle, projection: nil, sums: sums)
      steps[index].operation = .meanOfSums(shape)
      steps[index].inputs = [sums]
    }
  }

  /// Lets convolutions by Winograd's algorithm write the maximum of every two by two results, if a pool alone takes them.
  mutating func takeMaxima(_ options: EngineOptions) {
    for index in steps.indices {
      guard case .maxPool(let window) = steps[index].operation, window.isOfSquares,
        readers(of: steps[index].inputs[0]) == 1,
        let maker = steps[..<index].lastIndex(where: { $0.output == steps[index].inputs[0] }),
        case .convolution(var draft) = steps[maker].operation, draft.step.canTakeMaxima,
        AlgorithmChoice.of(draft.step, options).tileExtent != nil
      else { continue }
      let (results, maxima) = (draft.step.outputShape, values[steps[index].output].shape)
      guard maxima.h == results.h / 2, maxima.w == results.w / 2 else { continue }
      draft.step.takesMaxima = true
      draft.step.output = steps[index].output
      steps[index] = DraftStep(
        name: steps[maker].name, operation: .convolution(draft), inputs: draft.step.inputs, output: draft.step.output)
      steps[maker].inputs = []
    }
    // What was joined to another step reads nothing.
    steps.removeAll { $0.inputs.isEmpty }
  }

  /// Lets those who make the parts of a concatenation write into the whole, where the parts' first channels are aligned.
  mutating func placeConcatenations() {
    for step in steps {
      guard case .concatenate = step.operation else { continue }
      var channel = 0
      for (place, part) in step.inputs.enumerated() {
        let channels = values[part].shape.c
        let isLast = place == step.inputs.count - 1
        if channel % 16 == 0, isLast || channels % 16 == 0, part != 0, values[part].container == nil {
          values[part].container = (value: step.output, channel: channel)
        }
        channel += channels
      }
    }
  }
}

extension DraftConvolution {
  /// A 1×1 convolution of a value, as it stands around a depthwise one.
  fileprivate var isPlainPointwise: Bool { step.isPointwise && !step.isOfPicture && step.scale == nil }
}

extension Window {
  /// Whether it falls on every two by two, each number once.
  fileprivate var isOfSquares: Bool {
    kernel == Extent2D(2) && stride == Extent2D(2) && dilation == Extent2D(1) && padding == .symmetric(0)
  }
}
