internal import CKernels

/// Turns a graph into steps on bytes; used once by `QuantizedNetwork`.
struct QuantizedBuilder<Source: TensorSource> {
  let graph: Graph
  let source: Source
  let quantization: Quantization
  let kernels: ByteKernels
  private let shapesByName: [String: Shape]
  private let consumers: [String: [Int]]
  private var valueByName: [String: Int] = [:]
  private var absorbed: Set<Int> = []
  private(set) var steps: [QuantizedStep] = []
  private(set) var values: [QuantizedValue] = []
  private(set) var bytes: [Int8] = []
  private(set) var floats: [Float] = []
  private(set) var outputValue = 0
  init(graph: Graph, source: Source, quantization: Quantization, kernels: ByteKernels) throws(EngineError) {
    self.kernels = kernels
    self.graph = graph
    self.source = source
    self.quantization = quantization
    shapesByName = try graph.shapes()
    var consumers: [String: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs { consumers[input, default: []].append(index) }
    }
    self.consumers = consumers
    guard quantization.input.count == graph.inputShape.c, graph.inputShape.c > 0 else {
      throw .graph(
        node: graph.inputName, reason: "\(quantization.input.count) scales for \(graph.inputShape.c) channels")
    }
  }

  mutating func build() throws(EngineError) {
    values = [QuantizedValue(shape: graph.inputShape, scales: nil)]
    valueByName[graph.inputName] = 0
    for (index, node) in graph.nodes.enumerated() where !absorbed.contains(index) { try lower(node) }
    guard let output = valueByName[graph.outputName] else {
      throw .graph(node: graph.outputName, reason: "the output is no node")
    }
    outputValue = isBytes(output) ? dequantized(output, as: graph.outputName) : output
  }

  // MARK: Values

  private mutating func add(_ value: QuantizedValue) -> Int {
    values.append(value)
    return values.count - 1
  }

  private func isBytes(_ number: Int) -> Bool { values[number].scales != nil }

  private func shape(_ name: String) -> Shape { shapesByName[name] ?? Shape(c: 1) }

  /// The scales that the quantization gives a value, one a channel.
  private func scales(of name: String) throws(EngineError) -> [ByteScale] {
    try quantization.scales(of: name, channels: shape(name).c, in: graph)
  }

  /// Whether a value is wanted in floats by all who use it.
  private func isKeptInFloats(_ name: String) -> Bool {
    if name == graph.outputName { return true }
    guard let users = consumers[name], !users.isEmpty else { return false }
    return users.allSatisfy { graph.nodes[$0].operation.needsFloats }
  }

  /// A node's input in bytes, quantized first if it is kept in floats.
  private mutating func bytes(_ name: String) throws(EngineError) -> Int {
    guard let number = valueByName[name] else { throw .graph(node: name, reason: "it is used before it is computed") }
    guard !isBytes(number) else { return number }
    let scales = try scales(of: name)
    let output = add(QuantizedValue(shape: values[number].shape, scales: scales))
    let (scale, zero) = (pack(scales.map { 1 / $0.scale }), pack(scales.map(\.zeroPoint)))
    steps.append(
      QuantizedStep(name: name, kernel: .quantize(scale: scale, zero: zero), inputs: [number], output: output))
    valueByName[name] = output
    return output
  }

  /// The scales of a value in bytes.
  private func scales(_ number: Int) -> [ByteScale] { values[number].scales ?? [] }

  private mutating func dequantized(_ number: Int, as name: String) -> Int {
    let output = add(QuantizedValue(shape: values[number].shape, scales: nil))
    steps.append(QuantizedStep(name: name, kernel: .dequantize, inputs: [number], output: output))
    return output
  }

  private mutating func emit(
    _ kernel: QuantizedStep.Kernel, inputs: [Int], as name: String, scales: [ByteScale]?
  ) {
    let output = add(QuantizedValue(shape: shape(name), scales: scales))
    steps.append(QuantizedStep(name: name, kernel: kernel, inputs: inputs, output: output))
    valueByName[name] = output
  }

