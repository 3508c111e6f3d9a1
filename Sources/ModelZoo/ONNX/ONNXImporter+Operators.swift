internal import Engine

/// What each operator of ONNX is in the graph.
extension ONNXImporter {
  mutating func step(_ node: ONNXModel.Node) throws(TraceFault) {
    if try foldsConstants(node) { return }
    switch node.operation {
    case "Identity", "Cast":
      if let value = operand(node, 0) { values[node.outputs[0]] = value }
    case "If": try choose(node)
    case "Split": try split(node)
    default: values[node.outputs[0]] = .feature(try result(node))
    }
  }

  private mutating func result(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    switch node.operation {
    case "Conv": return try convolution(node)
    case "Gemm": return try gemm(node)
    case "MatMul":
      return try tracer.linear(
        name(node, weight: 1), feature(node), weight: constant(node, 1), isTransposed: true, bias: nil)
    case "BatchNormalization":
      guard node.attributes["training_mode"]?.integer ?? 0 == 0 else { throw TraceFault("a batch norm that trains") }
      return try tracer.batchNorm(
        name(node, weight: 1), feature(node), weight: constant(node, 1), bias: constant(node, 2),
        mean: constant(node, 3), variance: constant(node, 4), epsilon: node.attributes["epsilon"]?.float ?? 1e-5)
    case "MaxPool":
      return try tracer.maxPool(name(node), feature(node), sliding(node))
    case "AveragePool":
      return try tracer.averagePool(
        name(node), feature(node), sliding(node),
        countIncludePad: node.attributes["count_include_pad"]?.integer ?? 0 != 0)
    case "GlobalAveragePool": return try tracer.mean(name(node), feature(node), over: [2, 3], keepingAxes: true)
    case "ReduceMean": return try reduceMean(node)
    case "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Expand": return try reordered(node)
    case "Concat":
      var parts: [FeatureMap] = []
      for place in node.inputs.indices { parts.append(try feature(node, place)) }
      let axis = try place(node.attributes["axis"]?.integer ?? 1, of: parts.first?.axes.count ?? 0)
      return try tracer.concatenate(name(node), parts, at: axis)
    case "Softmax", "LogSoftmax": return try softmax(node)
    case "LRN", ONNXPatterns.localResponseNorm:
      let size = node.attributes["size"]?.integer ?? 0
      guard (1...4096).contains(size) else { throw TraceFault("a norm over \(size) channels") }
      let norm = Operation.localResponseNorm(
        size: size, alpha: node.attributes["alpha"]?.float ?? 1e-4,
        beta: node.attributes["beta"]?.float ?? 0.75, k: node.attributes["bias"]?.float ?? 1)
      return try tracer.apply(name(node), norm, tracer.settled(tracer.picture(feature(node))))
    case "Add", "Sub", "Mul", "Div": return try arithmetic(node)
    case "Slice", "Gather": return try part(node)
    case "Pad": return try pad(node)
    default: return try elementwise(node)
    }
  }

  private mutating func elementwise(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let label = name(node)
    switch node.operation {
    case "Relu": return try tracer.activate(label, feature(node), .relu)
    case "Sigmoid": return try tracer.activate(label, feature(node), .sigmoid)
    case "Tanh": return try tracer.activate(label, feature(node), .tanh)
    case "HardSwish": return try tracer.activate(label, feature(node), .hardSwish)
    case "Swish": return try tracer.activate(label, feature(node), .silu)
    case "HardSigmoid":
      return try tracer.hardSigmoid(
        label, feature(node), alpha: node.attributes["alpha"]?.float ?? 0.2,
        beta: node.attributes["beta"]?.float ?? 0.5)
    case "LeakyRelu":
      return try tracer.leakyRelu(label, feature(node), slope: node.attributes["alpha"]?.float ?? 0.01)
    case "Neg": return try tracer.scale(feature(node), by: [-1], plus: [0])
    case "Clip":
      let lowest = try optional(node, 1).map { $0.scalar ?? .nan } ?? node.attributes["min"]?.float ?? -.infinity
      let highest = try optional(node, 2).map { $0.scalar ?? .nan } ?? node.attributes["max"]?.float ?? .infinity
      return try tracer.clip(label, feature(node), lowest, highest)
    case "Max", "Min":
      guard node.inputs.count == 2 else { throw TraceFault("of \(node.inputs.count) operands") }
      let isFirst = if case .feature? = operand(node, 0) { true } else { false }
      guard let limit = try constant(node, isFirst ? 1 : 0).scalar else { throw TraceFault("against many limits") }
      let x = try feature(node, isFirst ? 0 : 1)
      return try node.operation == "Max"
        ? tracer.clip(label, x, limit, .infinity) : tracer.clip(label, x, -.infinity, limit)
    default: throw TraceFault("this operator is not known to Lookout")
    }
  }

  // MARK: Windows and products

