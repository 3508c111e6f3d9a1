// A graph made ready to run: batch norm folded, activations fused into the kernel before them, weights repacked for
// channels-last memory. Immutable, shared by every plan replica; the only copy of the weights in memory.

/// A network with its weights, compiled once and run by any number of plans.
package final class CompiledNetwork: Sendable {
  package let inputShape: Shape
  /// How many numbers the network answers an image with.
  package let outputCount: Int
  /// Whether the answers are probabilities already.
  package let endsInSoftmax: Bool
  let steps: [Step]
  /// Shapes of the values by number, N = 1; 0 is the picture.
  let shapes: [Shape]
  let outputValue: Int
  let weights: WeightMemory

  /// Folds, fuses and repacks.
  ///
  /// - Throws: `EngineError.graph` or `.tensor` when graph and weights contradict each other.
  package init(graph: Graph, weights source: some TensorSource) throws(EngineError) {
    var builder = try NetworkBuilder(graph: graph, source: source)
    try builder.build()
    inputShape = graph.inputShape
    steps = builder.steps
    shapes = builder.shapes
    outputValue = builder.outputValue
    outputCount = builder.shapes[builder.outputValue].countPerImage
    if case .softmax = builder.steps.last(where: { $0.output == builder.outputValue })?.kernel {
      endsInSoftmax = true
    } else {
      endsInSoftmax = false
    }
    weights = WeightMemory(builder.packed)
  }
}

/// The packed weights of a network, 64-byte aligned.
final class WeightMemory: @unchecked Sendable {
  let floats: UnsafeMutablePointer<Float>

  init(_ values: [Float]) {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(64, values.count * 4), alignment: 64)
    floats = raw.bindMemory(to: Float.self, capacity: values.count)
    for (index, value) in values.enumerated() { floats[index] = value }
  }

  deinit { UnsafeMutableRawPointer(floats).deallocate() }
}
