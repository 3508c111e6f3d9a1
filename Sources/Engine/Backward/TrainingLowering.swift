/// Turns a graph into training steps: values, kernels, what is fused, and which gradients add up.
struct TrainingLowering {
  private let graph: Graph
  private let options: TrainingOptions
  private let weights: TrainedWeights
  private let batchCapacity: Int
  private let laneCount: Int
  private let shapes: [String: Shape]
  private let orders: StorageOrders
  private let consumers: [String: [Int]]
  private var valueByName: [String: TrainingValue] = [:]
  private var absorbed: Set<Int> = []
  private var dropouts: UInt64 = 0
  private(set) var values: [TrainingValue] = []
  private(set) var steps: [any TrainingStep] = []

  init(
    weights: TrainedWeights, options: TrainingOptions, batchCapacity: Int, laneCount: Int
  ) throws(EngineError) {
    graph = weights.graph
    self.weights = weights
    self.options = options
    self.batchCapacity = batchCapacity
    self.laneCount = laneCount
    shapes = try graph.shapes()
    orders = try StorageOrders(graph)
    var consumers: [String: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs { consumers[input, default: []].append(index) }
    }
    self.consumers = consumers
  }

  /// The steps' values have no memory of their own yet; each points to `placeholder`.
  mutating func build(placeholder: UnsafeMutablePointer<Float>) throws(EngineError) -> TrainingValue {
    let picture = TrainingValue(
      name: graph.inputName, shape: graph.inputShape, wantsGradient: options.wantsInputGradient, data: placeholder)
    valueByName[graph.inputName] = picture
    values = [picture]
    for (index, node) in graph.nodes.enumerated() where !absorbed.contains(index) { add(node, placeholder) }
    guard let output = valueByName[graph.outputName], output !== picture else {
      throw .graph(node: graph.outputName, reason: "the output is the picture itself")
    }
    guard output.wantsGradient else {
      throw .graph(node: graph.outputName, reason: "every tensor before it is frozen: nothing is left to train")
    }
    markAccumulation()
    return output
  }

  private func isFrozen(_ tensor: String) -> Bool { options.frozen.contains(tensor) }

  private func learns(_ node: Graph.Node) -> Bool {
    ["weight", "bias"].contains { part in
      let name = "\(node.name).\(part)"
      return weights.parameter(name) != nil && !isFrozen(name)
    }
  }

  /// The activation that alone takes a node's output, if it is among those wanted; it is then absorbed.
  private mutating func followingActivation(_ name: inout String, among: Set<Activation>) -> Activation? {
    guard name != graph.outputName, let users = consumers[name], users.count == 1,
      case .activation(let activation) = graph.nodes[users[0]].operation, among.contains(activation)
    else { return nil }
    absorbed.insert(users[0])
    name = graph.nodes[users[0]].name
    return activation
  }

  private mutating func add(_ node: Graph.Node, _ placeholder: UnsafeMutablePointer<Float>) {
    var name = node.name
    let inputs = node.inputs.compactMap { valueByName[$0] }
    let input = inputs[0]
    let tensors = StepTensors(node: node.name, weights: weights, isFrozen: isFrozen)
    var activation: Activation?
    switch node.operation {
    case .batchNorm: activation = followingActivation(&name, among: Set(Activation.allCases))
    case .add: activation = followingActivation(&name, among: [.relu, .relu6])
    case .flatten where orders.aliases.contains(name) || input.shape.h * input.shape.w == 1:
      valueByName[name] = input
      return
    case .dropout(let probability) where probability <= 0 || !options.drops:
      valueByName[name] = input
      return
    default: break
    }
    let output = TrainingValue(
      name: name, shape: orders.isFlatChain(node) ? input.shape : shapes[name] ?? input.shape,
      wantsGradient: learns(node) || inputs.contains { $0.wantsGradient }, data: placeholder)
    valueByName[name] = output
    values.append(output)
    steps.append(step(node, inputs, output, activation, tensors))
  }

  private mutating func step(
    _ node: Graph.Node, _ inputs: [TrainingValue], _ output: TrainingValue, _ activation: Activation?,
    _ tensors: StepTensors
  ) -> any TrainingStep {
    let (name, input) = (node.name, inputs[0])
    switch node.operation {
    case .convolution(let c):
      return tensors.weights.isDepthwise(c)
        ? TrainingDepthwise(name: name, c, input: input, output: output, tensors: tensors)
        : TrainingConvolution(name: name, c, input: input, output: output, tensors: tensors)
    case .linear(let l): return TrainingLinear(name: name, l, input: input, output: output, tensors: tensors)
    case .batchNorm(let epsilon):
      return TrainingNorm(
        name: name, epsilon: epsilon, momentum: options.normMomentum, activation: activation, input: input,
        output: output, tensors: tensors, usesRunningStatistics: options.frozenNorms.contains(name),
        lanes: laneCount)
    case .activation(let a): return TrainingActivation(name: name, a, input: input, output: output)
    case .maxPool(let p):
      return TrainingMaxPool(
        name: name, window(p), input: input, output: output, batchCapacity: batchCapacity)
    case .averagePool(let p):
      return TrainingMean(
        name: name, window(p), countIncludePad: p.countIncludePad, input: input, output: output)
    case .globalAveragePool, .adaptiveAveragePool:
      return TrainingMean(name: name, nil, countIncludePad: false, input: input, output: output)
    case .add: return TrainingAdd(name: name, activation: activation, inputs: inputs, output: output)
    case .multiply: return TrainingMultiply(name: name, inputs: inputs, output: output)
    case .concatenate: return TrainingConcatenate(name: name, inputs: inputs, output: output)
    case .flatten: return TrainingFlatten(name: name, input: input, output: output)
    case .softmax: return TrainingSoftmax(name: name, input: input, output: output)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      return TrainingResponseNorm(
        name: name, size: size, alpha: alpha, beta: beta, k: k, input: input, output: output)
    case .dropout(let probability):
      dropouts += 1
      return TrainingDropout(
        name: name, probability: probability, seed: options.seed &+ dropouts &* 0x9E37_79B9_7F4A_7C15, input: input,
        output: output)
    }
  }

  private func window(_ p: Pooling) -> Window {
    Window(kernel: p.kernel, stride: p.stride, padding: p.padding, dilation: p.dilation, ceilMode: p.ceilMode)
  }

  /// Going backward, the first use of a value writes its gradient, every further one adds to it.
  private mutating func markAccumulation() {
    var begun: Set<ObjectIdentifier> = []
    for step in steps.reversed() {
      for index in step.inputs.indices {
        let isFirst = begun.insert(ObjectIdentifier(step.inputs[index].value)).inserted
        step.inputs[index].accumulates = !isFirst
      }
    }
  }
}

extension TrainedWeights {
  func isDepthwise(_ c: Convolution) -> Bool {
    c.groups > 1 && c.groups == c.inChannels && c.outChannels == c.inChannels
  }
}
