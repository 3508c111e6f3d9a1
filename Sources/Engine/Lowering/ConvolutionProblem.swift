/// A convolution as far as the speed of its algorithms depends on it: what a machine measures once and remembers.
///
/// Layers alike are one problem. What is added to their sums and done with them costs each algorithm the same.
package struct ConvolutionProblem: Sendable {
  /// Reads value 1 and writes value 2.
  private let step: ConvolutionStep
  /// Images that pass at a time.
  package let images: Int
  private let instructionSet: InstructionSet
  /// What may compute it, the one that rules would take first.
  package let candidates: [ConvolutionAlgorithm]
  /// One line that tells it from every other, for people and as the key under which it is remembered.
  package let key: String

  /// Weights beyond which rules choose: trying Winograd's form of them alone would take more than 150 MB.
  private static let mostWeights = 1 << 20

  /// Nil if there is no choice, or if the convolution reads the picture or scaled channels, which one algorithm does.
  init?(_ step: ConvolutionStep, _ options: EngineOptions) {
    let estimated = AlgorithmChoice.estimated(step, options)
    // Where the engine's kernels are made for the processor, OpenBLAS's products have nothing to gain, and opening it costs.
    let hasRivals = options.products != .automatic || options.instructionSet == .portable
    let others = step.algorithms(options).filter { $0 != estimated && (hasRivals || !$0.isLibrary) }
    guard !others.isEmpty, step.convolution.groups == 1, !step.isOfPicture, step.scale == nil,
      step.convolution.inChannels * step.convolution.outChannels <= Self.mostWeights
    else { return nil }
    var alone = step
    alone.input = 1
    alone.output = 2
    alone.residual = nil
    alone.activation = nil
    alone.takesMaxima = false
    self.step = alone
    candidates = [estimated] + others
    instructionSet = options.instructionSet
    images = Segment.images(
      exchanging: Self.floats(step.inputShape) + Self.floats(step.outputShape), batchCapacity: options.expectedBatch,
      cacheBytes: Segment.cacheBytes)
    let (x, y, c, edges) = (step.inputShape, step.outputShape, step.convolution, step.edges)
    key =
      "\(x.c)×\(x.h)×\(x.w) to \(y.c)×\(y.h)×\(y.w), kernel \(c.kernel.h)×\(c.kernel.w), "
      + "stride \(c.stride.h)×\(c.stride.w), dilation \(c.dilation.h)×\(c.dilation.w), "
      + "padding \(edges.top) \(edges.left), \(images) at a time, \(options.instructionSet.rawValue)"
      + (candidates.contains(.bf16Product) ? ", bf16" : "")
  }

  private static func floats(_ shape: Shape) -> Int { Value.padded(shape.c) * shape.h * shape.w }

  /// Times the candidates, each by the least of some runs.
  ///
  /// On the calling thread, alone. A candidate is tried again until it took `budget`, at least thrice; one that is far behind
  /// at once is not.
  ///
  /// - Parameters:
  ///   - budget: in the clock's unit.
  ///   - clock: the engine has none, the caller lends one; of the thread's own processor time, where others run.
  /// - Returns: what each takes, in the order of `candidates` and the clock's unit.
  /// - Throws: `EngineError.unsound` if OpenBLAS is a candidate and wrong on this machine.
  package func times(budget: Double, clock: () -> Double) throws(EngineError) -> [Double] {
    let (x, y) = (Self.floats(step.inputShape), Self.floats(step.outputShape))
    let memory = FloatMemory(count: images * (x + y))
    for place in 0..<(images * x) { memory.floats[place] = Float(place &* 37 % 255) / 128 - 1 }
    // The picture's view is not used.
    let views = [
      TensorView(base: memory.floats, imageStride: 0, pixelStride: 0),
      TensorView(base: memory.floats, imageStride: x, pixelStride: Value.padded(step.inputShape.c)),
      TensorView(base: memory.floats + images * x, imageStride: y, pixelStride: Value.padded(step.outputShape.c)),
    ]
    let pictures = [UnsafePointer<Float>](repeating: UnsafePointer(memory.floats), count: images)
    if candidates.contains(where: \.isLibrary) { try MatrixLibrary.prove() }
    var least = Double.infinity
    var times: [Double] = []
    for algorithm in candidates {
      let kernel = try step.kernel(algorithm, weights, instructionSet.kernels)
      let scratch = FloatMemory(count: kernel.scratchFloats(batch: images, lanes: 1) + 32)
      let time = views.withUnsafeBufferPointer { views in
        pictures.withUnsafeBufferPointer { pictures in
          guard let base = views.baseAddress else { return Double.infinity }
          let call = KernelCall(pictures: pictures, views: base, scratch: scratch.floats, lane: 0, lanes: 1)
          return Self.leastTime(of: { kernel.run(call) }, against: least, budget: budget, clock: clock)
        }
      }
      least = min(least, time)
      times.append(time)
    }
    return times
  }

  private static func leastTime(
    of run: () -> Void, against rival: Double, budget: Double, clock: () -> Double
  ) -> Double {
    var (least, spent, count) = (Double.infinity, 0.0, 0)
    repeat {
      let start = clock()
      run()
      let time = clock() - start
      least = min(least, time)
      spent += time
      count += 1
    } while (spent < budget || count < 3) && (count < 2 || least < 2 * rival)
    return least
  }

  /// Some numbers: of other sizes, kernels take the same time for them.
  private var weights: WeightRows {
    let row = step.depth
    return WeightRows(
      bias: [Float](repeating: 0.1, count: step.convolution.outChannels), scale: nil, rowFloats: row
    ) { grain, body throws(EngineError) in
      let numbers = (0..<(grain * row)).map { Float($0 &* 29 % 127) / 1024 - 0.06 }
      for first in stride(from: 0, to: step.convolution.outChannels, by: grain) {
        let rows = first..<min(step.convolution.outChannels, first + grain)
        try numbers.withUnsafeBufferPointer { numbers throws(EngineError) in
          try body(rows, UnsafeBufferPointer(rebasing: numbers[..<(rows.count * row)]))
        }
      }
    }
  }
}
