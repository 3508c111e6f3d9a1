// A graph made ready to run: batch norm folded, activations, additions and scalings fused into the kernel before or after
// them, the algorithm of each convolution chosen, weights packed for it. Immutable, shared by every plan replica; the
// only copy of the weights in memory.

/// A network with its weights, compiled once and run by any number of plans.
package final class CompiledNetwork: Sendable {
  package let inputShape: Shape
  /// How many numbers the network answers an image with.
  package let outputCount: Int
  package let answerKind: AnswerKind
  /// Whether products are of operands rounded to bf16.
  package let usesBF16: Bool
  package let canaryRounding: Float
  let steps: [Step]
  /// The convolutions that several algorithms may compute, in their order, each kind once.
  package let problems: [ConvolutionProblem]
  /// By number; 0 is the picture.
  let values: [Value]
  let outputValue: Int

  /// Folds, fuses, chooses and packs.
  ///
  /// `lanes` pack together, and then `source` must allow several threads to read it at once; `work` is done beside it by
  /// one of them. `isOfBytes`: the weights are those of a network in bytes, whose canary was computed in bytes.
  ///
  /// - Throws: `EngineError.graph` or `.tensor` when graph and weights contradict each other, `.unsound` when OpenBLAS is
  ///   asked for and not to be had.
  package init(
    graph: Graph, weights source: some TensorSource, options: EngineOptions = EngineOptions(),
    isOfBytes: Bool = false, lanes: LaneGroup = .alone, alongside work: () -> Void = {}
  ) throws(EngineError) {
    if options.wantsMatrixLibrary { try MatrixLibrary.prove() }
    var drafts = try Draft(graph: graph, source: source)
    try drafts.build(options)
    var known: Set<String> = []
    problems = drafts.steps.compactMap { step in
      guard case .convolution(let draft) = step.operation else { return nil }
      return ConvolutionProblem(draft.step, options)
    }.filter { known.insert($0.key).inserted }
    let packing = Packing(drafts, source, options)
    steps = try packing.steps(lanes, alongside: work)
    inputShape = graph.inputShape
    usesBF16 = options.usesBF16
    // Of usual networks floats were up to 0.19 off what bytes answer, operands of 8 digits in binary 0.04 off floats.
    canaryRounding = isOfBytes ? 0.4 : usesBF16 ? 0.1 : 0
    values = drafts.values
    outputValue = drafts.outputValue
    outputCount = drafts.values[drafts.outputValue].shape.countPerImage
    answerKind = graph.answerKind
  }

  package var weightBytes: Int { steps.reduce(0) { $0 + $1.kernel.weightBytes } }

  /// A line a step: its name and how it is computed.
  package var summary: [(name: String, algorithm: String)] {
    steps.map { (name: $0.name, algorithm: $0.kernel.algorithm) }
  }
}
