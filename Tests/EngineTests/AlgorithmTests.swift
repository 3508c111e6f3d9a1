import Engine
import Platform
import TestSupport
import Testing

/// Every algorithm on every instruction set that this machine has, against the definition.
@Suite("Every algorithm computes what the definition says", .serialized, .timeLimit(.minutes(15)))
struct AlgorithmTests {
  struct Setting: Sendable, CustomTestStringConvertible {
    let algorithm: ConvolutionAlgorithm
    let instructionSet: InstructionSet
    var testDescription: String { "\(algorithm.rawValue), \(instructionSet)" }

    static let all = ConvolutionAlgorithm.inFloats.flatMap { algorithm in
      InstructionSet.available.map { Setting(algorithm: algorithm, instructionSet: $0) }
    }

    var options: EngineOptions {
      EngineOptions(instructionSet: instructionSet, forcedAlgorithm: algorithm)
    }
  }

  @Test(arguments: Setting.all)
  func convolvesAsDefined(_ setting: Setting) throws {
    for defined in Defined.convolutions { try compare(defined, setting) }
  }

  @Test(arguments: Setting.all)
  func answersAwkwardGraphsAsDefined(_ setting: Setting) throws {
    for defined in Defined.awkward { try compare(defined, setting) }
  }

  @Test(arguments: ConvolutionAlgorithm.inFloats, [2, 3])
  func lanesAnswerAsOne(_ algorithm: ConvolutionAlgorithm, lanes: Int) throws {
    let pool = LanePool(count: lanes, name: "lane")
    for defined in Defined.convolutions + Defined.awkward {
      let network = try CompiledNetwork(
        graph: defined.graph, weights: SeededTensors(graph: defined.graph, seed: 1),
        options: EngineOptions(forcedAlgorithm: algorithm))
      let plan = try InferencePlan(network: network, batchCapacity: 2, lanes: LaneGroup(pool))
      for (answer, wanted) in zip(answers(of: plan, defined.images), defined.answers) {
        expectClose(answer, wanted, defined.name)
      }
    }
  }

  @Test(arguments: [ConvolutionAlgorithm.winograd2, .libraryWinograd4, .product])
  func aPoolOfSquaresIsTakenByTheConvolutionBeforeIt(_ algorithm: ConvolutionAlgorithm) throws {
    let pooled = try #require(AwkwardGraph.all.first { $0.name.hasPrefix("pools of squares") })
    let network = try CompiledNetwork(
      graph: pooled.graph, weights: SeededTensors(graph: pooled.graph, seed: 1),
      options: EngineOptions(forcedAlgorithm: algorithm))
    let isJoined = algorithm != .product
    #expect(network.summary.count { $0.algorithm.contains("+ pool") } == (isJoined ? 3 : 0))
    #expect(network.summary.count { $0.algorithm == "pool" } == (isJoined ? 0 : 3))
  }

  private func compare(_ defined: Defined, _ setting: Setting) throws {
    let given = try planned(defined.graph, defined.images, setting.options)
    for (answer, wanted) in zip(given, defined.answers) {
      expectClose(answer, wanted, "\(setting.testDescription): \(defined.name)")
    }
  }

  private func expectClose(_ given: [Float], _ wanted: [Float], _ what: String) {
    let scale = wanted.reduce(Float(0.1)) { max($0, abs($1)) }
    // A NaN on either side fails the comparison.
    let wrong = zip(given, wanted).enumerated().first { !(abs($1.0 - $1.1) <= 1e-4 * scale) }
    #expect(given.count == wanted.count && wrong == nil, "\(what)")
  }
}

/// A graph, two images, and what the definition answers; worked out once.
private struct Defined {
  let name: String
  let graph: Graph
  let images: [[Float]]
  let answers: [[Float]]

  private init(_ name: String, _ graph: Graph) {
    self.name = name
    self.graph = graph
    var generator = Seeded(seed: 7)
    let images = (0..<2).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
    self.images = images
    answers = images.map { (try? reference(graph, $0)) ?? [] }
  }

  static let convolutions = (ConvolutionCase.all + ConvolutionCase.large).map { Defined($0.description, $0.graph) }
  static let awkward = AwkwardGraph.all.map { Defined($0.name, $0.graph) }
}

