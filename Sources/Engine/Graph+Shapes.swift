extension Graph {
  /// The largest count of numbers a single tensor may have; more is taken for a damaged or hostile graph.
  private static let countLimit = 1 << 31

  /// The shape of every value by name, with N = 1.
  ///
  /// - Throws: `EngineError.graph` naming the first node that contradicts its inputs.
  package func shapes() throws(EngineError) -> [String: Shape] {
    guard inputShape.n == 1 else {
      throw .graph(node: inputName, reason: "N is \(inputShape.n), a graph describes one image")
    }
    var shapes = [inputName: try Self.bounded(inputShape, inputName)]
    for node in nodes {
      var inputs: [Shape] = []
      for name in node.inputs {
        guard let shape = shapes[name] else {
          throw .graph(node: node.name, reason: "its input \(name) is no earlier node")
        }
        inputs.append(shape)
      }
      guard shapes[node.name] == nil else { throw .graph(node: node.name, reason: "the name stands twice") }
      shapes[node.name] = try Self.bounded(try Self.shape(of: node, inputs), node.name)
    }
    guard shapes[outputName] != nil else { throw .graph(node: outputName, reason: "the output is no node") }
    return shapes
  }

  /// Names and extents, in PyTorch's order, of every tensor that the nodes need.
  package func requiredTensors() throws(EngineError) -> [(name: String, extents: [Int])] {
    let shapes = try shapes()
    var tensors: [(name: String, extents: [Int])] = []
    for node in nodes {
      switch node.operation {
      case .convolution(let c):
        tensors.append(
          ("\(node.name).weight", [c.outChannels, c.inChannels / c.groups, c.kernel.h, c.kernel.w]))
        if c.bias { tensors.append(("\(node.name).bias", [c.outChannels])) }
      case .linear(let l):
        tensors.append(("\(node.name).weight", [l.outFeatures, l.inFeatures]))
        if l.bias { tensors.append(("\(node.name).bias", [l.outFeatures])) }
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

  private static func bounded(_ shape: Shape, _ node: String) throws(EngineError) -> Shape {
    var count = 1
    for extent in [shape.n, shape.c, shape.h, shape.w] {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent > 0, !overflow, product <= countLimit else {
        throw .graph(node: node, reason: "a shape of \(shape) is empty or too large")
      }
      count = product
    }
    return shape
  }

  private static func shape(of node: Node, _ inputs: [Shape]) throws(EngineError) -> Shape {
    func fault(_ reason: String) -> EngineError { .graph(node: node.name, reason: reason) }
    let wanted: ClosedRange<Int> =
      switch node.operation {
      case .add, .multiply: 2...2
      case .concatenate: 1...4096
      default: 1...1
      }
    guard wanted.contains(inputs.count) else { throw fault("\(inputs.count) inputs, wanted \(wanted)") }
    let x = inputs[0]
    switch node.operation {
    case .convolution(let c):
      guard c.groups > 0, c.inChannels == x.c, c.inChannels % c.groups == 0, c.outChannels > 0,
        c.outChannels % c.groups == 0
      else {
        throw fault("\(c.inChannels)→\(c.outChannels) channels in \(c.groups) groups do not fit an input of \(x)")
      }
      let window = Window(kernel: c.kernel, stride: c.stride, padding: c.padding, dilation: c.dilation, ceilMode: false)
      guard let out = window.output(of: x) else { throw fault("its window does not fit an input of \(x)") }
      return Shape(c: c.outChannels, h: out.h, w: out.w)
    case .maxPool(let p), .averagePool(let p):
      if case .averagePool = node.operation, p.dilation != Extent2D(1) { throw fault("a mean has no dilation") }
      let window = Window(
        kernel: p.kernel, stride: p.stride, padding: p.padding, dilation: p.dilation, ceilMode: p.ceilMode)
      guard let out = window.output(of: x) else { throw fault("its window does not fit an input of \(x)") }
      let pad = window.edges(for: x)
      guard max(pad.top, pad.bottom) <= p.kernel.h / 2, max(pad.left, pad.right) <= p.kernel.w / 2 else {
        throw fault("its padding is more than half the kernel")
      }
      return Shape(c: x.c, h: out.h, w: out.w)
    case .globalAveragePool: return Shape(c: x.c)
    case .adaptiveAveragePool(let height, let width): return Shape(c: x.c, h: height, w: width)
    case .linear(let l):
      guard l.inFeatures == x.countPerImage, l.outFeatures > 0 else {
        throw fault("\(l.inFeatures) features wanted, an input of \(x) has \(x.countPerImage)")
      }
      return Shape(c: l.outFeatures)
    case .add:
      guard inputs[1] == x else { throw fault("adds \(x) and \(inputs[1])") }
      return x
    case .multiply:
      guard inputs[1] == x || inputs[1] == Shape(c: x.c) else { throw fault("multiplies \(x) by \(inputs[1])") }
      return x
    case .concatenate:
      guard inputs.allSatisfy({ $0.h == x.h && $0.w == x.w }) else {
        throw fault("joins pictures of different extents")
      }
      return Shape(c: inputs.reduce(0) { $0 + $1.c }, h: x.h, w: x.w)
    case .flatten: return Shape(c: x.countPerImage)
    case .localResponseNorm(let size, _, _, _):
      guard size > 0 else { throw fault("a size of \(size)") }
      return x
    case .batchNorm, .activation, .softmax, .dropout: return x
    }
  }
}

/// A sliding window and what padding means for a given input; the arithmetic of PyTorch's convolution and pooling.
struct Window: Equatable, Sendable {
  var kernel: Extent2D
  var stride: Extent2D
  var padding: Padding
  var dilation: Extent2D
  var ceilMode: Bool

  private static let limit = 1 << 16

  /// The output's extents, or nil if the window is senseless or larger than the padded input.
  func output(of x: Shape) -> Extent2D? {
    let sane = [kernel.h, kernel.w, stride.h, stride.w, dilation.h, dilation.w].allSatisfy {
      (1...Self.limit).contains($0)
    }
    guard sane else { return nil }
    let pad = edges(for: x)
    guard [pad.top, pad.left, pad.bottom, pad.right].allSatisfy({ (0...Self.limit).contains($0) }) else { return nil }
    guard let h = extent(x.h, pad.top, pad.bottom, kernel.h, stride.h, dilation.h),
      let w = extent(x.w, pad.left, pad.right, kernel.w, stride.w, dilation.w)
    else { return nil }
    return Extent2D(h: h, w: w)
  }

  /// ⌊(x + before + after − dilation·(kernel − 1) − 1) / stride⌋ + 1; in ceil mode rounded up, but no window may start
  /// in the padding behind the picture.
  private func extent(_ x: Int, _ before: Int, _ after: Int, _ kernel: Int, _ stride: Int, _ dilation: Int) -> Int? {
    let span = x + before + after - dilation * (kernel - 1) - 1
    guard span >= 0 else { return nil }
    var count = (span + (ceilMode ? stride - 1 : 0)) / stride + 1
    if ceilMode, (count - 1) * stride >= x + before { count -= 1 }
    return count
  }

  /// The rows and columns that are added on each side.
  func edges(for x: Shape) -> (top: Int, left: Int, bottom: Int, right: Int) {
    switch padding {
    case .explicit(let top, let left, let bottom, let right): return (top, left, bottom, right)
    case .same:
      func total(_ x: Int, _ kernel: Int, _ stride: Int, _ dilation: Int) -> Int {
        max(0, ((x + stride - 1) / stride - 1) * stride + dilation * (kernel - 1) + 1 - x)
      }
      let h = total(x.h, kernel.h, stride.h, dilation.h)
      let w = total(x.w, kernel.w, stride.w, dilation.w)
      return (h / 2, w / 2, h - h / 2, w - w / 2)
    }
  }
}
