import Engine
import TestSupport

/// Small graphs of many branches, so that lives of values overlap in every way.
enum RandomGraph {
  static func make(_ generator: inout Seeded) -> Graph {
    let extent = Int.random(in: 1...9, using: &generator)
    let input = Shape(c: Int.random(in: 1...5, using: &generator), h: extent, w: extent)
    var nodes: [Graph.Node] = []
    /// Every value so far with its channels; all have the picture's H and W.
    var values = [(name: "input", channels: input.c)]
    for index in 0..<Int.random(in: 4...16, using: &generator) {
      // Mostly recent values, sometimes one that has waited long.
      let pick = Bool.random(using: &generator) ? values.count - 1 : Int.random(in: 0..<values.count, using: &generator)
      let x = values[pick]
      let equals = values.filter { $0.channels == x.channels }
      let other = equals[Int.random(in: 0..<equals.count, using: &generator)]
      var channels = x.channels
      var inputs = [x.name]
      let operation: Engine.Operation
      switch Int.random(in: 0..<9, using: &generator) {
      case 0, 1:
        channels = Int.random(in: 1...8, using: &generator)
        operation = AwkwardGraph.conv(x.channels, channels, 3, padding: .symmetric(1))
      case 2: operation = AwkwardGraph.conv(x.channels, x.channels, 1, bias: false)
      case 3: operation = AwkwardGraph.conv(x.channels, x.channels, 3, padding: .same, groups: x.channels)
      case 4:
        operation = .add
        inputs.append(other.name)
      case 5 where x.channels < 40:
        operation = .concatenate
        let last = values[values.count - 1]
        channels = x.channels + other.channels + last.channels
        inputs += [other.name, last.name]
      case 6: operation = .maxPool(Pooling(kernel: Extent2D(3), stride: Extent2D(1), padding: .symmetric(1)))
      case 7: operation = .batchNorm(epsilon: 1e-3)
      default: operation = .activation(Bool.random(using: &generator) ? .hardSwish : .tanh)
      }
      nodes.append(Graph.Node(name: "n\(index)", operation: operation, inputs: inputs))
      values.append(("n\(index)", channels))
    }
    // Half of the graphs answer with all that nothing else uses.
    if Bool.random(using: &generator) {
      let used = Set(nodes.flatMap(\.inputs))
      let loose = nodes.map(\.name).filter { !used.contains($0) }
      nodes.append(Graph.Node(name: "all", operation: .concatenate, inputs: loose))
    }
    return Graph(inputShape: input, nodes: nodes, outputName: nodes.last?.name ?? "input")
  }
}
