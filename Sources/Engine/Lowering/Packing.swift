internal import Synchronization

/// Turns drafts into steps: reads the weights, folds batch norm into them, chooses algorithms, packs.
struct Packing<Source: TensorSource> {
  private let draft: Draft
  private let source: Source
  private let options: EngineOptions
  private let kernels: Kernels

  init(_ draft: Draft, _ source: Source, _ options: EngineOptions) {
    self.draft = draft
    self.source = source
    self.options = options
    kernels = options.instructionSet.kernels
  }

  /// Packs on all lanes at once, a step at a time each, the largest first; one lane begins with other work.
  func steps(_ lanes: LaneGroup, alongside work: () -> Void) throws(EngineError) -> [Step] {
    let sizes = draft.steps.map { source.extents(ofTensor: "\($0.name).weight")?.reduce(1, *) ?? 0 }
    let order = draft.steps.indices.sorted { sizes[$0] > sizes[$1] }
    let next = Atomic(0)
    var kernels = [Result<(any StepKernel)?, EngineError>](repeating: .success(nil), count: order.count)
    kernels.withUnsafeMutableBufferPointer { kernels in
      lanes.run { _ in
        while case let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue, turn <= order.count {
          guard turn > 0 else {
            work()
            continue
          }
          let place = order[turn - 1]
          do throws(EngineError) {
            kernels[place] = .success(try kernel(draft.steps[place]))
          } catch {
            kernels[place] = .failure(error)
          }
        }
      }
    }
    var steps: [Step] = []
    for (step, kernel) in zip(draft.steps, kernels) {
      if let kernel = try kernel.get() { steps.append(Step(name: step.name, kernel: kernel)) }
    }
    return steps
  }

  private func shape(_ value: Int) -> Shape { draft.values[value].shape }

  /// Nil if there is nothing left to do.
  private func kernel(_ step: DraftStep) throws(EngineError) -> (any StepKernel)? {
    let (input, output) = (step.inputs[0], step.output)
    let (x, y) = (shape(input), shape(output))
    switch step.operation {
    case .convolution(let convolution):
      return try convolution.step.kernel(AlgorithmChoice.of(convolution.step, options), try rows(convolution), kernels)
    case .depthwise(let expansion, let middle, let projection, let sums):
      return DepthwiseBlock(
        middle.step, try ConvolutionWeights(rows(middle)), expansion: try pointwise(expansion),
        projection: try pointwise(projection), sums: sums, kernels)
    case .linear(let linear, let shape):
      return try LinearLayer(
        input: input, inputShape: shape, output: output, residual: step.residual, activation: step.activation,
        try rows(step.name, outputs: linear.outFeatures, hasBias: linear.bias, step.norm), options.productKind, kernels)
    case .affine:
      guard let norm = step.norm else { return nil }
      let (scale, shift) = try factors(norm)
      return RowPass(
        input: input, output: output, shape: x, scale: WeightMatrix.padded(scale), shift: WeightMatrix.padded(shift),
        activation: step.activation, kernels: kernels)
    case .activation:
      return RowPass(input: input, output: output, shape: x, activation: step.activation, kernels: kernels)
    case .add:
      return RowPass(
        input: input, output: output, shape: x, addend: step.inputs[1], activation: step.activation, kernels: kernels)
    case .maxPool(let window):
      return SlidingPool(
        kind: .maximum, window: window, input: input, output: output, inputShape: x, outputShape: y, kernels: kernels)
    case .averagePool(let window, let countIncludePad):
      return SlidingPool(
        kind: .mean(countIncludePad: countIncludePad), window: window, input: input, output: output, inputShape: x,
        outputShape: y, kernels: kernels)
    case .adaptiveAveragePool:
      return AdaptiveMean(input: input, output: output, inputShape: x, outputShape: y, kernels: kernels)
    case .meanOfSums(let summed): return MeanOfSums(sums: input, output: output, inputShape: summed)
    case .multiply:
      let other = step.inputs[1]
      return MultiplyPass(
        first: input, second: other, output: output, shape: x, isSpread: shape(other) != x, kernels: kernels)
    case .concatenate: return concatenation(step)
    case .load:
      return CopyChannels(
        parts: [CopyChannels.Part(input: 0, channels: x.c, first: 0)], output: output, shape: x)
    case .flatten: return Flatten(input: input, output: output, shape: x)
    case .softmax: return ChannelKernel(kind: .softmax, input: input, output: output, shape: x, kernels: kernels)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      return ChannelKernel(
        kind: .localResponseNorm(size: size, alpha: alpha, beta: beta, k: k), input: input, output: output, shape: x,
        kernels: kernels)
    }
  }

  /// Copies those parts that are not written into the whole by their makers.
  private func concatenation(_ step: DraftStep) -> (any StepKernel)? {
    var parts: [CopyChannels.Part] = []
    var first = 0
    for input in step.inputs {
      let place = draft.values[input].container
      if place == nil || place?.value != step.output || place?.channel != first {
        parts.append(CopyChannels.Part(input: input, channels: shape(input).c, first: first))
      }
      first += shape(input).c
    }
    return parts.isEmpty ? nil : CopyChannels(parts: parts, output: step.output, shape: shape(step.output))
  }

