internal import Engine

/// Puts nodes one after the other; every method gives the new node's name, to be another's input.
struct GraphBuilder {
  let inputShape: Shape
  private(set) var nodes: [Graph.Node] = []

  static let inputName = "input"

  init(inputShape: Shape) { self.inputShape = inputShape }

  mutating func add(_ name: String, _ operation: Operation, _ inputs: String...) -> String {
    nodes.append(Graph.Node(name: name, operation: operation, inputs: inputs))
    return name
  }

  /// A square convolution without bias, as it stands before a batch norm.
  mutating func convolution(
    _ name: String, _ input: String, from inChannels: Int, to outChannels: Int, kernel: Int, stride: Int = 1,
    padding: Padding = .symmetric(0), groups: Int = 1, bias: Bool = false
  ) -> String {
    let convolution = Convolution(
      inChannels: inChannels, outChannels: outChannels, kernel: Extent2D(kernel), stride: Extent2D(stride),
      padding: padding, groups: groups, bias: bias)
    return add(name, .convolution(convolution), input)
  }

  mutating func linear(_ name: String, _ input: String, from inFeatures: Int, to outFeatures: Int) -> String {
    add(name, .linear(Linear(inFeatures: inFeatures, outFeatures: outFeatures)), input)
  }

  func graph(output: String) -> Graph {
    Graph(inputName: GraphBuilder.inputName, inputShape: inputShape, nodes: nodes, outputName: output)
  }
}
