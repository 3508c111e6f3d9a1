/// Runs a graph layer by layer and shows every value: the reference's meaning at nearly a plan's speed.
///
/// What the ranges of a quantization are measured with. Nothing is fused, so every node's value is to be seen.
package struct LayerwiseInterpreter {
  private let graph: Graph
  private let shapes: [String: Shape]
  private let joins: ReferenceInterpreter
  /// One plan for each node with a single input.
  private let plans: [String: InferencePlan]

  /// - Throws: `EngineError.graph` or `.tensor` when graph and weights contradict each other.
  package init(graph: Graph, weights: some TensorSource) throws(EngineError) {
    self.graph = graph
    shapes = try graph.shapes()
    joins = try ReferenceInterpreter(graph: graph, weights: weights)
    var plans: [String: InferencePlan] = [:]
    for node in graph.nodes where node.inputs.count == 1 && !node.operation.isIdentity {
      guard let input = shapes[node.inputs[0]] else { continue }
      let layer = Graph(
        inputName: node.inputs[0], inputShape: input, nodes: [node], outputName: node.name)
      let network = try CompiledNetwork(graph: layer, weights: weights)
      plans[node.name] = try InferencePlan(network: network, batchCapacity: 1)
    }
    self.plans = plans
  }

  /// Answers one image and tells what every node computed on the way.
  ///
  /// - Parameter input: C×H×W floats.
  /// - Returns: the values by node name, each in C, H, W order.
  package func everyValue(input: [Float]) -> [String: [Float]] {
    precondition(input.count == graph.inputShape.count, "an image of the graph's input shape")
    var values = [graph.inputName: input]
    for node in graph.nodes {
      let inputs = node.inputs.map { values[$0] ?? [] }
      if let plan = plans[node.name] {
        values[node.name] = plan.answer(to: plan.network.inputShape.channelsLast(inputs[0]))
      } else if node.operation.isIdentity {
        values[node.name] = inputs[0]
      } else {
        let planar = zip(node.inputs, inputs).map { Planar(shape: shapes[$0] ?? Shape(c: 1), values: $1) }
        values[node.name] = joins.answer(node, planar).values
      }
    }
    return values
  }
}

extension Operation {
  fileprivate var isIdentity: Bool {
    switch self {
    case .flatten, .dropout: true
    default: false
    }
  }
}
