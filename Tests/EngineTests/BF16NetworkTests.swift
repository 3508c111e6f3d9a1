import Engine
import Platform
import TestSupport
import Testing

/// Networks whose products are of bf16 operands, by the portable kernels where this machine has no others.
@Suite("A network in bf16 answers nearly as in floats", .serialized, .timeLimit(.minutes(15)))
struct BF16NetworkTests {
  /// What a rounded operand may cost: 2^-8 of each product, and products that cancel make it more of their sum.
  private static let allowed: Float = 0.04

  static let instructionSets: [InstructionSet] =
    InstructionSet.best == .portable ? [.portable] : [.portable, InstructionSet.best]

  private func expectNear(_ given: [Float], _ wanted: [Float], _ what: String, allowed: Float = Self.allowed) {
    let size = wanted.reduce(Float(0.1)) { max($0, $1.magnitude) }
    // A NaN on either side fails the comparison.
    let wrong = zip(given, wanted).first { !(($0 - $1).magnitude <= allowed * size) }
    #expect(given.count == wanted.count && wrong == nil, "\(what): \(wrong.map { "\($0)" } ?? "")")
  }

  private func compare(_ graph: Graph, _ options: EngineOptions, seed: UInt64 = 7, _ what: String) throws {
    var generator = Seeded(seed: seed)
    let images = (0..<2).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
    for (answer, image) in zip(try planned(graph, images, options), images) {
      expectNear(answer, try reference(graph, image), what)
    }
  }

  @Test(arguments: instructionSets) func convolvesNearly(_ set: InstructionSet) throws {
    let options = EngineOptions(instructionSet: set, usesBF16: true, forcedAlgorithm: .bf16Product)
    for convolution in ConvolutionCase.all + ConvolutionCase.large {
      try compare(convolution.graph, options, convolution.description)
    }
  }

  @Test(arguments: AwkwardGraph.all, instructionSets)
  func answersAwkwardGraphsNearly(_ awkward: AwkwardGraph, _ set: InstructionSet) throws {
    try compare(awkward.graph, EngineOptions(instructionSet: set, usesBF16: true), awkward.name)
  }

  @Test func computesDepthwiseBlocksNearly() throws {
    for block in DepthwiseCase.all { try compare(block.graph, EngineOptions(usesBF16: true), block.name) }
  }

  @Test(arguments: 0..<20) func reusesTheArenaSoundly(_ seed: Int) throws {
    var generator = Seeded(seed: UInt64(seed))
    let graph = RandomGraph.make(&generator)
    let lines = graph.nodes.map { "\($0)" }.joined(separator: "\n")
    try compare(graph, EngineOptions(usesBF16: true), seed: UInt64(seed), lines)
  }

  /// Sums that lanes add up in another order may round an operand of a later layer to the other side.
  @Test(arguments: [2, 3]) func lanesAnswerAsOne(lanes: Int) throws {
    let pool = LanePool(count: lanes, name: "lane")
    var generator = Seeded(seed: 3)
    let graphs = ConvolutionCase.large.map(\.graph) + AwkwardGraph.all.map(\.graph) + DepthwiseCase.all.map(\.graph)
    for graph in graphs {
      let images = (0..<2).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
      let network = try CompiledNetwork(
        graph: graph, weights: SeededTensors(graph: graph, seed: 1),
        options: EngineOptions(usesBF16: true, forcedAlgorithm: .bf16Product))
      let alone = answers(of: try InferencePlan(network: network, batchCapacity: 2), images)
      let together = answers(
        of: try InferencePlan(network: network, batchCapacity: 2, lanes: LaneGroup(pool)), images)
      for (one, other) in zip(alone, together) { expectNear(other, one, "\(graph.nodes)", allowed: 0.01) }
    }
  }

  // MARK: The choice of algorithms

  private static let graph = Graph(
    inputShape: Shape(c: 3, h: 14, w: 14),
    nodes: [
      Graph.Node(name: "stem", operation: AwkwardGraph.conv(3, 32, 3, padding: .symmetric(1)), inputs: ["input"]),
      Graph.Node(name: "wide", operation: AwkwardGraph.conv(32, 512, 1), inputs: ["stem"]),
      Graph.Node(name: "square", operation: AwkwardGraph.conv(512, 512, 3, padding: .symmetric(1)), inputs: ["wide"]),
      Graph.Node(name: "thin", operation: AwkwardGraph.conv(512, 16, 3, stride: 2), inputs: ["square"]),
    ], outputName: "thin")

  private func network(_ options: EngineOptions) throws -> CompiledNetwork {
    try CompiledNetwork(graph: Self.graph, weights: SeededTensors(graph: Self.graph, seed: 3), options: options)
  }

  /// Half a product is less than a product and more than Winograd's large tiles; AMX does far more at once.
  @Test func rulesTakeWhatCostsLess() throws {
    for (set, square) in [(InstructionSet.avx512, "winograd F(4×4)"), (.amx, "windows, bf16")] {
      #expect(
        try network(EngineOptions(instructionSet: set, usesBF16: true)).summary.map(\.algorithm)
          == ["windows, bf16", "1×1, bf16", square, "windows, bf16"])
    }
    #expect(
      try network(EngineOptions(usesBF16: true, forcedAlgorithm: .product)).summary
        .allSatisfy { $0.algorithm.hasSuffix(", bf16") })
    #expect(try network(EngineOptions()).summary.allSatisfy { !$0.algorithm.contains("bf16") })
    #expect(try !network(EngineOptions()).usesBF16)
  }

  @Test func whatWasMeasuredInFloatsIsNotTakenInBF16() throws {
    let floats = try network(EngineOptions()).problems
    let rounded = try network(EngineOptions(usesBF16: true)).problems
    #expect(Set(floats.map(\.key)).isDisjoint(with: rounded.map(\.key)))
    #expect(rounded.allSatisfy { $0.candidates.contains(.bf16Product) && $0.candidates.contains(.product) })
    #expect(floats.allSatisfy { !$0.candidates.contains(.bf16Product) })
    let wide = try #require(rounded.first { $0.key.hasPrefix("32×14×14 to 512") })
    let measured = try network(EngineOptions(usesBF16: true, measured: [wide.key: .product]))
    #expect(measured.summary[1].algorithm == "1×1")
    let times = try wide.times(budget: 0) { Double(Clock.threadNanoseconds()) }
    #expect(times.count == wide.candidates.count && times.allSatisfy { $0 > 0 && $0 < .infinity })
  }
}