  // MARK: Memory

  mutating func pack(_ values: [Float]) -> Int {
    while floats.count % 16 != 0 { floats.append(0) }
    defer { floats += values }
    return floats.count
  }

  mutating func pack(_ values: [Int8]) -> Int {
    while bytes.count % 64 != 0 { bytes.append(0) }
    defer { bytes += values }
    return bytes.count
  }

  // MARK: Fusing

  /// The node that alone takes this one's output, if there is exactly one and the output is not the network's.
  private func soleConsumer(of name: String) -> (index: Int, node: Graph.Node)? {
    guard name != graph.outputName, let users = consumers[name], users.count == 1 else { return nil }
    return (users[0], graph.nodes[users[0]])
  }

  private mutating func followingActivation(
    _ name: inout String, among fusible: [Activation] = Activation.allCases
  ) -> Activation? {
    guard let (index, node) = soleConsumer(of: name), case .activation(let activation) = node.operation,
      fusible.contains(activation)
    else { return nil }
    absorbed.insert(index)
    name = node.name
    return activation
  }

  /// The other part of the sum that alone takes this value, if it is there already and all of it is in bytes.
  private mutating func followingSum(_ name: inout String) -> Int? {
    guard let (index, node) = soleConsumer(of: name), node.operation == .add,
      let other = node.inputs.first(where: { $0 != name }), let value = valueByName[other], isBytes(value),
      !endsInFloats(node)
    else { return nil }
    absorbed.insert(index)
    name = node.name
    return value
  }

  /// Whether a sum, with the activation behind it, is wanted in floats: its rows then lie otherwise than its parts'.
  private func endsInFloats(_ sum: Graph.Node) -> Bool {
    if let (_, next) = soleConsumer(of: sum.name), case .activation = next.operation {
      return isKeptInFloats(next.name)
    }
    return isKeptInFloats(sum.name)
  }

  // MARK: Lowering

  private mutating func lower(_ node: Graph.Node) throws(EngineError) {
    var name = node.name
    switch node.operation {
    case .convolution(let c): try lowerProduct(node, .convolution(c))
    case .linear(let l): try lowerProduct(node, .linear(l))
    case .batchNorm: throw .graph(node: node.name, reason: "a batch norm that was not folded; quantize the model again")
    case .dropout: valueByName[name] = valueByName[node.inputs[0]]
    case .activation(let activation):
      let input = try bytes(node.inputs[0])
      let scales = try scales(of: name)
      let table = table(activation, from: self.scales(input), to: scales)
      emit(.lookUp(table: table), inputs: [input], as: name, scales: scales)
    case .maxPool(let p):
      let input = try bytes(node.inputs[0])
      emit(.maximum(window(p)), inputs: [input], as: name, scales: scales(input))
    case .averagePool(let p):
      let kernel = QuantizedStep.Kernel.average(window(p), countIncludePad: p.countIncludePad)
      emit(kernel, inputs: [try bytes(node.inputs[0])], as: name, scales: try outputScales(name))
    case .globalAveragePool, .adaptiveAveragePool:
      let kernel = QuantizedStep.Kernel.average(nil, countIncludePad: false)
      emit(kernel, inputs: [try bytes(node.inputs[0])], as: name, scales: try outputScales(name))
    case .add:
      let inputs = [try bytes(node.inputs[0]), try bytes(node.inputs[1])]
      let activation = followingActivation(&name, among: [.relu, .relu6])
      try emitSum(inputs, activation, as: name)
    case .multiply: try emitGate([try bytes(node.inputs[0]), try bytes(node.inputs[1])], as: name)
    case .concatenate:
      var inputs: [Int] = []
      for input in node.inputs { inputs.append(try bytes(input)) }
      emit(.concatenate, inputs: inputs, as: name, scales: inputs.flatMap { scales($0) })
    case .flatten:
      let input = try bytes(node.inputs[0])
      let area = values[input].shape.h * values[input].shape.w
      if area == 1 {
        valueByName[name] = input
      } else {
        let scales = scales(input).flatMap { [ByteScale](repeating: $0, count: area) }
        emit(.flatten, inputs: [input], as: name, scales: scales)
      }
    case .softmax: emit(.softmax, inputs: [floatInput(node)], as: name, scales: nil)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      let kernel = QuantizedStep.Kernel.localResponseNorm(size: size, alpha: alpha, beta: beta, k: k)
      emit(kernel, inputs: [floatInput(node)], as: name, scales: nil)
    }
  }