  private func pointwise(_ convolution: DraftConvolution?) throws(EngineError) -> DepthwiseBlock.Pointwise? {
    guard let convolution else { return nil }
    return DepthwiseBlock.Pointwise(
      convolution.step, try ConvolutionWeights(rows(convolution)), options.productKind, kernels)
  }

  // MARK: Weights

  private func factors(_ norm: DraftNorm) throws(EngineError) -> (scale: [Float], shift: [Float]) {
    let weight = try source.floats(ofTensor: "\(norm.name).weight")
    let bias = try source.floats(ofTensor: "\(norm.name).bias")
    let mean = try source.floats(ofTensor: "\(norm.name).running_mean")
    let variance = try source.floats(ofTensor: "\(norm.name).running_var")
    var scale = weight
    var shift = bias
    for c in scale.indices {
      let factor = Double(weight[c]) / (Double(variance[c]) + Double(norm.epsilon)).squareRoot()
      scale[c] = Float(factor)
      shift[c] = Float(Double(bias[c]) - Double(mean[c]) * factor)
    }
    return (scale, shift)
  }

  private func rows(_ convolution: DraftConvolution) throws(EngineError) -> WeightRows {
    let c = convolution.step.convolution
    return try rows(convolution.name, outputs: c.outChannels, hasBias: c.bias, convolution.norm)
  }

  /// A layer's numbers, those of its batch norm among them.
  private func rows(
    _ name: String, outputs: Int, hasBias: Bool, _ norm: DraftNorm?
  ) throws(EngineError) -> WeightRows {
    let row = (source.extents(ofTensor: "\(name).weight") ?? []).dropFirst().reduce(1, *)
    let scale = try norm.map { norm throws(EngineError) in WeightMatrix.padded(try factors(norm).scale) }
    return WeightRows(
      bias: try bias(name, outputs: outputs, isThere: hasBias, norm), scale: scale, rowFloats: row
    ) { grain, body throws(EngineError) in
      try source.eachRows(ofTensor: "\(name).weight", grain: grain, body)
    }
  }

  private func bias(
    _ name: String, outputs: Int, isThere: Bool, _ norm: DraftNorm?
  ) throws(EngineError) -> [Float] {
    var bias = isThere ? try source.floats(ofTensor: "\(name).bias") : [Float](repeating: 0, count: outputs)
    guard let norm else { return bias }
    let (scale, shift) = try factors(norm)
    for out in 0..<outputs { bias[out] = bias[out] * scale[out] + shift[out] }
    return bias
  }
}

/// Which algorithm a convolution takes.
enum AlgorithmChoice {
  /// The one that was the fastest when it was measured, else by rules.
  static func of(_ step: ConvolutionStep, _ options: EngineOptions) -> ConvolutionAlgorithm {
    guard !options.measured.isEmpty, let problem = ConvolutionProblem(step, options),
      let measured = options.measured[problem.key], problem.candidates.contains(measured),
      !measured.isLibrary || (try? MatrixLibrary.prove()) != nil
    else { return estimated(step, options) }
    return measured
  }

  /// By rules: the fewest multiplications, transforms counted with them; of bf16 several pass at once.
  static func estimated(_ step: ConvolutionStep, _ options: EngineOptions) -> ConvolutionAlgorithm {
    let allowed = step.algorithms(options)
    let candidates = options.products == .automatic ? allowed.filter { !$0.isLibrary } : allowed
    let costs = (candidates.isEmpty ? allowed : candidates).map { (algorithm: $0, cost: cost($0, step, options)) }
    return costs.min { $0.cost < $1.cost }?.algorithm ?? .product
  }

  private static func cost(
    _ algorithm: ConvolutionAlgorithm, _ step: ConvolutionStep, _ options: EngineOptions
  ) -> Double {
    let y = step.outputShape
    let (from, to) = (Double(step.convolution.inChannels), Double(step.convolution.outChannels))
    let batch = Double(options.expectedBatch)
    // To fetch a weight costs about as much as so many products with it.
    let fetching = 16.0
    guard let tile = algorithm.tileExtent else {
      let products = (batch * Double(y.h * y.w) + fetching) * Double(step.depth) * to
      guard algorithm == .bf16Product else { return products }
      // What rounding rows, fetching weights and storing results leave of the sixteen that tiles do at once.
      return products / (options.instructionSet == .amx ? 5 : 2)
    }
    let tiles = batch * Double(((y.h + tile - 1) / tile) * ((y.w + tile - 1) / tile))
    let frequencies = Double((tile + 2) * (tile + 2))
    // A transform of a number costs about as much as a dozen products.
    let transforms = 12 * tiles * frequencies * (from + to)
    return (tiles + fetching) * frequencies * from * to + transforms
  }
}
