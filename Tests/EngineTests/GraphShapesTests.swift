import Engine
import Testing

@Suite("What a graph may not say")
struct GraphShapesTests {
  private func shapes(_ operation: Engine.Operation, of input: Shape) throws(EngineError) -> Shape? {
    let node = Graph.Node(name: "node", operation: operation, inputs: ["input"])
    return try Graph(inputShape: input, nodes: [node], outputName: "node").shapes()["node"]
  }

  @Test func averagePoolingHasNoDilation() throws {
    let pooling = Pooling(kernel: Extent2D(2), stride: Extent2D(1), dilation: Extent2D(h: 1, w: 2))
    #expect(throws: EngineError.graph(node: "node", reason: "a mean has no dilation")) {
      try shapes(.averagePool(pooling), of: Shape(c: 1, h: 7, w: 7))
    }
    #expect(try shapes(.maxPool(pooling), of: Shape(c: 1, h: 7, w: 7)) == Shape(c: 1, h: 6, w: 5))
  }

  @Test(arguments: [
    Padding.symmetric(h: 2, w: 0), .symmetric(h: 0, w: 2), .explicit(top: 0, left: 0, bottom: 2, right: 0),
  ])
  func poolingPadsHalfTheKernelAtMost(_ padding: Padding) throws {
    let pooling = Pooling(kernel: Extent2D(3), stride: Extent2D(1), padding: padding)
    let refusal = EngineError.graph(node: "node", reason: "its padding is more than half the kernel")
    for operation in [Engine.Operation.maxPool(pooling), .averagePool(pooling)] {
      #expect(throws: refusal) { try shapes(operation, of: Shape(c: 1, h: 7, w: 7)) }
    }
  }

  @Test func halfTheKernelIsFine() throws {
    for kernel in 2...5 {
      for padding in [Padding.symmetric(kernel / 2), .same] {
        let pooling = Pooling(kernel: Extent2D(kernel), stride: Extent2D(1), padding: padding)
        #expect(try shapes(.averagePool(pooling), of: Shape(c: 1, h: 7, w: 7)) != nil)
      }
    }
  }

  @Test func aGraphDescribesOneImage() {
    #expect(throws: EngineError.graph(node: "input", reason: "N is 2, a graph describes one image")) {
      try shapes(.activation(.relu), of: Shape(n: 2, c: 1))
    }
  }

  @Test func joinsPicturesOfOneExtentOnly() throws {
    let input = Shape(c: 2, h: 4, w: 4)
    let half = Graph.Node(name: "half", operation: .globalAveragePool, inputs: ["input"])
    let join = Graph.Node(name: "join", operation: .concatenate, inputs: ["input", "half"])
    #expect(throws: EngineError.graph(node: "join", reason: "joins pictures of different extents")) {
      try Graph(inputShape: input, nodes: [half, join], outputName: "join").shapes()
    }
  }

  @Test func refusesMoreRowsThanTheMatrixLibraryCounts() throws {
    let node = Graph.Node(name: "node", operation: .activation(.relu), inputs: ["input"])
    let graph = Graph(inputShape: Shape(c: 1, h: 1 << 10, w: 1 << 10), nodes: [node], outputName: "node")
    let network = try CompiledNetwork(graph: graph, weights: SeededTensors(graph: graph, seed: 1))
    #expect(throws: EngineError.graph(node: "input", reason: "2048 images are too many; use a smaller batch")) {
      try InferencePlan(network: network, batchCapacity: 2048)
    }
  }

  @Test func aMaximumPassesNaNOn() throws {
    let pooling = Pooling(kernel: Extent2D(h: 1, w: 2), stride: Extent2D(h: 1, w: 2))
    let node = Graph.Node(name: "node", operation: .maxPool(pooling), inputs: ["input"])
    let graph = Graph(inputShape: Shape(c: 1, h: 1, w: 6), nodes: [node], outputName: "node")
    let input: [Float] = [.nan, 1, 1, .nan, 2, 3]
    for answer in [try planned(graph, [input])[0], try reference(graph, input)] {
      #expect(answer[0].isNaN)
      #expect(answer[1].isNaN)
      #expect(answer[2] == 3)
    }
  }
}