/// A convolution alone, over a grid of shapes that no block, panel or vector divides.
struct ConvolutionCase: Sendable, CustomStringConvertible {
  let description: String
  let graph: Graph

  private init(_ input: Shape, _ convolution: Convolution, activation: Activation?) {
    description = "\(input) \(convolution)"
    let residual = Convolution(
      inChannels: convolution.inChannels, outChannels: convolution.outChannels, kernel: convolution.kernel,
      stride: convolution.stride, padding: convolution.padding, dilation: convolution.dilation,
      groups: convolution.groups, bias: false)
    // The first convolution keeps the tested ones off the picture, which only some algorithms read.
    var nodes = [
      Graph.Node(
        name: "stem", operation: AwkwardGraph.conv(2, convolution.inChannels, 1), inputs: ["input"]),
      Graph.Node(name: "first", operation: .convolution(residual), inputs: ["stem"]),
      Graph.Node(name: "second", operation: .convolution(convolution), inputs: ["stem"]),
      Graph.Node(name: "sum", operation: .add, inputs: ["first", "second"]),
    ]
    if let activation { nodes.append(Graph.Node(name: "act", operation: .activation(activation), inputs: ["sum"])) }
    graph = Graph(
      inputShape: Shape(c: 2, h: input.h, w: input.w), nodes: nodes, outputName: nodes.last?.name ?? "sum")
  }

  static let all: [ConvolutionCase] = {
    var cases: [ConvolutionCase] = []
    let activations: [Activation?] = [nil, .relu, .silu, .relu6, .hardSwish]
    for (h, w) in [(1, 1), (1, 7), (5, 3), (11, 13)] {
      for (from, to) in [(1, 1), (3, 17), (16, 40), (33, 5)] {
        for (kernel, stride, padding, dilation) in [
          (1, 1, 0, 1), (1, 2, 0, 1), (3, 1, 1, 1), (3, 1, 0, 1), (3, 1, 2, 1), (3, 2, 1, 1), (3, 1, 2, 2),
          (5, 1, 2, 1), (2, 1, 1, 1), (7, 2, 3, 1),
        ] where dilation * (kernel - 1) < min(h, w) + 2 * padding {
          let convolution = Convolution(
            inChannels: from, outChannels: to, kernel: Extent2D(kernel), stride: Extent2D(stride),
            padding: .symmetric(padding), dilation: Extent2D(dilation))
          cases.append(
            ConvolutionCase(
              Shape(c: from, h: h, w: w), convolution, activation: activations[cases.count % activations.count]))
        }
      }
    }
    return cases
  }()

  /// More pixels than a block, a strip or a tile row holds, so that each is left and entered again.
  static let large: [ConvolutionCase] = [
    (Shape(c: 5, h: 61, w: 59), 18, 3, 1), (Shape(c: 20, h: 61, w: 59), 24, 1, 1), (Shape(c: 6, h: 43, w: 39), 7, 3, 2),
    (Shape(c: 160, h: 9, w: 7), 48, 3, 1),
    // 88 tiles for two images: the last block has fewer than the first, and takes more channels at a time.
    (Shape(c: 96, h: 16, w: 44), 96, 3, 1),
    // Pixels that a stride leaves, gathered for one product from the end of an image and the start of the next.
    (Shape(c: 600, h: 31, w: 9), 16, 1, 2),
    // Products of 72 tiles that OpenBLAS computes some columns at a time.
    (Shape(c: 72, h: 24, w: 24), 176, 3, 1),
  ].map { input, to, kernel, stride in
    ConvolutionCase(
      input,
      Convolution(
        inChannels: input.c, outChannels: to, kernel: Extent2D(kernel), stride: Extent2D(stride),
        padding: .symmetric(kernel / 2)), activation: .relu)
  }
}

extension ConvolutionAlgorithm {
  /// Those that round nothing but sums.
  static let inFloats = allCases.filter { $0 != .bf16Product }
}

extension LaneGroup {
  init(_ pool: LanePool) { self.init(count: pool.count, run: pool.run, synchronize: pool.synchronize) }
}