  private mutating func emitSum(_ inputs: [Int], _ activation: Activation?, as name: String) throws(EngineError) {
    let out = try scales(of: name)
    let (first, second) = (scales(inputs[0]), scales(inputs[1]))
    let factors = [first, second].map { part in zip(part, out).map { $0.scale / $1.scale } }
    let bias = out.indices.map { c in
      out[c].zeroPoint - first[c].zeroPoint * factors[0][c] - second[c].zeroPoint * factors[1][c]
    }
    let (low, high) = try out.bounds(activation, of: name)
    let kernel = QuantizedStep.Kernel.add(
      first: packWhole(factors[0]), second: packWhole(factors[1]), bias: packWhole(bias), low: low, high: high)
    emit(kernel, inputs: inputs, as: name, scales: out)
  }

  private mutating func emitGate(_ inputs: [Int], as name: String) throws(EngineError) {
    let out = try scales(of: name)
    let (first, second) = (scales(inputs[0]), scales(inputs[1]))
    let kernel = QuantizedStep.Kernel.gate(
      first: packWhole(first.map(\.zeroPoint)), second: packWhole(second.map(\.zeroPoint)),
      scale: packWhole(out.indices.map { first[$0].scale * second[$0].scale / out[$0].scale }),
      zero: packWhole(out.map(\.zeroPoint)))
    emit(kernel, inputs: inputs, as: name, scales: out)
  }

  /// Packs one number a channel, with zeros up to a whole block of columns.
  private mutating func packWhole(_ values: [Float]) -> Int {
    pack(values + [Float](repeating: 0, count: (64 - values.count % 64) % 64))
  }

  private mutating func floatInput(_ node: Graph.Node) -> Int {
    let number = valueByName[node.inputs[0]] ?? 0
    return isBytes(number) ? dequantized(number, as: node.inputs[0]) : number
  }

  private func outputScales(_ name: String) throws(EngineError) -> [ByteScale]? {
    isKeptInFloats(name) ? nil : try scales(of: name)
  }

  private func window(_ p: Pooling) -> Window {
    Window(kernel: p.kernel, stride: p.stride, padding: p.padding, dilation: p.dilation, ceilMode: p.ceilMode)
  }

  private mutating func table(_ activation: Activation, from: [ByteScale], to: [ByteScale]) -> Int {
    var entries: [Int8] = []
    for (from, to) in zip(from, to) {
      for byte in 0..<256 {
        let real = Reference.activate((Float(byte) - from.zeroPoint) * from.scale, activation)
        let result = (real / to.scale + to.zeroPoint).rounded(.toNearestOrEven)
        entries.append(Int8(bitPattern: UInt8(min(255, max(0, result)))))
      }
    }
    return pack(entries)
  }

  // MARK: Products

