/// Turns a graph into steps, used once by `CompiledNetwork`: nodes become steps in their order, and what can be fused is.
struct Draft {
  private let graph: Graph
  private let shapesByName: [String: Shape]
  private let consumers: [String: [Int]]
  private var valueByName: [String: Int] = [:]
  private var absorbed: Set<Int> = []
  /// The picture in padded pixels, once a step needed it so.
  private var loaded: Int?
  /// Products that the 1×1 convolution after them computes itself: the value and its factors.
  private var scaled: [String: (value: Int, factors: Int)] = [:]
  var steps: [DraftStep] = []
  var values: [Value] = []
  private(set) var outputValue = 0

  init(graph: Graph, source: some TensorSource) throws(EngineError) {
    self.graph = graph
    shapesByName = try graph.shapes()
    var consumers: [String: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs { consumers[input, default: []].append(index) }
    }
    self.consumers = consumers
    for (name, extents) in try graph.requiredTensors() {
      guard let found = source.extents(ofTensor: name) else { throw .tensor(name: name, reason: "it is missing") }
      guard found == extents else {
        throw .tensor(name: name, reason: "its extents are \(found), the graph wants \(extents)")
      }
    }
  }

  /// Makes all steps and values; unless OpenBLAS is to multiply, depthwise convolutions are joined with the 1×1 ones around
  /// them.
  mutating func build(_ options: EngineOptions) throws(EngineError) {
    values = [Value(name: graph.inputName, shape: graph.inputShape)]
    valueByName[graph.inputName] = 0
    for (index, node) in graph.nodes.enumerated() where !absorbed.contains(index) { add(node) }
    guard let output = valueByName[graph.outputName] else {
      throw .graph(node: graph.outputName, reason: "the output is no node")
    }
    outputValue = output
    if output == 0 { throw .graph(node: graph.outputName, reason: "the output is the picture itself") }
    if options.products != .openBLAS { joinDepthwise() }
    takeSums()
    takeMaxima(options)
    placeConcatenations()
  }

  // MARK: Neighbours

  /// The node that alone takes this one's output, if there is exactly one and the output is not the network's.
  private func soleConsumer(of name: String) -> (index: Int, node: Graph.Node)? {
    guard name != graph.outputName, let users = consumers[name], users.count == 1 else { return nil }
    return (users[0], graph.nodes[users[0]])
  }

  /// The batch norm that directly follows, which is then absorbed.
  private mutating func followingNorm(_ name: inout String) -> DraftNorm? {
    guard let (index, node) = soleConsumer(of: name), case .batchNorm(let epsilon) = node.operation else { return nil }
    absorbed.insert(index)
    name = node.name
    return DraftNorm(name: node.name, epsilon: epsilon)
  }

  /// The activation that directly follows, which is then absorbed.
  private mutating func followingActivation(_ name: inout String) -> Activation? {
    guard let (index, node) = soleConsumer(of: name), case .activation(let activation) = node.operation else {
      return nil
    }
    absorbed.insert(index)
    name = node.name
    return activation
  }

  /// Whether only linear layers take a value, at once or past dropout; they read pixels in any order.
  private func feedsOnlyLinear(_ name: String) -> Bool {
    guard name != graph.outputName, let users = consumers[name] else { return false }
    return users.allSatisfy { index in
      switch graph.nodes[index].operation {
      case .linear: true
      case .dropout: feedsOnlyLinear(graph.nodes[index].name)
      default: false
      }
    }
  }

  // MARK: Steps

  private mutating func newValue(_ name: String, _ shape: Shape) -> Int {
    values.append(Value(name: name, shape: shape))
    return values.count - 1
  }

  private func shape(_ name: String) -> Shape { shapesByName[name] ?? Shape(c: 1) }

  /// The value of a name; the picture in padded pixels.
  private mutating func padded(_ name: String) -> Int {
    let value = valueByName[name] ?? 0
    guard value == 0 else { return value }
    if let loaded { return loaded }
    let copy = newValue(graph.inputName, graph.inputShape)
    steps.append(DraftStep(name: graph.inputName, operation: .load, inputs: [0], output: copy))
    loaded = copy
    return copy
  }

  private mutating func emit(
    _ node: Graph.Node, _ operation: DraftStep.Operation, norm: DraftNorm? = nil, _ activation: Activation? = nil,
    knownAs name: String? = nil
  ) {
    let known = name ?? node.name
    let inputs = node.inputs.map { padded($0) }
    let output = newValue(known, shape(known))
    valueByName[known] = output
    steps.append(
      DraftStep(
        name: node.name, operation: operation, inputs: inputs, output: output, norm: norm, activation: activation))
  }

