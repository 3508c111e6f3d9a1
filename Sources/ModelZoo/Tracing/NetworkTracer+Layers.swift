internal import Engine

/// The operations with weights or windows.
extension NetworkTracer {
  /// How a window is laid over a picture, before anything is known of the picture.
  struct Sliding {
    var kernel: Extent2D
    var stride = Extent2D(1)
    var dilation = Extent2D(1)
    var padding = Edges()
    /// TensorFlow's "SAME", the odd row or column behind the picture.
    var isSame = false
    var ceilMode = false

    func padding(with waiting: Edges) -> Padding {
      if isSame { return .same }
      let all = padding + waiting
      return .explicit(top: all.top, left: all.left, bottom: all.bottom, right: all.right)
    }
  }

  mutating func convolve(
    _ name: String, _ x: FeatureMap, weight: ConstantTensor, bias: ConstantTensor?, _ sliding: Sliding, groups: Int
  ) throws(TraceFault) -> FeatureMap {
    guard weight.extents.count == 4, weight.isFloat else {
      throw TraceFault("its weight has the shape \(weight.extents); only convolutions over H and W are known")
    }
    let outChannels = weight.extents[0]
    if let bias, bias.count != outChannels {
      throw TraceFault("its bias has \(bias.count) numbers, not \(outChannels)")
    }
    guard groups > 0, weight.extents[1] <= 1 << 20, groups <= 1 << 20 else { throw TraceFault("\(groups) groups") }
    let y = try settled(picture(x), keepingPadding: !sliding.isSame)
    var inner = y
    inner.shape.h -= y.padding.top + y.padding.bottom
    inner.shape.w -= y.padding.left + y.padding.right
    let convolution = Convolution(
      inChannels: weight.extents[1] * groups, outChannels: outChannels,
      kernel: Extent2D(h: weight.extents[2], w: weight.extents[3]), stride: sliding.stride,
      padding: sliding.padding(with: y.padding), dilation: sliding.dilation, groups: groups, bias: bias != nil)
    let (node, shape) = try emit(name, .convolution(convolution), [inner])
    store("\(node).weight", weight.extents, weight)
    if let bias { store("\(node).bias", [outChannels], bias) }
    return FeatureMap(node: node, shape: shape, axes: [[.n], [.c], [.h], [.w]])
  }

  /// `weight` has a row a feature that comes out, or with `isTransposed` a column; both are scaled as ONNX's Gemm does.
  mutating func linear(
    _ name: String, _ x: FeatureMap, weight: ConstantTensor, isTransposed: Bool, bias: ConstantTensor?,
    alpha: Float = 1, beta: Float = 1
  ) throws(TraceFault) -> FeatureMap {
    guard weight.extents.count == 2, weight.isFloat else {
      throw TraceFault("its weight has the shape \(weight.extents), not rows and columns")
    }
    let (outFeatures, inFeatures) =
      isTransposed ? (weight.extents[1], weight.extents[0]) : (weight.extents[0], weight.extents[1])
    guard let last = x.axes.indices.last, plainAxes(x).dropLast().joined().allSatisfy({ $0 == .n }) else {
      throw TraceFault("multiplies a matrix along one of several axes")
    }
    let y = try settled(x)
    let order = plainAxes(y)[last]
    guard y.shape.countPerImage == inFeatures, order.reduce(1, { $0 * y.extent($1, batch: batch) }) == inFeatures else {
      throw TraceFault("wants \(inFeatures) features, its input has \(y.shape.countPerImage)")
    }
    if let bias, bias.count != outFeatures {
      throw TraceFault("its bias has \(bias.count) numbers, not \(outFeatures)")
    }
    let linear = Linear(inFeatures: inFeatures, outFeatures: outFeatures, bias: bias != nil)
    let (node, shape) = try emit(name, .linear(linear), [y])
    let rows = isTransposed ? weight.transposed([1, 0]) : weight
    store("\(node).weight", [outFeatures, inFeatures], Self.reordered(rows, from: order, y.shape), times: alpha)
    if let bias { store("\(node).bias", [outFeatures], bias, times: beta) }
    var result = FeatureMap(node: node, shape: shape, axes: x.axes)
    result.axes[last] = [.c]
    return result
  }

  /// A linear layer's weights for features in the order C, H, W, out of those for another order.
  private static func reordered(_ weight: ConstantTensor, from order: [Axis], _ shape: Shape) -> ConstantTensor {
    let plain = [Axis.c, .h, .w].filter { order.contains($0) }
    guard order != plain else { return weight }
    let extents = order.map { $0 == .c ? shape.c : $0 == .h ? shape.h : shape.w }
    let places = plain.compactMap { order.firstIndex(of: $0) }
    return weight.reshaped([weight.extents[0]] + extents).transposed([0] + places.map { $0 + 1 })
  }

