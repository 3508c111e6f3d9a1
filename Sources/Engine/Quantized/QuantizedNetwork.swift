// A graph made ready to run in bytes: activations fused, weights packed for the products of CKernels. Immutable, shared by
// every plan replica.

/// A network whose activations and weights are bytes, compiled once and run by any number of plans.
package final class QuantizedNetwork: Sendable {
  package let inputShape: Shape
  /// How many numbers the network answers an image with.
  package let outputCount: Int
  package let answerKind: AnswerKind
  let kernels: ByteKernels
  let steps: [QuantizedStep]
  /// By number; 0 is the picture as floats.
  let values: [QuantizedValue]
  let outputValue: Int
  let weights: ByteMemory
  let factors: FloatMemory

  /// Fuses and packs.
  ///
  /// Batch norm must have been folded into the weights before.
  ///
  /// A weight tensor with a `<name>_scale` beside it is taken to consist of whole multiples of those scales; another is
  /// rounded to bytes here, with the scale that its largest number needs.
  ///
  /// - Throws: `EngineError.graph` or `.tensor` when graph, weights and scales contradict each other.
  package init(
    graph: Graph, weights source: some TensorSource, quantization: Quantization,
    instructionSet: InstructionSet = .best
  ) throws(EngineError) {
    kernels = instructionSet.byteKernels
    var builder = try QuantizedBuilder(graph: graph, source: source, quantization: quantization, kernels: kernels)
    try builder.build()
    inputShape = graph.inputShape
    steps = builder.steps
    values = builder.values
    outputValue = builder.outputValue
    outputCount = builder.values[builder.outputValue].shape.countPerImage
    answerKind = graph.answerKind
    weights = ByteMemory(builder.bytes)
    factors = FloatMemory(builder.floats, paddedTo: builder.floats.count + 64)
  }

  package var summary: [(name: String, algorithm: String)] {
    steps.map { (name: $0.name, algorithm: $0.kernel.algorithm) }
  }
}

/// Bytes in pages of their own, zero at first, that may be read a little beyond their end.
final class ByteMemory: @unchecked Sendable {
  static let slack = 64
  let bytes: UnsafeMutablePointer<UInt8>
  /// Without the slack.
  let count: Int
  private let pages: Pages

  init(count: Int) {
    self.count = count
    pages = Pages(bytes: count + Self.slack)
    bytes = pages.base.bindMemory(to: UInt8.self, capacity: count + Self.slack)
  }

  convenience init(_ values: [Int8]) {
    self.init(count: values.count)
    values.withUnsafeBytes {
      UnsafeMutableRawPointer(bytes).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(bytes), byteCount: $0.count)
    }
  }
}