  private mutating func add(_ node: Graph.Node) {
    var name = node.name
    switch node.operation {
    case .convolution(let c): addConvolution(node, c)
    case .linear(let l):
      let norm = followingNorm(&name)
      let activation = followingActivation(&name)
      let input = padded(node.inputs[0])
      emit(node, .linear(l, values[input].shape), norm: norm, activation, knownAs: name)
    case .batchNorm(let epsilon):
      let activation = followingActivation(&name)
      emit(node, .affine, norm: DraftNorm(name: node.name, epsilon: epsilon), activation, knownAs: name)
    case .add:
      let activation = followingActivation(&name)
      if !addToProduct(node, activation, knownAs: name) { emit(node, .add, activation, knownAs: name) }
    case .activation(let activation): emit(node, .activation, activation)
    case .maxPool(let p): emit(node, .maxPool(Window(p)))
    case .averagePool(let p): emit(node, .averagePool(Window(p), countIncludePad: p.countIncludePad))
    case .globalAveragePool, .adaptiveAveragePool: emit(node, .adaptiveAveragePool)
    case .multiply:
      if !scaleNext(node) { emit(node, .multiply) }
    case .concatenate: emit(node, .concatenate)
    case .softmax: emit(node, .softmax)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      emit(node, .localResponseNorm(size: size, alpha: alpha, beta: beta, k: k))
    case .dropout: valueByName[name] = valueByName[node.inputs[0]]
    case .flatten:
      let x = shape(node.inputs[0])
      if x.h * x.w == 1 || feedsOnlyLinear(name) {
        valueByName[name] = valueByName[node.inputs[0]]
      } else {
        emit(node, .flatten)
      }
    }
  }

  private mutating func addConvolution(_ node: Graph.Node, _ c: Convolution) {
    var name = node.name
    let norm = followingNorm(&name)
    let activation = followingActivation(&name)
    let scaling = scaled[node.inputs[0]]
    var step = ConvolutionStep(
      convolution: c,
      window: Window(kernel: c.kernel, stride: c.stride, padding: c.padding, dilation: c.dilation, ceilMode: false),
      inputShape: shape(node.inputs[0]), outputShape: shape(node.name), input: 0, output: 0, scale: scaling?.factors,
      activation: activation)
    step.input = scaling?.value ?? (step.isDepthwise ? padded(node.inputs[0]) : valueByName[node.inputs[0]] ?? 0)
    step.output = newValue(name, step.outputShape)
    valueByName[name] = step.output
    let draft = DraftConvolution(name: node.name, norm: norm, step: step)
    let operation: DraftStep.Operation =
      step.isDepthwise ? .depthwise(expansion: nil, draft, projection: nil, sums: nil) : .convolution(draft)
    steps.append(DraftStep(name: node.name, operation: operation, inputs: step.inputs, output: step.output))
  }

  /// Lets the convolution or linear layer that made one addend, and ran after the other was made, add the other.
  private mutating func addToProduct(_ node: Graph.Node, _ activation: Activation?, knownAs name: String) -> Bool {
    for (own, other) in [(node.inputs[1], node.inputs[0]), (node.inputs[0], node.inputs[1])] {
      guard let value = valueByName[own], let addend = valueByName[other], addend != 0, value != addend,
        soleConsumer(of: own) != nil, let index = steps.lastIndex(where: { $0.output == value }),
        let made = steps.lastIndex(where: { $0.output == addend }), made < index,
        values[addend].shape == values[value].shape
      else { continue }
      switch steps[index].operation {
      case .convolution(var draft) where draft.step.activation == nil && draft.step.residual == nil:
        draft.step.residual = addend
        draft.step.activation = activation
        steps[index].operation = .convolution(draft)
        steps[index].inputs = draft.step.inputs
      case .linear where steps[index].activation == nil && steps[index].residual == nil:
        steps[index].residual = addend
        steps[index].activation = activation
        steps[index].inputs.append(addend)
      default: continue
      }
      valueByName[name] = value
      return true
    }
    return false
  }

  /// Leaves a product with factors a channel to the 1×1 convolution that alone takes it.
  private mutating func scaleNext(_ node: Graph.Node) -> Bool {
    let x = shape(node.inputs[0])
    guard x.h * x.w > 1, shape(node.inputs[1]) == Shape(c: x.c), let (_, next) = soleConsumer(of: node.name),
      case .convolution(let c) = next.operation, c.groups == 1, c.kernel == Extent2D(1), c.stride == Extent2D(1),
      shape(next.name).h == x.h, shape(next.name).w == x.w
    else { return false }
    scaled[node.name] = (value: padded(node.inputs[0]), factors: padded(node.inputs[1]))
    return true
  }
}

extension Window {
  init(_ p: Pooling) {
    self.init(kernel: p.kernel, stride: p.stride, padding: p.padding, dilation: p.dilation, ceilMode: p.ceilMode)
  }
}
