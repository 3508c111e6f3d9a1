/// Functions that exporters write as several operators and Lookout knows as one.
enum ONNXPatterns {
  /// The operator that `withNorms` puts where a local response norm was written in parts.
  static let localResponseNorm = "lookout.LocalResponseNorm"

  /// x / (k + alpha · mean of x² over neighbouring channels) ^ beta becomes one operator.
  static func withNorms(_ graph: ONNXModel.Subgraph) -> [ONNXModel.Node] {
    var makers: [String: ONNXModel.Node] = [:]
    for node in graph.nodes { for output in node.outputs { makers[output] = node } }
    return graph.nodes.map { node in
      guard node.operation == "Div", node.inputs.count == 2, let power = makers[node.inputs[1]],
        power.operation == "Pow", power.inputs.count == 2,
        let norm = norm(of: node.inputs[0], power, makers, graph.constants)
      else { return node }
      var replaced = node
      replaced.operation = localResponseNorm
      replaced.inputs = [node.inputs[0]]
      replaced.attributes = [
        "size": .init(integer: norm.size), "alpha": .init(float: norm.alpha), "beta": .init(float: norm.beta),
        "bias": .init(float: norm.k),
      ]
      return replaced
    }
  }

  private static func scalar(
    _ name: String, _ makers: [String: ONNXModel.Node], _ constants: [String: ConstantTensor]
  ) -> Float? {
    if let constant = constants[name] { return constant.scalar }
    guard let node = makers[name], node.operation == "Constant" else { return nil }
    return node.attributes["value"]?.tensor?.scalar ?? node.attributes["value_float"]?.float
  }

  private static func norm(
    of x: String, _ power: ONNXModel.Node, _ makers: [String: ONNXModel.Node], _ constants: [String: ConstantTensor]
  ) -> (size: Int, alpha: Float, beta: Float, k: Float)? {
    func split(_ name: String, _ operation: String) -> (rest: String, number: Float)? {
      guard let node = makers[name], node.operation == operation, node.inputs.count == 2 else { return nil }
      for (rest, other) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
        if let number = scalar(other, makers, constants) { return (rest, number) }
      }
      return nil
    }
    guard let beta = scalar(power.inputs[1], makers, constants), let sum = split(power.inputs[0], "Add"),
      let product = split(sum.rest, "Mul")
    else { return nil }
    var name = product.rest
    var size: Int?
    for _ in 0..<24 {
      guard let node = makers[name] else { return nil }
      switch node.operation {
      case "Mul" where node.inputs == [x, x]:
        return size.map { ($0, product.number, beta, sum.number) }
      case "Pow" where node.inputs.first == x && scalar(node.inputs.last ?? "", makers, constants) == 2:
        return size.map { ($0, product.number, beta, sum.number) }
      case "AveragePool":
        guard size == nil, let kernel = node.attributes["kernel_shape"]?.integers, let width = kernel.max(),
          kernel.reduce(1, *) == width
        else { return nil }
        size = width
        name = node.inputs.first ?? ""
      case "Unsqueeze", "Squeeze", "Reshape", "Pad", "Identity", "Transpose": name = node.inputs.first ?? ""
      case "If":
        // A choice between squeezing and not: both branches look at the same value outside.
        let branch = node.attributes["then_branch"]?.graph?.nodes ?? []
        guard let inner = branch.compactMap(\.inputs.first).first(where: { makers[$0] != nil }) else { return nil }
        name = inner
      default: return nil
      }
    }
    return nil
  }

  /// Operators that change nothing when a model answers become names for their operands.
  static func simplified(_ nodes: [ONNXModel.Node]) -> [ONNXModel.Node] {
    nodes.map { node in
      guard ["Dropout", "Identity"].contains(node.operation) else { return node }
      var plain = node
      plain.operation = "Identity"
      plain.inputs = Array(node.inputs.prefix(1))
      plain.outputs = Array(node.outputs.prefix(1))
      return plain
    }
  }
}
