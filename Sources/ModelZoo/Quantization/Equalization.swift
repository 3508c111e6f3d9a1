package import Engine

extension FoldedNetwork {
  /// Evens out the ranges of the channels between two layers, where that changes no answer.
  ///
  /// Where a layer's output goes through nothing or ReLU to one other layer alone, channel i can be divided by any
  /// positive number before and multiplied by it after. A tensor has one scale for all its channels, so that a channel
  /// much smaller than the largest is told in a few levels only; after this they are alike (Nagel et al.,
  /// arXiv:1906.04721, section 4.1). ReLU6 cuts at a number of its own and is left alone.
  ///
  /// - Returns: how many pairs of layers were changed.
  package mutating func equalize(passes: Int = 4) throws(EngineError) -> Int {
    var changed: Set<String> = []
    for _ in 0..<passes {
      for pair in pairs() where try equalize(pair) { changed.insert(pair.before) }
    }
    return changed.count
  }

  private struct Pair {
    let before: String
    let after: String
    let channels: Int
    /// Whether the second layer keeps channels apart.
    let isDepthwise: Bool
  }

  private func pairs() -> [Pair] {
    var users: [String: [Graph.Node]] = [:]
    for node in graph.nodes { for input in node.inputs { users[input, default: []].append(node) } }
    func soleUser(of name: String) -> Graph.Node? {
      guard name != graph.outputName, let list = users[name], list.count == 1 else { return nil }
      return list[0]
    }
    return graph.nodes.compactMap { node in
      guard case .convolution(let first) = node.operation, first.bias, var next = soleUser(of: node.name) else {
        return nil
      }
      if case .activation(.relu) = next.operation {
        guard let user = soleUser(of: next.name) else { return nil }
        next = user
      }
      guard case .convolution(let second) = next.operation else { return nil }
      let isDepthwise = second.groups == second.inChannels && second.outChannels == second.inChannels
      guard isDepthwise || second.groups == 1 else { return nil }
      return Pair(before: node.name, after: next.name, channels: first.outChannels, isDepthwise: isDepthwise)
    }
  }

  /// Divides channel i by √(a_i / b_i), where a_i and b_i are the largest weights that make and take it.
  private mutating func equalize(_ pair: Pair) throws(EngineError) -> Bool {
    var before = try floats(ofTensor: "\(pair.before).weight")
    var bias = try floats(ofTensor: "\(pair.before).bias")
    var after = try floats(ofTensor: "\(pair.after).weight")
    let row = before.count / pair.channels
    let taps: Int
    let outs: Int
    if pair.isDepthwise {
      (taps, outs) = (after.count / pair.channels, 1)
    } else {
      guard let extents = extents(ofTensor: "\(pair.after).weight"), extents.count == 4 else { return false }
      (taps, outs) = (extents[2] * extents[3], extents[0])
    }
    var isChanged = false
    for channel in 0..<pair.channels {
      let made = (channel * row..<(channel + 1) * row)
      let taken = (0..<outs).map { (($0 * (pair.isDepthwise ? 1 : pair.channels)) + channel) * taps }
      let a = made.reduce(Float(0)) { max($0, before[$1].magnitude) }
      let b = taken.reduce(Float(0)) { most, first in
        (first..<first + taps).reduce(most) { max($0, after[$1].magnitude) }
      }
      guard a > 0, b > 0 else { continue }
      let factor = min(64, max(1 / 64, (a / b).squareRoot()))
      guard (factor - 1).magnitude > 1e-3 else { continue }
      isChanged = true
      for index in made { before[index] /= factor }
      bias[channel] /= factor
      for first in taken { for index in first..<first + taps { after[index] *= factor } }
    }
    replace("\(pair.before).weight", by: before)
    replace("\(pair.before).bias", by: bias)
    replace("\(pair.after).weight", by: after)
    return isChanged
  }
}
