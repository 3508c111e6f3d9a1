import Engine
import Glibc
import Testing

/// Every operation against what PyTorch answers (`Tests/Vectors/engine.py`).
@Suite(.timeLimit(.minutes(15)))
struct OperationVectorTests {
  @Test(arguments: Vector.all)
  func answersAsPyTorch(vector: Vector) throws {
    let network = try CompiledNetwork(graph: vector.graph, weights: vector)
    let single = try InferencePlan(network: network, batchCapacity: 1)
    for (input, expected) in zip(vector.inputs, vector.outputs) {
      expectEqual(single.answers(to: [input])[0], expected)
    }
  }

  /// Pictures of a batch do not touch each other, whatever the batch and whatever the plan did before.
  @Test(arguments: Vector.all)
  func answersInBatchesAsPyTorch(vector: Vector) throws {
    let network = try CompiledNetwork(graph: vector.graph, weights: vector)
    let plan = try InferencePlan(network: network, batchCapacity: 4)
    for order in [[0, 1, 0], [1], [1, 0, 0, 1], [0, 1, 0]] {
      let answers = plan.answers(to: order.map { vector.inputs[$0] })
      for (answer, image) in zip(answers, order) { expectEqual(answer, vector.outputs[image]) }
    }
  }

  private func expectEqual(_ found: [Float], _ expected: [Float]) {
    #expect(found.count == expected.count)
    for (index, (a, b)) in zip(found, expected).enumerated() {
      guard (a - b).magnitude <= 1e-5 + 1e-4 * b.magnitude else {
        Issue.record("number \(index) is \(a), expected \(b)")
        return
      }
    }
  }
}