  private mutating func lowerProduct(_ node: Graph.Node, _ layer: QuantizedLayer) throws(EngineError) {
    let input = try bytes(node.inputs[0])
    var name = node.name
    var activation = followingActivation(&name)
    // Depthwise kernels add nothing; a sum behind one is a step of its own.
    let residual = activation == nil && !layer.isDepthwise ? followingSum(&name) : nil
    if residual != nil { activation = followingActivation(&name) }
    let out = try outputScales(name)
    let packed = try QuantizedWeights(
      layer, node: node.name, source: source, input: values[input].shape, channels: scales(input))
    var results = QuantizedStep.Results(scale: 0, bias: 0)
    // What one unit of the result is worth, and where it stands for 0, by channel.
    var units = [ByteScale](repeating: ByteScale(scale: 1, zeroPoint: 0), count: layer.outChannels)
    if let out, activation == nil || activation == .relu || activation == .relu6 {
      units = out
      (results.low, results.high) = try out.bounds(activation, of: name)
    } else {
      results.activation = activation
      if let out {
        guard out.allSatisfy({ $0 == out[0] }) else {
          throw .graph(node: name, reason: "behind \(activation?.rawValue ?? "") one scale for all channels is wanted")
        }
        (results.quanta, results.zero) = (1 / out[0].scale, out[0].zeroPoint)
      }
    }
    var offsets = units.map(\.zeroPoint)
    if let residual {
      let other = scales(residual)
      let factors = zip(other, units).map { $0.scale / $1.scale }
      for c in offsets.indices { offsets[c] -= other[c].zeroPoint * factors[c] }
      results.residual = (residual, packWhole(factors))
    }
    let isDepthwise = layer.isDepthwise && out != nil && layer.taps <= 60
    let places = isDepthwise ? packed.lanePlaces : packed.columnPlaces
    results.scale = pack(places.map { $0 < 0 ? 0 : packed.scales[$0] / units[$0].scale })
    results.bias = pack(places.map { $0 < 0 ? 0 : packed.biases[$0] / units[$0].scale + offsets[$0] })
    let kernel: QuantizedStep.Kernel
    if isDepthwise, let window = layer.window {
      kernel = .depthwise(window, weights: pack(packed.lanes(kernels, kernel: window.kernel)), results: results)
    } else if layer.fitsWinograd(on: values[input].shape), let window = layer.window,
      let packing = kernels.table.pointee.pack_winograd
    {
      kernel = .winograd(window, weights: pack(packed.frequencies(packing)), results: results)
    } else {
      kernel = .product(
        QuantizedStep.Product(
          window: layer.window, groups: layer.groups, length: packed.length, depth: packed.depth,
          columns: packed.columnCount, weights: packed.columns(kernels).map { pack($0) }, results: results))
    }
    emit(kernel, inputs: [input] + (residual.map { [$0] } ?? []), as: name, scales: out)
  }
}

extension [ByteScale] {
  /// The bytes between which an activation leaves its results, the same for all channels.
  ///
  /// - Throws: `EngineError.graph` if they differ from channel to channel: the scales are not made for the activation.
  fileprivate func bounds(_ activation: Activation?, of name: String) throws(EngineError) -> (low: Float, high: Float) {
    guard activation == .relu || activation == .relu6, let first else { return (0, 255) }
    guard allSatisfy({ $0.zeroPoint == first.zeroPoint }) else {
      throw .graph(node: name, reason: "behind \(activation?.rawValue ?? "") all channels want one zero point")
    }
    // Where the largest byte means 6 or less, it bounds by itself.
    guard activation == .relu6, contains(where: { (255 - $0.zeroPoint) * $0.scale > 6.001 }) else {
      return (first.zeroPoint, 255)
    }
    guard allSatisfy({ $0 == first }) else {
      throw .graph(node: name, reason: "behind relu6 no channel's scale may reach beyond 6")
    }
    return (first.zeroPoint, (first.zeroPoint + 6 / first.scale).rounded(.toNearestOrEven))
  }
}

extension Operation {
  /// Whether the operation is computed in floats even in a network of bytes.
  fileprivate var needsFloats: Bool {
    switch self {
    case .softmax, .localResponseNorm: true
    default: false
    }
  }
}
