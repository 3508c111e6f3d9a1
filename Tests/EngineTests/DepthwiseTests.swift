import Engine
import TestSupport
import Testing

/// Depthwise convolutions with what is computed together with them, over shapes that no block of pixels or rows divides.
@Suite("Depthwise blocks compute what the definition says", .timeLimit(.minutes(15)))
struct DepthwiseTests {
  @Test func computesBlocksAsDefined() throws {
    var generator = Seeded(seed: 11)
    for block in DepthwiseCase.all {
      let images = (0..<2).map { _ in generator.floats(block.graph.inputShape.count, in: -2...2) }
      let wanted = try images.map { try reference(block.graph, $0) }
      for instructionSet in InstructionSet.available {
        let given = try planned(block.graph, images, EngineOptions(instructionSet: instructionSet))
        for (answer, wanted) in zip(given, wanted) {
          let scale = wanted.reduce(Float(0.1)) { max($0, abs($1)) }
          let worst = zip(answer, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
          #expect(answer.count == wanted.count && worst <= 1e-4 * scale, "\(block.name), \(instructionSet)")
        }
      }
    }
  }
}

struct DepthwiseCase {
  enum Around: CaseIterable {
    /// 1×1 before and after.
    case expansionAndProjection
    /// Reads its input where it lies.
    case projection
    /// Squeeze and excitation between it and the 1×1 after.
    case excitation
  }

  let name: String
  let graph: Graph

  private init(_ input: Shape, kernel: Int, stride: Int, padding: Int, dilation: Int, to: Int, _ around: Around) {
    let c = input.c
    name = "\(input), \(kernel)×\(kernel), stride \(stride), padding \(padding), dilation \(dilation), \(around)"
    let first =
      around == .projection
      ? AwkwardGraph.conv(2, c, 3, padding: .symmetric(1)) : AwkwardGraph.conv(2, c, 1)
    var nodes = [
      Graph.Node(name: "load", operation: AwkwardGraph.conv(2, 2, 3, padding: .symmetric(1)), inputs: ["input"]),
      Graph.Node(name: "first", operation: first, inputs: ["load"]),
      Graph.Node(name: "wide", operation: .activation(.relu6), inputs: ["first"]),
      Graph.Node(
        name: "middle",
        operation: AwkwardGraph.conv(
          c, c, kernel, stride: stride, padding: .symmetric(padding), dilation: dilation, groups: c),
        inputs: ["wide"]),
      Graph.Node(name: "act", operation: .activation(around == .excitation ? .silu : .relu6), inputs: ["middle"]),
    ]
    if around == .excitation {
      nodes += [
        Graph.Node(name: "mean", operation: .globalAveragePool, inputs: ["act"]),
        Graph.Node(name: "gate", operation: AwkwardGraph.conv(c, c, 1), inputs: ["mean"]),
        Graph.Node(name: "factors", operation: .activation(.sigmoid), inputs: ["gate"]),
        Graph.Node(name: "scaled", operation: .multiply, inputs: ["act", "factors"]),
      ]
    }
    let last = around == .excitation ? "scaled" : "act"
    nodes.append(Graph.Node(name: "out", operation: AwkwardGraph.conv(c, to, 1), inputs: [last]))
    graph = Graph(inputShape: Shape(c: 2, h: input.h, w: input.w), nodes: nodes, outputName: "out")
  }

  static let all: [DepthwiseCase] = {
    var cases: [DepthwiseCase] = []
    for (h, w) in [(1, 1), (2, 7), (5, 6), (13, 11), (31, 26)] {
      for (kernel, stride, padding, dilation) in [
        (3, 1, 1, 1), (3, 2, 1, 1), (5, 1, 2, 1), (5, 2, 2, 1), (3, 1, 0, 1), (3, 1, 3, 1), (3, 1, 2, 2), (3, 3, 1, 1),
        (7, 1, 3, 1), (5, 2, 0, 1),
      ] where dilation * (kernel - 1) < min(h, w) + 2 * padding {
        for around in Around.allCases {
          let (channels, to) = [(8, 24), (33, 8), (48, 40), (17, 56)][cases.count % 4]
          cases.append(
            DepthwiseCase(
              Shape(c: channels, h: h, w: w), kernel: kernel, stride: stride, padding: padding, dilation: dilation,
              to: to, around))
        }
      }
    }
    return cases
  }()
}
