import Engine
import Platform
import TestSupport
import Testing

@Suite("A plan answers what the definition says")
struct PlanAgainstReferenceTests {
  @Test(arguments: AwkwardGraph.all, [1, 3])
  func answersAsDefined(_ awkward: AwkwardGraph, _ batch: Int) throws {
    try compare(awkward.graph, batch: batch, seed: 7)
  }

  /// Values that share the arena's memory while both live would show here.
  @Test(arguments: 0..<50)
  func reusesTheArenaSoundly(_ seed: Int) throws {
    var generator = Seeded(seed: UInt64(seed))
    let graph = RandomGraph.make(&generator)
    try compare(graph, batch: 1 + seed % 3, seed: UInt64(seed))
  }

  /// Steps pass over few images at a time where activations are large; here they are large from the first step, from
  /// somewhere within, or nowhere.
  @Test(arguments: 0..<50)
  func answersAlikeHoweverManyImagesPassAtATime(_ seed: Int) throws {
    var generator = Seeded(seed: UInt64(seed))
    let graph = RandomGraph.make(&generator)
    let network = try CompiledNetwork(graph: graph, weights: SeededTensors(graph: graph, seed: 1))
    let images = (0..<5).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
    let pool = LanePool(count: 1 + seed % 2, name: "lane")
    let whole = try InferencePlan(network: network, batchCapacity: 5, cacheBytes: Int.max)
    let wanted = answers(of: whole, images)
    for cacheBytes in [1, 4 << 10, 16 << 10, 64 << 10] {
      let plan = try InferencePlan(
        network: network, batchCapacity: 5, lanes: LaneGroup(pool), cacheBytes: cacheBytes)
      #expect(pool.count > 1 || plan.workspaceBytes <= whole.workspaceBytes)
      for count in [5, 2, 5] {
        let given = answers(of: plan, Array(images[..<count]))
        for (answer, wanted) in zip(given, wanted) { expectClose(answer, wanted, "\(graph.nodes), \(cacheBytes)") }
      }
    }
  }

  @Test func anOutputTakesTheMemoryOfTheResidualItReplaces() throws {
    let nodes = [
      Graph.Node(name: "stem", operation: AwkwardGraph.conv(3, 16, 1), inputs: ["input"]),
      Graph.Node(name: "a", operation: AwkwardGraph.conv(16, 16, 1), inputs: ["stem"]),
      Graph.Node(name: "b", operation: AwkwardGraph.conv(16, 16, 1), inputs: ["a"]),
      Graph.Node(name: "sum", operation: .add, inputs: ["b", "stem"]),
      Graph.Node(name: "out", operation: .globalAveragePool, inputs: ["sum"]),
    ]
    let graph = Graph(inputShape: Shape(c: 3, h: 64, w: 64), nodes: nodes, outputName: "out")
    let network = try CompiledNetwork(
      graph: graph, weights: SeededTensors(graph: graph, seed: 1), options: EngineOptions(isExact: true))
    let plan = try InferencePlan(network: network, batchCapacity: 1)
    let valueBytes = 16 * 64 * 64 * 4
    #expect(plan.workspaceBytes > 2 * valueBytes && plan.workspaceBytes < 5 * valueBytes / 2)
  }

  /// A run must not see what an earlier, larger one left behind.
  @Test func anotherRunForgetsTheFirst() throws {
    for awkward in AwkwardGraph.all {
      let graph = awkward.graph
      let weights = try SeededTensors(graph: graph, seed: 1)
      let plan = try InferencePlan(network: CompiledNetwork(graph: graph, weights: weights), batchCapacity: 3)
      var generator = Seeded(seed: 3)
      let images = (0..<3).map { _ in generator.floats(graph.inputShape.count) }
      let first = answers(of: plan, images)
      let alone = answers(of: plan, [images[2]])
      expectClose(alone[0], first[2], awkward.name)
    }
  }

  private func compare(_ graph: Graph, batch: Int, seed: UInt64) throws {
    var generator = Seeded(seed: seed)
    let images = (0..<batch).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
    let given = try planned(graph, images, EngineOptions(isExact: true))
    for (image, answer) in zip(images, given) {
      expectClose(answer, try reference(graph, image), "\(graph.nodes.map { "\($0)" }.joined(separator: "\n"))")
    }
  }

  private func expectClose(_ given: [Float], _ wanted: [Float], _ what: String) {
    #expect(given.count == wanted.count)
    // A NaN on either side fails the comparison.
    let wrong = zip(given, wanted).enumerated().first { !(abs($1.0 - $1.1) <= 1e-5 + 1e-4 * abs($1.1)) }
    #expect(wrong == nil, "\(what)")
  }
}
