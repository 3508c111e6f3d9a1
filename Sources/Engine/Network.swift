/// The numbers a network computes with.
package enum Precision: String, Sendable, CaseIterable {
  /// Bytes for a file that was quantized, floats for another.
  case automatic = "auto"
  case fp32
  /// Floats with products of bf16 operands, where the processor has instructions for them; else as `fp32`.
  case bf16
  case int8
}

/// A network made ready to run, shared by every plan replica; any thread may read it.
package protocol Network: Sendable {
  var inputShape: Shape { get }
  /// How many numbers the network answers an image with.
  var outputCount: Int { get }
  var answerKind: AnswerKind { get }
  /// Bytes of weights in memory, in the form that the algorithms want them.
  var weightBytes: Int { get }
  /// How far a canary's answers may be off by rounding, as a fraction of the largest; those of a wrong kernel are off by 1.
  var canaryRounding: Float { get }
  /// Its steps in the order they run: each by the node whose value it makes, and how it computes it.
  var summary: [(name: String, algorithm: String)] { get }

  /// One replica of its execution, for one thread at a time and batches of up to `batchCapacity` images.
  ///
  /// `lanes` work on each run together if the network is one in floats; one in bytes runs on the calling thread alone.
  ///
  /// - Throws: `EngineError.graph` if the workspace would be too large.
  func plan(batchCapacity: Int, lanes: LaneGroup) throws(EngineError) -> any NetworkPlan
}

extension Network {
  /// One replica of its execution, on the calling thread.
  ///
  /// - Throws: as `plan(batchCapacity:lanes:)`.
  package func plan(batchCapacity: Int) throws(EngineError) -> any NetworkPlan {
    try plan(batchCapacity: batchCapacity, lanes: .alone)
  }
}

/// One replica of a network's execution with memory of its own; used by one thread at a time.
package protocol NetworkPlan: AnyObject {
  /// The network it runs.
  var answering: any Network { get }
  /// Bytes of arena and scratch; the weights are the network's.
  var workspaceBytes: Int { get }

  /// Answers a batch.
  ///
  /// - Parameters:
  ///   - images: for each image H×W×C floats, channels last; at most as many as the plan was made for.
  ///   - output: gets as many numbers an image as the network answers with, each row in C, H, W order.
  func run(images: UnsafeBufferPointer<UnsafePointer<Float>>, output: UnsafeMutableBufferPointer<Float>)

  /// The time that each step takes for a batch, the least of some runs, in the clock's own unit; steps in the order of
  /// the network's `summary`.
  ///
  /// The calling thread computes it all. The engine has no clock: the caller lends one.
  func stepTimes(
    images: UnsafeBufferPointer<UnsafePointer<Float>>, repetitions: Int, clock: () -> Double
  ) -> [Double]
}

extension NetworkPlan {
  /// Answers one image of H×W×C floats.
  package func answer(to image: [Float]) -> [Float] {
    precondition(image.count == answering.inputShape.count, "an image of the network's input shape")
    var answers = [Float](repeating: 0, count: answering.outputCount)
    image.withUnsafeBufferPointer { image in
      guard let base = image.baseAddress else { return }
      answers.withUnsafeMutableBufferPointer { output in
        withUnsafePointer(to: base) { run(images: UnsafeBufferPointer(start: $0, count: 1), output: output) }
      }
    }
    return answers
  }

  /// The network's raw answers to a canary's input.
  package func answers(toSeed seed: UInt32) -> [Float] {
    let shape = answering.inputShape
    return answer(to: shape.channelsLast(Canary.input(seed: seed, shape: shape)))
  }

  /// Runs the canary: nil if this network on this machine answers what its maker saw, else a sentence on what differs.
  package func discrepancy(to canary: Canary) -> String? {
    canary.discrepancy(in: answers(toSeed: canary.seed), rounding: answering.canaryRounding)
  }
}

extension Shape {
  /// One image's numbers from C, H, W order to H, W, C.
  package func channelsLast(_ planar: [Float]) -> [Float] {
    let area = h * w
    return [Float](unsafeUninitializedCapacity: countPerImage) { picture, count in
      for p in 0..<area {
        for channel in 0..<c { picture.initializeElement(at: p * c + channel, to: planar[channel * area + p]) }
      }
      count = countPerImage
    }
  }

