import Engine
import Platform
import Service
import TestSupport
import Testing

/// What a machine measured is kept, and holds for that machine alone.
@Suite(.timeLimit(.minutes(15))) struct AlgorithmBookTests {
  private let scratch = Scratch()

  private func book(_ machine: String = "this") -> AlgorithmBook {
    AlgorithmBook(stateDir: Path(scratch.path), machine: machine)
  }

  @Test func whatWasMeasuredIsReadAgainOnTheSameMachineOnly() throws {
    let problems = try measurable()
    #expect(problems.count == 1)
    let first = book()
    var pauses = 0
    first.measure(problems + problems) {
      pauses += 1
      return true
    }
    #expect(first.measured.count == 1 && pauses == 1)
    #expect(book().measured == first.measured)
    #expect(book("another").measured.isEmpty)
    book().measure(problems) {
      Issue.record("it is known")
      return true
    }
  }

  @Test func aLineMayBeEditedAndNonsenseIsPassedOver() throws {
    let key = try #require(try measurable().first).key
    Files.write(Array("this\nwinograd2\t\(key)\nsorcery\tx\n\n\t\nproduct".utf8), to: scratch("algorithms"))
    #expect(book().measured == [key: .winograd2])
    Files.write([0xFF, 0, 0x0A], to: scratch("algorithms"))
    #expect(book().measured.isEmpty)
  }

  @Test func measuringEndsEarlyAndWhatCannotBeKeptIsUsedAllTheSame() throws {
    let problems = try measurable()
    let ended = book()
    ended.measure(problems) { false }
    #expect(ended.measured.isEmpty && !Files.exists(scratch("algorithms")))
    let nowhere = AlgorithmBook(stateDir: Path(scratch("missing")), machine: "this")
    nowhere.measure(problems) { true }
    #expect(nowhere.measured.count == 1)
  }
}

/// Weights of a graph, all alike.
private struct Ones: TensorSource {
  let graph: Graph

  func extents(ofTensor name: String) -> [Int]? { try? graph.requiredTensors().first { $0.0 == name }?.1 }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    [Float](repeating: 1, count: (extents(ofTensor: name) ?? []).reduce(1, *))
  }
}

/// Convolutions that several algorithms may compute.
func measurable() throws -> [ConvolutionProblem] {
  let convolution = Engine.Operation.convolution(
    Convolution(inChannels: 16, outChannels: 16, kernel: Extent2D(3), padding: .symmetric(1)))
  let graph = Graph(
    inputShape: Shape(c: 16, h: 8, w: 8),
    nodes: [
      Graph.Node(name: "a", operation: convolution, inputs: ["input"]),
      Graph.Node(name: "b", operation: convolution, inputs: ["a"]),
    ], outputName: "b")
  return try CompiledNetwork(graph: graph, weights: Ones(graph: graph)).problems
}
