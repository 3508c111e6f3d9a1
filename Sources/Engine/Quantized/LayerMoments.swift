/// What the layers of a network read for example photos, and the rounding of their weights that follows from it.
package struct LayerMoments {
  private let folded: FoldedNetwork
  private let shapes: [String: Shape]
  /// By node.
  private var moments: [String: WindowMoments] = [:]

  /// - Throws: `EngineError.graph` when the graph contradicts itself.
  package init(of folded: FoldedNetwork) throws(EngineError) {
    self.folded = folded
    shapes = try folded.graph.shapes()
    for node in folded.graph.nodes {
      guard let layer = node.operation.quantizedLayer, let shape = shapes[node.inputs[0]] else { continue }
      moments[node.name] = WindowMoments(layer, input: shape)
    }
  }

  /// Adds one photo: `values` has the picture and every node's value by name, in C, H, W order.
  package mutating func observe(_ values: [String: [Float]]) {
    for node in folded.graph.nodes {
      guard let input = values[node.inputs[0]] else { continue }
      moments[node.name]?.add(input)
    }
  }

  /// The network with weights that are whole multiples of their scales, rounded so that errors cancel, and biases that
  /// take up what is left of them on average (Nagel et al., arXiv:1906.04721, section 4.2).
  ///
  /// - Throws: `EngineError.graph` if a value has no scale.
  package func rounded(for quantization: Quantization) throws(EngineError) -> FoldedNetwork {
    var result = folded
    for node in folded.graph.nodes {
      guard let layer = node.operation.quantizedLayer, let moments = moments[node.name],
        let shape = shapes[node.inputs[0]]
      else { continue }
      let scales = try quantization.scales(of: node.inputs[0], channels: shape.c, in: folded.graph)
      try round(layer, node.name, moments, scales.map(\.scale), in: &result)
    }
    return result
  }

  private func round(
    _ layer: QuantizedLayer, _ name: String, _ moments: WindowMoments, _ scales: [Float],
    in result: inout FoldedNetwork
  ) throws(EngineError) {
    var weights = try folded.floats(ofTensor: "\(name).weight")
    var biases = layer.hasBias ? try folded.floats(ofTensor: "\(name).bias") : []
    let (outs, depth) = (layer.outChannels / layer.groups, moments.depth)
    let channels = scales.count / layer.groups
    var rowScales: [Float] = []
    for group in 0..<layer.groups {
      let factors = (0..<depth).map { scales[group * channels + $0 / (depth / channels)] }
      let rounding = CompensatedRounding(moments.covariances(group: group, factors: factors), depth: depth)
      let means = moments.means(group: group)
      for out in group * outs..<(group + 1) * outs {
        let products = (0..<depth).map { weights[out * depth + $0] * factors[$0] }
        let scale = SignedBytes.bestScale(of: products)
        let bytes = rounding.round(products, scale: scale)
        rowScales.append(scale)
        var lost: Float = 0
        for place in 0..<depth {
          let number = bytes[place] * scale / factors[place]
          lost += (weights[out * depth + place] - number) * means[place]
          weights[out * depth + place] = number
        }
        if layer.hasBias { biases[out] += lost }
      }
    }
    result.replace("\(name).weight", by: weights)
    if layer.hasBias { result.replace("\(name).bias", by: biases) }
    result.insert("\(name).weight_scale", extents: [layer.outChannels], rowScales)
  }
}

extension Operation {
  /// The layer of products that it is, if it is one.
  fileprivate var quantizedLayer: QuantizedLayer? {
    switch self {
    case .convolution(let c): .convolution(c)
    case .linear(let l): .linear(l)
    default: nil
    }
  }
}
