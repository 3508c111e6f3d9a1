import Engine
import Platform
import TestSupport
import Testing

/// Lanes take what the others leave, so who computes what differs from run to run.
@Suite("Lanes give to the bit what one thread gives")
struct LaneTests {
  /// Layers of which each is taken in many pieces: by rows, tiles, columns, pixels.
  private static let graphs = [
    AwkwardGraph(
      "rows", Shape(c: 3, h: 66, w: 34), AwkwardGraph.conv(3, 20, 7, stride: 2, padding: .symmetric(3)),
      .activation(.relu),
      .maxPool(Pooling(kernel: Extent2D(3), stride: Extent2D(1), padding: .symmetric(1))),
      AwkwardGraph.conv(20, 24, 3, stride: 2, padding: .symmetric(1)), AwkwardGraph.conv(24, 24, 3, groups: 2),
      .flatten, .linear(Linear(inFeatures: 24 * 15 * 7, outFeatures: 300))),
    AwkwardGraph(
      "tiles and columns", Shape(c: 3, h: 66, w: 70), AwkwardGraph.conv(3, 16, 3, padding: .symmetric(1)),
      AwkwardGraph.conv(16, 32, 3, padding: .symmetric(1)), AwkwardGraph.conv(32, 16, 1),
      AwkwardGraph.conv(16, 272, 3, stride: 9), AwkwardGraph.conv(272, 272, 3, padding: .symmetric(1)),
      AwkwardGraph.conv(272, 272, 3, stride: 2, padding: .symmetric(1)), AwkwardGraph.conv(272, 300, 1, stride: 2)),
    AwkwardGraph(
      "depthwise", Shape(c: 3, h: 200, w: 9), AwkwardGraph.conv(3, 16, 3, padding: .symmetric(1)),
      AwkwardGraph.conv(16, 64, 1), .activation(.relu6),
      AwkwardGraph.conv(64, 64, 3, padding: .symmetric(1), groups: 64), .activation(.relu6),
      AwkwardGraph.conv(64, 16, 1)),
  ]

  @Test(arguments: graphs, [2, 3])
  func answersAreThoseOfOne(_ awkward: AwkwardGraph, lanes: Int) throws {
    var generator = Seeded(seed: 5)
    let images = (0..<2).map { _ in generator.floats(awkward.graph.inputShape.count, in: -2...2) }
    let network = try CompiledNetwork(
      graph: awkward.graph, weights: SeededTensors(graph: awkward.graph, seed: 1),
      options: EngineOptions(expectedBatch: 2))
    let pool = LanePool(count: lanes, name: "lane")
    let together = try InferencePlan(network: network, batchCapacity: 2, lanes: LaneGroup(pool))
    let alone = try InferencePlan(network: network, batchCapacity: 2)
    for some in [images, [images[1]]] {
      let wanted = answers(of: alone, some)
      for _ in 0..<10 { #expect(answers(of: together, some) == wanted) }
    }
  }
}
