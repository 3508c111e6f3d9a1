import Engine
import TestSupport
import Testing

/// Large tensors are read and packed some rows at a time, and come to the same network.
struct TensorRowsTests {
  /// Gives rows as a file does, and refuses to give a large tensor as a whole.
  private struct ByRows: TensorSource {
    let tensors: SeededTensors
    let readsRows = true

    func extents(ofTensor name: String) -> [Int]? { tensors.extents(ofTensor: name) }

    func floats(ofTensor name: String) throws(EngineError) -> [Float] {
      let floats = try tensors.floats(ofTensor: name)
      guard floats.count <= 1 << 21 else { throw .tensor(name: name, reason: "is asked for as a whole") }
      return floats
    }

    func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float] {
      try tensors.floats(ofTensor: name, rows: rows)
    }
  }

  /// 4000 inputs of padded and of unpadded pixels, 1100 outputs: three groups of rows, the last of an odd size.
  @Test(
    arguments: [Shape(c: 40, h: 10, w: 10), Shape(c: 4000), Shape(c: 16, h: 5, w: 50)],
    EngineOptions.Products.allCases)
  func aLayerPackedByRowsAnswersTheSame(input: Shape, products: EngineOptions.Products) throws {
    let graph = AwkwardGraph(
      "linear", input, .flatten, .linear(Linear(inFeatures: 4000, outFeatures: 1100, bias: true))
    ).graph
    let tensors = try SeededTensors(graph: graph, seed: 1)
    var generator = Seeded(seed: 2)
    let images = (0..<3).map { _ in generator.floats(4000) }
    let options = EngineOptions(products: products)
    let whole = try CompiledNetwork(graph: graph, weights: tensors, options: options)
    let parts = try CompiledNetwork(graph: graph, weights: ByRows(tensors: tensors), options: options)
    let expected = answers(of: try InferencePlan(network: whole, batchCapacity: 3), images)
    #expect(answers(of: try InferencePlan(network: parts, batchCapacity: 3), images) == expected)
  }

  /// 300 outputs in two groups of rows, with a batch norm that is folded in.
  @Test(arguments: ConvolutionAlgorithm.allCases, InstructionSet.available)
  func aConvolutionPackedByRowsAnswersTheSame(algorithm: ConvolutionAlgorithm, set: InstructionSet) throws {
    let graph = AwkwardGraph(
      "convolution", Shape(c: 3, h: 9, w: 9),
      .convolution(Convolution(inChannels: 3, outChannels: 60, kernel: Extent2D(1))),
      .convolution(Convolution(inChannels: 60, outChannels: 300, kernel: Extent2D(3), padding: .same)),
      .batchNorm(epsilon: 1e-3)
    ).graph
    let tensors = try SeededTensors(graph: graph, seed: 1)
    var generator = Seeded(seed: 2)
    let image = generator.floats(3 * 81)
    let isRounded = algorithm == .bf16Product
    let options = EngineOptions(instructionSet: set, usesBF16: isRounded, forcedAlgorithm: algorithm)
    let whole = try CompiledNetwork(graph: graph, weights: tensors, options: options)
    let parts = try CompiledNetwork(graph: graph, weights: ByRows(tensors: tensors), options: options)
    let expected = answers(of: try InferencePlan(network: whole, batchCapacity: 1), [image])
    #expect(answers(of: try InferencePlan(network: parts, batchCapacity: 1), [image]) == expected)
    // Winograd's weights take (tile + 2)² / 9 times their room.
    let frequencies = algorithm.rawValue.hasSuffix("4") ? 36 : algorithm.rawValue.hasSuffix("2") ? 16 : 9
    let bytes = frequencies * 60 * 300 * (isRounded ? 2 : 4)
    #expect(parts.weightBytes > bytes && parts.weightBytes < bytes * 5 / 4)
  }
}
