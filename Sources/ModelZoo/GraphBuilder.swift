internal import Engine

/// Puts nodes one after the other; every method gives the new node's name, to be another's input.
struct GraphBuilder {
  let inputShape: Shape
  private(set) var nodes: [Graph.Node] = []

  static let inputName = "input"

  init(inputShape: Shape) { self.inputShape = inputShape }

  mutating func add(_ name: String, _ operation: Operation, _ inputs: String...) -> String {
    add(name, operation, inputs: inputs)
  }

  mutating func add(_ name: String, _ operation: Operation, inputs: [String]) -> String {
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

  /// A square maximum.
  mutating func maxPool(
    _ name: String, _ input: String, kernel: Int, stride: Int, padding: Int = 0, ceilMode: Bool = false
  ) -> String {
    let pooling = Pooling(
      kernel: Extent2D(kernel), stride: Extent2D(stride), padding: .symmetric(padding), ceilMode: ceilMode)
    return add(name, .maxPool(pooling), input)
  }

  /// Convolution without bias, batch norm and, if there is one, an activation: torchvision's `Conv2dNormActivation`,
  /// whose parts are called `0`, `1` and `2`.
  mutating func normedConvolution(
    _ path: String, _ input: String, from inChannels: Int, to outChannels: Int, kernel: Int, stride: Int = 1,
    groups: Int = 1, epsilon: Float, activation: Activation?
  ) -> String {
    var last = convolution(
      path + "0", input, from: inChannels, to: outChannels, kernel: kernel, stride: stride,
      padding: .symmetric(kernel / 2), groups: groups)
    last = add(path + "1", .batchNorm(epsilon: epsilon), last)
    if let activation { last = add(path + "2", .activation(activation), last) }
    return last
  }

  /// torchvision's `SqueezeExcitation`: the channels are weighted by what two 1×1 convolutions make of their means.
  mutating func squeezeExcitation(
    _ path: String, _ input: String, channels: Int, squeezed: Int, activation: Activation, gate: Activation
  ) -> String {
    var last = add(path + "avgpool", .adaptiveAveragePool(height: 1, width: 1), input)
    last = convolution(path + "fc1", last, from: channels, to: squeezed, kernel: 1, bias: true)
    last = add(path + "activation", .activation(activation), last)
    last = convolution(path + "fc2", last, from: squeezed, to: channels, kernel: 1, bias: true)
    last = add(path + "scale_activation", .activation(gate), last)
    return add(path + "scale", .multiply, input, last)
  }

  /// A channel count times a factor, as a multiple of 8 that is at most a tenth smaller.
  static func scaled(_ channels: Int, by factor: Double) -> Int {
    let exact = Double(channels) * factor
    let rounded = max(8, Int(exact + 4) / 8 * 8)
    return Double(rounded) < 0.9 * exact ? rounded + 8 : rounded
  }

  func graph(output: String) -> Graph {
    Graph(inputName: GraphBuilder.inputName, inputShape: inputShape, nodes: nodes, outputName: output)
  }
}
