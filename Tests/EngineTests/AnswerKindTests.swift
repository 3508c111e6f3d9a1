import Engine
import Testing

@Suite("What a network's numbers are")
struct AnswerKindTests {
  private static let linear = Engine.Operation.linear(Linear(inFeatures: 3, outFeatures: 3))

  private func graph(_ operations: Engine.Operation...) -> Graph {
    let nodes = operations.enumerated().map { index, operation in
      Graph.Node(name: "n\(index)", operation: operation, inputs: [index == 0 ? "input" : "n\(index - 1)"])
    }
    return Graph(inputShape: Shape(c: 3, h: 1, w: 1), nodes: nodes, outputName: "n\(nodes.count - 1)")
  }

  @Test func theLastNodeThatComputesDecides() {
    #expect(graph(Self.linear).answerKind == .scores)
    #expect(graph(Self.linear, .activation(.relu)).answerKind == .scores)
    #expect(graph(Self.linear, .softmax).answerKind == .distribution)
    #expect(graph(Self.linear, .activation(.sigmoid), .flatten, .dropout(probability: 0.5)).answerKind == .independent)
    #expect(graph(.flatten).answerKind == .scores)
  }

  @Test func anEndIsTakenAwayAndPutOn() throws {
    let plain = graph(Self.linear)
    #expect(plain.endingInScores() == plain)
    #expect(graph(Self.linear, .softmax).endingInScores() == plain)
    // A node that passed the softmax on keeps its name.
    let behind = graph(Self.linear, .softmax, .flatten).endingInScores()
    #expect(behind.answerKind == .scores && behind.nodes.count == 2)
    #expect(try behind.shapes()[behind.outputName]?.countPerImage == 3)
    let independent = plain.endingInSigmoid()
    #expect(independent.answerKind == .independent && independent.endingInSigmoid() == independent)
    #expect(independent.endingInScores() == plain)
    #expect(try independent.requiredTensors().map(\.name) == plain.requiredTensors().map(\.name))
  }

  @Test func onlyScoresAreMadeProbabilities() {
    let row: [Float] = [0.25, 0.9, 0.75, 0.9]
    row.withUnsafeBufferPointer { row in
      for kind in [AnswerKind.independent, .distribution] {
        let top = Scores.topK(row, 3, kind)
        #expect(top.map(\.index) == [1, 3, 2] && top.map(\.probability) == [0.9, 0.9, 0.75])
      }
      let all = Scores.topK(row, 4, .scores)
      #expect((all.reduce(0) { $0 + $1.probability } - 1).magnitude < 1e-6 && all[3].index == 0)
    }
  }
}
