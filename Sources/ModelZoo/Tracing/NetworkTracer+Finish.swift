internal import Engine

/// From what was followed to a graph.
extension NetworkTracer {
  /// The network whose answer is `x`; nodes that nothing needs are left out.
  mutating func finish(_ x: FeatureMap, notes: [String]) throws(TraceFault) -> ImportedNetwork {
    var y = try settled(x)
    let order = plainAxes(y).joined().filter { $0 != .n }
    let plain = [Axis.c, .h, .w].filter { y.extent($0, batch: batch) > 1 }
    guard Array(order) == plain else { throw TraceFault("the answer's axes are not ordered C, H, W") }
    if y.node == input.node { throw TraceFault("the answer is the picture itself") }
    if y.shape.h * y.shape.w > 1 { y = try apply("answer", .flatten, y) }
    var needed: Set<String> = [y.node]
    for node in nodes.reversed() where needed.contains(node.name) { needed.formUnion(node.inputs) }
    var kept = nodes.filter { needed.contains($0.name) }
    var tensors = tensors
    foldShifts(&kept, &tensors, output: y.node)
    let graph = Graph(inputName: input.node, inputShape: input.shape, nodes: kept, outputName: y.node)
    do throws(EngineError) {
      let required = try graph.requiredTensors()
      let names = Set(required.map(\.name))
      tensors.entries = tensors.entries.filter { names.contains($0.key) }
    } catch {
      throw TraceFault("\(error)")
    }
    return ImportedNetwork(graph: graph, tensors: tensors, notes: notes)
  }

  /// A sum with constants right after a layer without bias is that layer's bias.
  private func foldShifts(_ nodes: inout [Graph.Node], _ tensors: inout TracedTensors, output: String) {
    var users: [String: Int] = [:]
    for node in nodes { for name in node.inputs { users[name, default: 0] += 1 } }
    var places: [String: Int] = [:]
    for (place, node) in nodes.enumerated() { places[node.name] = place }
    var dropped: [String: String] = [:]
    for node in nodes {
      guard node.operation == .batchNorm(epsilon: 0), node.name.contains(".affine"), node.name != output,
        let place = places[node.inputs[0]], users[node.inputs[0]] == 1, node.inputs[0] != output,
        let weight = tensors.entries["\(node.name).weight"], let bias = tensors.entries["\(node.name).bias"],
        weight.floats().allSatisfy({ $0 == 1 })
      else { continue }
      let layer = nodes[place]
      switch layer.operation {
      case .convolution(var convolution) where !convolution.bias:
        convolution.bias = true
        nodes[place].operation = .convolution(convolution)
      case .linear(var linear) where !linear.bias:
        linear.bias = true
        nodes[place].operation = .linear(linear)
      default: continue
      }
      tensors.entries["\(layer.name).bias"] = bias
      dropped[node.name] = layer.name
    }
    nodes = nodes.filter { dropped[$0.name] == nil }
    for place in nodes.indices { nodes[place].inputs = nodes[place].inputs.map { dropped[$0] ?? $0 } }
  }
}