  mutating func batchNorm(
    _ name: String, _ x: FeatureMap, weight: ConstantTensor?, bias: ConstantTensor?, mean: ConstantTensor,
    variance: ConstantTensor, epsilon: Float
  ) throws(TraceFault) -> FeatureMap {
    let y = try settled(x.axes.count == 4 ? picture(x) : vector(x, at: min(1, x.axes.count - 1)))
    let channels = y.shape.c
    for part in [weight, bias, mean, variance] {
      if let part, part.count != channels {
        throw TraceFault("normalises \(part.count) channels, its input has \(channels)")
      }
    }
    let (node, _) = try emit(name, .batchNorm(epsilon: epsilon), [y])
    func numbers(_ part: ConstantTensor?, else number: Float) -> ConstantTensor {
      part ?? ConstantTensor(extents: [channels], floats: [Float](repeating: number, count: channels))
    }
    store("\(node).weight", [channels], numbers(weight, else: 1))
    store("\(node).bias", [channels], numbers(bias, else: 0))
    store("\(node).running_mean", [channels], mean)
    store("\(node).running_var", [channels], variance)
    return FeatureMap(node: node, shape: y.shape, axes: y.axes)
  }

  mutating func maxPool(_ name: String, _ x: FeatureMap, _ sliding: Sliding) throws(TraceFault) -> FeatureMap {
    var y = try settled(picture(x), keepingPadding: true)
    // Zeros around a picture without negative numbers change no maximum, and the engine's own padding never does.
    if !y.padding.isEmpty,
      sliding.isSame || sliding.ceilMode || !isNonNegative(y.node, depth: 8)
        || !fits(sliding.padding + y.padding, sliding.kernel)
    {
      y = try settled(y)
    }
    let pooling = Pooling(
      kernel: sliding.kernel, stride: sliding.stride, padding: sliding.padding(with: y.padding),
      dilation: sliding.dilation, ceilMode: sliding.ceilMode)
    return try apply(name, .maxPool(pooling), unpadded(y))
  }

  mutating func averagePool(
    _ name: String, _ x: FeatureMap, _ sliding: Sliding, countIncludePad: Bool
  ) throws(TraceFault) -> FeatureMap {
    guard sliding.dilation == Extent2D(1) else { throw TraceFault("a mean with dilation") }
    var y = try settled(picture(x), keepingPadding: true)
    if !y.padding.isEmpty,
      sliding.isSame || sliding.ceilMode || !(countIncludePad || sliding.padding.isEmpty)
        || !fits(sliding.padding + y.padding, sliding.kernel)
    {
      y = try settled(y)
    }
    let counts = countIncludePad || !y.padding.isEmpty
    if sliding.kernel == Extent2D(h: y.shape.h, w: y.shape.w), sliding.padding.isEmpty, y.padding.isEmpty,
      !sliding.isSame
    {
      return try apply(name, .globalAveragePool, y)
    }
    let pooling = Pooling(
      kernel: sliding.kernel, stride: sliding.stride, padding: sliding.padding(with: y.padding),
      ceilMode: sliding.ceilMode, countIncludePad: counts)
    return try apply(name, .averagePool(pooling), unpadded(y))
  }

  private func fits(_ edges: Edges, _ kernel: Extent2D) -> Bool {
    max(edges.top, edges.bottom) <= kernel.h / 2 && max(edges.left, edges.right) <= kernel.w / 2
  }

  private func unpadded(_ x: FeatureMap) -> FeatureMap {
    var y = x
    y.shape.h -= x.padding.top + x.padding.bottom
    y.shape.w -= x.padding.left + x.padding.right
    y.padding = Edges()
    return y
  }

  private func isNonNegative(_ name: String, depth: Int) -> Bool {
    switch operation(of: name) {
    case .activation(.relu), .activation(.relu6), .activation(.sigmoid), .activation(.hardSigmoid): true
    case .maxPool, .averagePool, .globalAveragePool, .dropout:
      depth > 0 && (source(of: name).map { $0.isPlain && isNonNegative($0.node, depth: depth - 1) } ?? false)
    default: false
    }
  }

  /// The mean over the owner's axes `places`, which must be all of H and W; kept as axes of 1 or dropped.
  mutating func mean(
    _ name: String, _ x: FeatureMap, over places: [Int], keepingAxes: Bool
  ) throws(TraceFault) -> FeatureMap {
    guard places.allSatisfy(x.axes.indices.contains) else { throw TraceFault("a mean over axes that are not there") }
    let axes = plainAxes(x)
    let taken = places.flatMap { axes[$0] }
    let wanted = [Axis.h, .w].filter { x.extent($0, batch: batch) > 1 }
    guard taken.count == wanted.count, wanted.allSatisfy(taken.contains) else {
      throw TraceFault("a mean over other axes than H and W")
    }
    var y = try settled(x)
    if !taken.isEmpty { y = try apply(name, .globalAveragePool, y) }
    for place in places { y.axes[place] = [] }
    if !keepingAxes { y.axes = y.axes.indices.filter { !places.contains($0) }.map { y.axes[$0] } }
    return y
  }
}
