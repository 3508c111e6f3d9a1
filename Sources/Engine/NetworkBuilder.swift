/// Turns a graph into steps; used once by `CompiledNetwork`.
struct NetworkBuilder<Source: TensorSource> {
  private let graph: Graph
  private let source: Source
  private let shapesByName: [String: Shape]
  private let consumers: [String: [Int]]
  private var valueByName: [String: Int] = [:]
  private var absorbed: Set<Int> = []
  private(set) var steps: [Step] = []
  private(set) var shapes: [Shape] = []
  private(set) var packed: [Float] = []
  private(set) var outputValue = 0

  init(graph: Graph, source: Source) throws(EngineError) {
    self.graph = graph
    self.source = source
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

  mutating func build() throws(EngineError) {
    shapes = [graph.inputShape]
    valueByName[graph.inputName] = 0
    for (index, node) in graph.nodes.enumerated() where !absorbed.contains(index) {
      try add(node)
    }
    guard let output = valueByName[graph.outputName] else {
      throw .graph(node: graph.outputName, reason: "the output is no node")
    }
    outputValue = output
    if output == 0 { throw .graph(node: graph.outputName, reason: "the output is the picture itself") }
  }

  /// The node that alone takes this one's output, if there is exactly one and the output is not the network's.
  private func soleConsumer(of name: String) -> (index: Int, node: Graph.Node)? {
    guard name != graph.outputName, let users = consumers[name], users.count == 1 else { return nil }
    return (users[0], graph.nodes[users[0]])
  }

  /// The batch norm that directly follows, which is then absorbed.
  private mutating func followingNorm(_ name: inout String) throws(EngineError) -> (scale: [Float], shift: [Float])? {
    guard let (index, node) = soleConsumer(of: name), case .batchNorm(let epsilon) = node.operation else { return nil }
    absorbed.insert(index)
    name = node.name
    return try norm(node.name, epsilon)
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

  private func norm(_ name: String, _ epsilon: Float) throws(EngineError) -> (scale: [Float], shift: [Float]) {
    let weight = try source.floats(ofTensor: "\(name).weight")
    let bias = try source.floats(ofTensor: "\(name).bias")
    let mean = try source.floats(ofTensor: "\(name).running_mean")
    let variance = try source.floats(ofTensor: "\(name).running_var")
    var scale = weight
    var shift = bias
    for c in scale.indices {
      let factor = Double(weight[c]) / (Double(variance[c]) + Double(epsilon)).squareRoot()
      scale[c] = Float(factor)
      shift[c] = Float(Double(bias[c]) - Double(mean[c]) * factor)
    }
    return (scale, shift)
  }

  private mutating func pack(_ values: [Float]) -> Int {
    while packed.count % 16 != 0 { packed.append(0) }
    defer { packed += values }
    return packed.count
  }

  private mutating func emit(_ node: Graph.Node, _ kernel: Step.Kernel, _ activation: Activation?, knownAs name: String)
  {
    let output = shapes.count
    shapes.append(shapesByName[name] ?? Shape(c: 1))
    valueByName[name] = output
    steps.append(
      Step(
        name: node.name, kernel: kernel, activation: activation, inputs: node.inputs.compactMap { valueByName[$0] },
        output: output))
  }

  private mutating func add(_ node: Graph.Node) throws(EngineError) {
    var name = node.name
    switch node.operation {
    case .convolution(let c): try addConvolution(node, c)
    case .linear(let l): try addLinear(node, l)
    case .batchNorm(let epsilon):
      let (scale, shift) = try norm(node.name, epsilon)
      let kernel = Step.Kernel.affine(scale: pack(scale), shift: pack(shift))
      let activation = followingActivation(&name)
      emit(node, kernel, activation, knownAs: name)
    case .add:
      let activation = followingActivation(&name)
      emit(node, .add, activation, knownAs: name)
    case .activation(let activation): emit(node, .activation, activation, knownAs: name)
    case .maxPool(let p): emit(node, .maxPool(window(p)), nil, knownAs: name)
    case .averagePool(let p):
      emit(node, .averagePool(window(p), countIncludePad: p.countIncludePad), nil, knownAs: name)
    case .globalAveragePool, .adaptiveAveragePool: emit(node, .adaptiveAveragePool, nil, knownAs: name)
    case .multiply: emit(node, .multiply, nil, knownAs: name)
    case .concatenate: emit(node, .concatenate, nil, knownAs: name)
    case .softmax: emit(node, .softmax, nil, knownAs: name)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      emit(node, .localResponseNorm(size: size, alpha: alpha, beta: beta, k: k), nil, knownAs: name)
    case .dropout: valueByName[name] = valueByName[node.inputs[0]]
    case .flatten:
      let shape = shapesByName[node.inputs[0]] ?? Shape(c: 1)
      if shape.h * shape.w == 1 {
        valueByName[name] = valueByName[node.inputs[0]]
      } else {
        emit(node, .flatten, nil, knownAs: name)
      }
    }
  }

  private func window(_ p: Pooling) -> Window {
    Window(kernel: p.kernel, stride: p.stride, padding: p.padding, dilation: p.dilation, ceilMode: p.ceilMode)
  }

  private mutating func addConvolution(_ node: Graph.Node, _ c: Convolution) throws(EngineError) {
    var name = node.name
    var weights = try source.floats(ofTensor: "\(node.name).weight")
    var bias = c.bias ? try source.floats(ofTensor: "\(node.name).bias") : [Float](repeating: 0, count: c.outChannels)
    let perOutput = weights.count / c.outChannels
    if let (scale, shift) = try followingNorm(&name) {
      for out in 0..<c.outChannels {
        for k in (out * perOutput)..<((out + 1) * perOutput) { weights[k] *= scale[out] }
        bias[out] = bias[out] * scale[out] + shift[out]
      }
    }
    let activation = followingActivation(&name)
    let window = Window(kernel: c.kernel, stride: c.stride, padding: c.padding, dilation: c.dilation, ceilMode: false)
    let area = c.kernel.h * c.kernel.w
    let isDepthwise = c.groups == c.inChannels && c.outChannels == c.inChannels && c.groups > 1
    let inGroup = c.inChannels / c.groups
    let outGroup = c.outChannels / c.groups
    var repacked = [Float](repeating: 0, count: weights.count)
    for out in 0..<c.outChannels {
      for i in 0..<inGroup {
        for k in 0..<area {
          let value = weights[(out * inGroup + i) * area + k]
          if isDepthwise {
            repacked[k * c.outChannels + out] = value
          } else {
            let (group, column) = (out / outGroup, out % outGroup)
            repacked[group * area * inGroup * outGroup + (k * inGroup + i) * outGroup + column] = value
          }
        }
      }
    }
    let (w, b) = (pack(repacked), pack(bias))
    emit(
      node, isDepthwise ? .depthwise(c, window, weights: w, bias: b) : .convolution(c, window, weights: w, bias: b),
      activation, knownAs: name)
  }

  private mutating func addLinear(_ node: Graph.Node, _ l: Linear) throws(EngineError) {
    var name = node.name
    let weights = try source.floats(ofTensor: "\(node.name).weight")
    var bias = l.bias ? try source.floats(ofTensor: "\(node.name).bias") : [Float](repeating: 0, count: l.outFeatures)
    var scales = [Float](repeating: 1, count: l.outFeatures)
    if let (scale, shift) = try followingNorm(&name) {
      scales = scale
      for out in 0..<l.outFeatures { bias[out] = bias[out] * scale[out] + shift[out] }
    }
    let activation = followingActivation(&name)
    let shape = shapesByName[node.inputs[0]] ?? Shape(c: l.inFeatures)
    let area = shape.h * shape.w
    var repacked = [Float](repeating: 0, count: weights.count)
    for out in 0..<l.outFeatures {
      for c in 0..<shape.c {
        for p in 0..<area {
          repacked[(p * shape.c + c) * l.outFeatures + out] = weights[out * l.inFeatures + c * area + p] * scales[out]
        }
      }
    }
    let (w, b) = (pack(repacked), pack(bias))
    emit(node, .linear(l, weights: w, bias: b), activation, knownAs: name)
  }
}