  private func pair(_ node: ONNXModel.Node, _ name: String, _ otherwise: Int) throws(TraceFault) -> Extent2D {
    guard let numbers = node.attributes[name]?.integers, !numbers.isEmpty else { return Extent2D(otherwise) }
    guard numbers.count == 2, numbers.allSatisfy({ (1...4096).contains($0) }) else {
      throw TraceFault("'\(name)' is \(numbers); two extents from 1 to 4096 are wanted")
    }
    return Extent2D(h: numbers[0], w: numbers[1])
  }

  private func sliding(_ node: ONNXModel.Node, kernel: Extent2D? = nil) throws(TraceFault) -> NetworkTracer.Sliding {
    var sliding = NetworkTracer.Sliding(kernel: Extent2D(1))
    sliding.kernel = if let kernel { kernel } else { try pair(node, "kernel_shape", 1) }
    sliding.stride = try pair(node, "strides", 1)
    sliding.dilation = try pair(node, "dilations", 1)
    sliding.ceilMode = node.attributes["ceil_mode"]?.integer ?? 0 != 0
    switch node.attributes["auto_pad"]?.text ?? "NOTSET" {
    case "NOTSET", "":
      let pads = node.attributes["pads"]?.integers ?? []
      guard pads.isEmpty || pads.count == 4, pads.allSatisfy({ (0...4096).contains($0) }) else {
        throw TraceFault("'pads' is \(pads); four from 0 to 4096 are wanted")
      }
      if pads.count == 4 { sliding.padding = Edges(top: pads[0], left: pads[1], bottom: pads[2], right: pads[3]) }
    case "VALID": break
    case "SAME_UPPER": sliding.isSame = true
    case "SAME_LOWER":
      let shape = try feature(node).shape
      func edges(_ x: Int, _ kernel: Int, _ stride: Int, _ dilation: Int) -> (before: Int, after: Int) {
        let all = max(0, ((x + stride - 1) / stride - 1) * stride + dilation * (kernel - 1) + 1 - x)
        return (all - all / 2, all / 2)
      }
      let h = edges(shape.h, sliding.kernel.h, sliding.stride.h, sliding.dilation.h)
      let w = edges(shape.w, sliding.kernel.w, sliding.stride.w, sliding.dilation.w)
      sliding.padding = Edges(top: h.before, left: w.before, bottom: h.after, right: w.after)
    case let other: throw TraceFault("'auto_pad' is \(other)")
    }
    return sliding
  }

  private mutating func convolution(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let weight = try constant(node, 1)
    guard weight.extents.count == 4, weight.extents.allSatisfy({ (1...(1 << 20)).contains($0) }) else {
      throw TraceFault("its weight has the shape \(weight.extents); only convolutions over H and W are known")
    }
    let kernel = Extent2D(h: weight.extents[2], w: weight.extents[3])
    return try tracer.convolve(
      name(node, weight: 1), feature(node), weight: weight, bias: optional(node, 2), sliding(node, kernel: kernel),
      groups: node.attributes["group"]?.integer ?? 1)
  }

  private mutating func gemm(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    guard node.attributes["transA"]?.integer ?? 0 == 0 else { throw TraceFault("a transposed first operand") }
    return try tracer.linear(
      name(node, weight: 1), feature(node), weight: constant(node, 1),
      isTransposed: node.attributes["transB"]?.integer ?? 0 == 0, bias: spreadBias(node),
      alpha: node.attributes["alpha"]?.float ?? 1, beta: node.attributes["beta"]?.float ?? 1)
  }

  /// Gemm's third operand may be one number for all features.
  private func spreadBias(_ node: ONNXModel.Node) throws(TraceFault) -> ConstantTensor? {
    guard let bias = try optional(node, 2) else { return nil }
    let weight = try constant(node, 1)
    guard weight.extents.count == 2, bias.count == 1, let number = bias.scalar else { return bias }
    let count = weight.extents[node.attributes["transB"]?.integer ?? 0 == 0 ? 1 : 0]
    return ConstantTensor(extents: [count], floats: [Float](repeating: number, count: count))
  }

  private mutating func reduceMean(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let x = try feature(node)
    guard let axes = try integers(node, "axes", 1), !axes.isEmpty else { throw TraceFault("a mean over everything") }
    var places: [Int] = []
    for axis in axes { places.append(try place(axis, of: x.axes.count)) }
    return try tracer.mean(name(node), x, over: places, keepingAxes: node.attributes["keepdims"]?.integer ?? 1 != 0)
  }

  private mutating func softmax(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let x = try feature(node)
    let axis = try place(node.attributes["axis"]?.integer ?? (model.opset < 13 ? 1 : -1), of: x.axes.count)
    if node.operation == "LogSoftmax" {
      guard model.graph.outputs.contains(where: { node.outputs.contains($0.name) }) else {
        throw TraceFault("this operator is known only as the last one")
      }
      notes.append("the last LogSoftmax is left out: Lookout makes probabilities of scores itself")
      return x
    }
    return try tracer.softmax(name(node), x, at: axis, through: model.opset < 13 ? x.axes.count : axis + 1)
  }
}
