import Engine
import Platform
import Testing

/// What was measured decides, and only over what computes the same.
@Suite(.timeLimit(.minutes(15))) struct MeasuredAlgorithmTests {
  private let graph = Graph(
    inputShape: Shape(c: 3, h: 12, w: 14),
    nodes: [
      Graph.Node(name: "stem", operation: AwkwardGraph.conv(3, 32, 1), inputs: ["input"]),
      Graph.Node(name: "a", operation: AwkwardGraph.conv(32, 32, 3, padding: .symmetric(1)), inputs: ["stem"]),
      Graph.Node(name: "b", operation: AwkwardGraph.conv(32, 32, 3, padding: .symmetric(1)), inputs: ["a"]),
      Graph.Node(name: "c", operation: AwkwardGraph.conv(32, 48, 3, padding: .symmetric(1)), inputs: ["b"]),
    ], outputName: "c")

  private func network(_ options: EngineOptions) throws -> CompiledNetwork {
    try CompiledNetwork(graph: graph, weights: SeededTensors(graph: graph, seed: 3), options: options)
  }

  @Test func layersAlikeAreOneProblem() throws {
    let problems = try network(EngineOptions(instructionSet: .best)).problems
    #expect(problems.count == 2 && Set(problems.map(\.key)).count == 2)
    #expect(problems.allSatisfy { Set($0.candidates).count == $0.candidates.count && $0.candidates.count > 1 })
  }

  @Test func everyCandidateTakesSomeTime() throws {
    for set in InstructionSet.available {
      for problem in try network(EngineOptions(instructionSet: set)).problems {
        let times = try problem.times(budget: 0) { Double(Clock.threadNanoseconds()) }
        #expect(times.count == problem.candidates.count && times.allSatisfy { $0 > 0 && $0 < .infinity })
      }
    }
  }

  @Test func whatWasMeasuredIsTaken() throws {
    let problems = try network(EngineOptions()).problems
    for algorithm in [ConvolutionAlgorithm.product, .winograd2, .winograd4] {
      let network = try network(EngineOptions(measured: [problems[1].key: algorithm, "another": .product]))
      let told = network.summary.last?.algorithm ?? ""
      #expect(told.hasPrefix("winograd") == (algorithm != .product), "\(algorithm): \(told)")
      #expect(told.contains("2×2") == (algorithm == .winograd2) && told.contains("4×4") == (algorithm == .winograd4))
    }
    let exact = try network(EngineOptions(isExact: true, measured: [problems[1].key: .winograd4]))
    #expect(exact.summary.allSatisfy { !$0.algorithm.contains("winograd") })
  }
}
