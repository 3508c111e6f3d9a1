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
    store("\(node).weight", weight.extents) { weight.floats() }
    if let bias { store("\(node).bias", [outChannels]) { bias.floats() } }
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
    let columns = Self.columns(order, y.shape)
    store("\(node).weight", [outFeatures, inFeatures]) {
      var weights = weight.floats()
      if isTransposed { weights = Self.transposed(weights, rows: inFeatures, columns: outFeatures) }
      if let columns { weights = Self.reordered(weights, rows: outFeatures, columns: columns) }
      return alpha == 1 ? weights : weights.map { $0 * alpha }
    }
    if let bias { store("\(node).bias", [outFeatures]) { beta == 1 ? bias.floats() : bias.floats().map { $0 * beta } } }
    var result = FeatureMap(node: node, shape: shape, axes: x.axes)
    result.axes[last] = [.c]
    return result
  }

  /// For each number in C, H, W order, its place in another order; nil if the orders are the same.
  private static func columns(_ order: [Axis], _ shape: Shape) -> [Int]? {
    let plain = [Axis.c, .h, .w].filter { order.contains($0) }
    guard order != plain else { return nil }
    var strides: [Axis: Int] = [:]
    var stride = 1
    for axis in order.reversed() {
      strides[axis] = stride
      stride *= axis == .c ? shape.c : axis == .h ? shape.h : shape.w
    }
    var columns: [Int] = []
    for c in 0..<shape.c {
      for h in 0..<shape.h {
        for w in 0..<shape.w {
          columns.append(c * (strides[.c] ?? 0) + h * (strides[.h] ?? 0) + w * (strides[.w] ?? 0))
        }
      }
    }
    return columns
  }

  private static func transposed(_ matrix: [Float], rows: Int, columns: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: matrix.count) { result, count in
      for row in 0..<rows {
        for column in 0..<columns { result[column * rows + row] = matrix[row * columns + column] }
      }
      count = matrix.count
    }
  }

  private static func reordered(_ matrix: [Float], rows: Int, columns: [Int]) -> [Float] {
    [Float](unsafeUninitializedCapacity: matrix.count) { result, count in
      for row in 0..<rows {
        for (place, column) in columns.enumerated() {
          result[row * columns.count + place] = matrix[row * columns.count + column]
        }
      }
      count = matrix.count
    }
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
    store("\(node).weight", [channels]) { weight?.floats() ?? [Float](repeating: 1, count: channels) }
    store("\(node).bias", [channels]) { bias?.floats() ?? [Float](repeating: 0, count: channels) }
    store("\(node).running_mean", [channels]) { mean.floats() }
    store("\(node).running_var", [channels]) { variance.floats() }
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
