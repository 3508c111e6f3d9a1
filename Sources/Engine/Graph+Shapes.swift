/// What follows from a graph alone: every node's shape, and the tensors it needs.
extension Graph {
  /// The shape of the input and of every node's output for one image, by name.
  ///
  /// - Throws: `EngineError.graph` at the first node that does not fit its inputs.
  package func shapes() throws(EngineError) -> [String: Shape] {
    var shapes: [String: Shape] = [inputName: inputShape]
    for node in nodes {
      var inputs: [Shape] = []
      for name in node.inputs {
        guard let shape = shapes[name] else {
          throw .graph(node: node.name, reason: "no earlier node is called '\(name)'")
        }
        inputs.append(shape)
      }
      guard shapes[node.name] == nil else { throw .graph(node: node.name, reason: "the name is taken") }
      let shape = try node.shape(of: inputs)
      let (plane, overflow) = shape.h.multipliedReportingOverflow(by: shape.w)
      guard !overflow, !plane.multipliedReportingOverflow(by: shape.c).overflow, plane * shape.c <= 1 << 30 else {
        throw .graph(node: node.name, reason: "an output of \(shape) is too large")
      }
      shapes[node.name] = shape
    }
    guard shapes[outputName] != nil else { throw .graph(node: outputName, reason: "the output is no node") }
    return shapes
  }

  /// The tensors that the nodes take, in the nodes' order, with their extents in PyTorch's order.
  ///
  /// - Throws: `EngineError.graph`, as `shapes()` does.
  package func requiredTensors() throws(EngineError) -> [(name: String, extents: [Int])] {
    let shapes = try shapes()
    var tensors: [(name: String, extents: [Int])] = []
    for node in nodes {
      switch node.operation {
      case .convolution(let c):
        let extents = [c.outChannels, c.inChannels / c.groups, c.kernel.h, c.kernel.w]
        tensors.append((node.name + ".weight", extents))
        if c.bias { tensors.append((node.name + ".bias", [c.outChannels])) }
      case .linear(let l):
        tensors.append((node.name + ".weight", [l.outFeatures, l.inFeatures]))
        if l.bias { tensors.append((node.name + ".bias", [l.outFeatures])) }
      case .batchNorm:
        let channels = shapes[node.name]?.c ?? 0
        for part in ["weight", "bias", "running_mean", "running_var"] {
          tensors.append(("\(node.name).\(part)", [channels]))
        }
      default: break
      }
    }
    return tensors
  }
}

extension Graph.Node {
  fileprivate func shape(of inputs: [Shape]) throws(EngineError) -> Shape {
    switch operation {
    case .add, .multiply: try expect(inputs.count == 2, "needs two inputs")
    case .concatenate: try expect(!inputs.isEmpty, "needs an input")
    default: try expect(inputs.count == 1, "needs one input")
    }
    let first = inputs[0]
    switch operation {
    case .convolution(let c):
      try expect(c.inChannels == first.c, "takes \(c.inChannels) channels, its input has \(first.c)")
      try expect(
        c.groups > 0 && c.inChannels.isMultiple(of: c.groups) && c.outChannels.isMultiple(of: c.groups),
        "\(c.groups) groups do not divide its channels")
      let (h, w) = try window(first, c.kernel, c.stride, c.padding, c.dilation, ceil: false)
      return Shape(c: c.outChannels, h: h, w: w)
    case .maxPool(let p), .averagePool(let p):
      let (h, w) = try window(first, p.kernel, p.stride, p.padding, p.dilation, ceil: p.ceilMode)
      return Shape(c: first.c, h: h, w: w)
    case .globalAveragePool: return Shape(c: first.c)
    case .adaptiveAveragePool(let height, let width): return Shape(c: first.c, h: height, w: width)
    case .linear(let l):
      try expect(
        l.inFeatures == first.countPerImage, "takes \(l.inFeatures) numbers, its input has \(first.countPerImage)")
      return Shape(c: l.outFeatures)
    case .add:
      try expect(first == inputs[1], "adds \(first) and \(inputs[1])")
      return first
    case .multiply:
      let isSpread = inputs[1].c == first.c && inputs[1].h == 1 && inputs[1].w == 1
      try expect(first == inputs[1] || isSpread, "multiplies \(first) by \(inputs[1])")
      return first
    case .concatenate:
      try expect(inputs.allSatisfy { $0.h == first.h && $0.w == first.w }, "joins pictures of different extents")
      return Shape(c: inputs.reduce(0) { $0 + $1.c }, h: first.h, w: first.w)
    case .flatten: return Shape(c: first.countPerImage)
    case .batchNorm, .activation, .softmax, .localResponseNorm, .dropout: return first
    }
  }

  private func expect(_ condition: Bool, _ reason: @autoclosure () -> String) throws(EngineError) {
    guard condition else { throw .graph(node: name, reason: reason()) }
  }

  private func window(
    _ input: Shape, _ kernel: Extent2D, _ stride: Extent2D, _ padding: Padding, _ dilation: Extent2D, ceil: Bool
  ) throws(EngineError) -> (h: Int, w: Int) {
    try expect(min(kernel.h, kernel.w, stride.h, stride.w, dilation.h, dilation.w) > 0, "has an extent of 0")
    guard case .explicit(let top, let left, let bottom, let right) = padding else {
      return ((input.h + stride.h - 1) / stride.h, (input.w + stride.w - 1) / stride.w)
    }
    let h = Graph.Node.slides(input.h, top, bottom, kernel.h, stride.h, dilation.h, ceil)
    let w = Graph.Node.slides(input.w, left, right, kernel.w, stride.w, dilation.w, ceil)
    try expect(h > 0 && w > 0, "its window is larger than its input \(input)")
    return (h, w)
  }

  /// PyTorch's count of window places along one axis; 0 or less if none fits.
  private static func slides(
    _ input: Int, _ before: Int, _ after: Int, _ kernel: Int, _ stride: Int, _ dilation: Int, _ ceil: Bool
  ) -> Int {
    let room = input + before + after - dilation * (kernel - 1) - 1
    guard room >= 0 else { return 0 }
    let places = (room + (ceil ? stride - 1 : 0)) / stride + 1
    return ceil && (places - 1) * stride >= input + before ? places - 1 : places
  }
}
