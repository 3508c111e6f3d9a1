/// A graph and its weights as they are when answering: batch norms folded into the layers before them, dropout gone.
///
/// Immutable. The numbers are the same but for rounding; it is what quantization and the export of plain networks work on.
package struct FoldedNetwork: TensorSource, Sendable {
  package private(set) var graph: Graph
  private var tensors: [String: (extents: [Int], floats: [Float])] = [:]

  /// Folds.
  ///
  /// A batch norm that alone follows a convolution or linear layer becomes part of its weights; another becomes a
  /// depthwise convolution of 1×1 under its own name.
  ///
  /// - Throws: `EngineError.graph` or `.tensor` when graph and weights contradict each other.
  package init(graph: Graph, weights source: some TensorSource) throws(EngineError) {
    self.graph = graph
    let shapes = try graph.shapes()
    for (name, extents) in try graph.requiredTensors() {
      guard source.extents(ofTensor: name) == extents else {
        throw .tensor(name: name, reason: "it is missing or has other extents than \(extents)")
      }
      tensors[name] = (extents, try source.floats(ofTensor: name))
    }
    var users: [String: Int] = [:]
    for node in graph.nodes { for input in node.inputs { users[input, default: 0] += 1 } }
    users[graph.outputName, default: 0] += 1
    var renamed: [String: String] = [:]
    var nodes: [Graph.Node] = []
    var places: [String: Int] = [:]
    for node in graph.nodes {
      var node = node
      node.inputs = node.inputs.map { renamed[$0] ?? $0 }
      let source = node.inputs[0]
      switch node.operation {
      case .dropout:
        renamed[node.name] = source
        continue
      case .batchNorm(let epsilon):
        let norm = takeNorm(node.name, epsilon)
        if let place = places[source], users[source] == 1, let layer = nodes[place].operation.withBias {
          nodes[place].operation = layer
          fold(norm, into: source)
          renamed[node.name] = source
          users[source] = users[node.name]
          continue
        }
        let channels = shapes[node.name]?.c ?? norm.scale.count
        node.operation = .convolution(
          Convolution(inChannels: channels, outChannels: channels, kernel: Extent2D(1), groups: channels))
        tensors["\(node.name).weight"] = ([channels, 1, 1, 1], norm.scale)
        tensors["\(node.name).bias"] = ([channels], norm.shift)
      default: break
      }
      places[node.name] = nodes.count
      nodes.append(node)
    }
    self.graph.nodes = nodes
    self.graph.outputName = renamed[graph.outputName] ?? graph.outputName
  }

  /// Takes the four tensors of a batch norm away and gives what it does to each channel.
  private mutating func takeNorm(_ name: String, _ epsilon: Float) -> (scale: [Float], shift: [Float]) {
    func take(_ part: String) -> [Float] { tensors.removeValue(forKey: "\(name).\(part)")?.floats ?? [] }
    let (weight, bias, mean, variance) = (take("weight"), take("bias"), take("running_mean"), take("running_var"))
    let scale = weight.indices.map { Double(weight[$0]) / (Double(variance[$0]) + Double(epsilon)).squareRoot() }
    return (scale.map { Float($0) }, weight.indices.map { Float(Double(bias[$0]) - Double(mean[$0]) * scale[$0]) })
  }

  private mutating func fold(_ norm: (scale: [Float], shift: [Float]), into layer: String) {
    guard var weight = tensors["\(layer).weight"] else { return }
    let row = weight.floats.count / max(1, norm.scale.count)
    var bias = tensors["\(layer).bias"]?.floats ?? [Float](repeating: 0, count: norm.scale.count)
    for (out, factor) in norm.scale.enumerated() {
      for index in (out * row)..<((out + 1) * row) { weight.floats[index] *= factor }
      bias[out] = bias[out] * factor + norm.shift[out]
    }
    tensors["\(layer).weight"] = weight
    tensors["\(layer).bias"] = ([bias.count], bias)
  }

  /// Puts other numbers in the place of a tensor's.
  package mutating func replace(_ name: String, by floats: [Float]) {
    precondition(tensors[name]?.floats.count == floats.count, "as many numbers as before")
    tensors[name]?.floats = floats
  }

  /// Adds a tensor, or puts it in the place of the one of its name.
  mutating func insert(_ name: String, extents: [Int], _ floats: [Float]) {
    precondition(extents.reduce(1, *) == floats.count, "as many numbers as the extents say")
    tensors[name] = (extents, floats)
  }

  package func extents(ofTensor name: String) -> [Int]? { tensors[name]?.extents }

  package func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let tensor = tensors[name] else { throw .tensor(name: name, reason: "it is missing") }
    return tensor.floats
  }
}

extension Operation {
  /// The layer with a bias, if it is one that can take a batch norm in.
  fileprivate var withBias: Operation? {
    switch self {
    case .convolution(var c):
      c.bias = true
      return .convolution(c)
    case .linear(var l):
      l.bias = true
      return .linear(l)
    default: return nil
    }
  }
}