  /// One image's numbers from H, W, C order to C, H, W.
  package func planar(_ picture: [Float]) -> [Float] {
    let area = h * w
    return [Float](unsafeUninitializedCapacity: countPerImage) { planar, count in
      for channel in 0..<c {
        for p in 0..<area { planar.initializeElement(at: channel * area + p, to: picture[p * c + channel]) }
      }
      count = countPerImage
    }
  }
}

extension CompiledNetwork: Network {
  package func plan(batchCapacity: Int, lanes: LaneGroup) throws(EngineError) -> any NetworkPlan {
    try InferencePlan(network: self, batchCapacity: batchCapacity, lanes: lanes)
  }
}

extension InferencePlan: NetworkPlan {
  package var answering: any Network { network }
}

extension QuantizedNetwork: Network {
  package var weightBytes: Int { weights.count + factors.byteCount }
  package var canaryRounding: Float { 0 }

  package func plan(batchCapacity: Int, lanes: LaneGroup) throws(EngineError) -> any NetworkPlan {
    try QuantizedPlan(network: self, batchCapacity: batchCapacity)
  }
}

extension QuantizedPlan: NetworkPlan {
  package var answering: any Network { network }
}

extension WeightsFile {
  /// Opens a file and makes its network ready; `options` concern networks in floats.
  ///
  /// The digest is computed while the weights are packed, on another of the `lanes` if there are several. Nobody gets the
  /// network of a file whose digest does not fit.
  ///
  /// - Throws: as `open(path:)` and `network(precision:options:)`.
  package static func load(
    path: String, precision: Precision = .automatic, options: EngineOptions = EngineOptions(),
    lanes: LaneGroup = .alone
  ) throws(EngineError) -> (file: WeightsFile, network: any Network) {
    let file = try WeightsFile(unproved: MappedBytes(path: path))
    var proof: Result<Void, EngineError>?
    func prove() {
      do throws(EngineError) {
        try file.checkDigest()
        proof = .success(())
      } catch {
        proof = .failure(error)
      }
    }
    let network: Result<any Network, EngineError>
    do throws(EngineError) {
      try file.checkContents()
      network = .success(try file.network(precision: precision, options: options, lanes: lanes, alongside: prove))
    } catch {
      network = .failure(error)
    }
    // What a damaged file contradicts itself in is of no interest.
    if proof == nil { prove() }
    try proof?.get()
    return (file, try network.get())
  }

  /// The file's network, ready to run; `options` concern networks in floats.
  ///
  /// `lanes` make it so together, and one of them does other `work` beside it.
  ///
  /// - Throws: `EngineError.graph` or `.tensor` when graph and weights contradict each other, `.graph` when bytes are asked
  ///   of a file that was not quantized.
  package func network(
    precision: Precision = .automatic, options: EngineOptions = EngineOptions(), lanes: LaneGroup = .alone,
    alongside work: () -> Void = {}
  ) throws(EngineError) -> any Network {
    switch precision {
    case .automatic where quantization == nil, .fp32, .bf16:
      var options = options
      if precision == .bf16 { options.usesBF16 = options.usesBF16 || options.instructionSet.gainsByBF16 }
      return try CompiledNetwork(
        graph: graph, weights: self, options: options, isOfBytes: quantization != nil, lanes: lanes, alongside: work)
    case .automatic, .int8:
      guard let quantization else {
        throw .graph(node: "", reason: "\(path) was not quantized; make an int8 model of it with 'lookout quantize'")
      }
      var network: Result<any Network, EngineError>?
      lanes.run { lane in
        if lane == lanes.count - 1 { work() }
        guard lane == 0 else { return }
        do throws(EngineError) {
          network = .success(
            try QuantizedNetwork(
              graph: graph, weights: self, quantization: quantization, instructionSet: options.instructionSet))
        } catch {
          network = .failure(error)
        }
      }
      guard let network else { preconditionFailure("lane 0 is always run") }
      return try network.get()
    }
  }
}
