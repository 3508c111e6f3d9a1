internal import Engine

/// The operations on each number by itself, and those that put values together.
extension NetworkTracer {
  mutating func activate(_ name: String, _ x: FeatureMap, _ activation: Activation) throws(TraceFault) -> FeatureMap {
    try apply(name, .activation(activation), settled(x))
  }

  /// x · scale + shift, with one number or one a channel each.
  mutating func scale(_ x: FeatureMap, by scale: [Float], plus shift: [Float]) throws(TraceFault) -> FeatureMap {
    let channels = x.shape.c
    func spread(_ numbers: [Float]) -> [Float] {
      numbers.count == channels ? numbers : [Float](repeating: numbers.first ?? 0, count: channels)
    }
    let (factors, summands) = (spread(scale), spread(shift))
    var y = x
    if !x.padding.isEmpty, summands.contains(where: { $0 != 0 }) { y = try settled(x) }
    var affine = (scale: factors, shift: summands)
    if let waiting = y.affine {
      for c in 0..<channels {
        affine.scale[c] = waiting.scale[c] * factors[c]
        affine.shift[c] = waiting.shift[c] * factors[c] + summands[c]
      }
    }
    y.affine = affine
    if y.selection == nil, y.padding.isEmpty, let sigmoid = try hardSigmoid(y, affine) { return sigmoid }
    let isIdentity = affine.scale.allSatisfy { ($0 - 1).magnitude < 1e-6 } && affine.shift.allSatisfy { $0 == 0 }
    if isIdentity { y.affine = nil }
    return y
  }

  /// relu6(x + 3) / 6 is one function of the engine.
  private mutating func hardSigmoid(
    _ y: FeatureMap, _ affine: (scale: [Float], shift: [Float])
  ) throws(TraceFault) -> FeatureMap? {
    guard affine.shift.allSatisfy({ $0 == 0 }), affine.scale.allSatisfy({ ($0 * 6 - 1).magnitude < 1e-5 }),
      let inner = shiftedByThree(under: y.node)
    else { return nil }
    var z = try apply("\(y.node).hard_sigmoid", .activation(.hardSigmoid), inner)
    z.axes = y.axes
    return z
  }

  /// x, if the node is relu6(x + 3).
  private func shiftedByThree(under name: String) -> FeatureMap? {
    guard case .activation(.relu6)? = operation(of: name), let sum = source(of: name),
      case .batchNorm(epsilon: 0)? = operation(of: sum.node), sum.isPlain, let inner = source(of: sum.node),
      tensors.entries["\(sum.node).weight"]?.floats().allSatisfy({ $0 == 1 }) ?? false,
      tensors.entries["\(sum.node).bias"]?.floats().allSatisfy({ $0 == 3 }) ?? false
    else { return nil }
    return inner
  }

  /// Limits every number; `lowest` and `highest` may be infinite.
  mutating func clip(_ name: String, _ x: FeatureMap, _ lowest: Float, _ highest: Float) throws(TraceFault)
    -> FeatureMap
  {
    guard lowest <= highest else { throw TraceFault("limits from \(lowest) to \(highest)") }
    let isOpenBelow = lowest <= -Float.greatestFiniteMagnitude
    let isOpenAbove = highest >= Float.greatestFiniteMagnitude
    if isOpenBelow {
      if isOpenAbove { return x }
      if x.isPlain, case .activation(.relu)? = operation(of: x.node), highest > 0, var inner = source(of: x.node) {
        inner.axes = x.axes
        return try clip(name, inner, 0, highest)
      }
      let turned = try activate(name, scale(x, by: [-1], plus: [highest]), .relu)
      return try scale(turned, by: [-1], plus: [highest])
    }
    if isOpenAbove {
      if lowest == 0 { return try activate(name, x, .relu) }
      return try scale(activate(name, scale(x, by: [1], plus: [-lowest]), .relu), by: [1], plus: [lowest])
    }
    if lowest == 0, highest == 6 { return try activate(name, x, .relu6) }
    guard highest > lowest else { throw TraceFault("limits from \(lowest) to \(highest)") }
    let factor = 6 / (highest - lowest)
    let limited = try activate(name, scale(x, by: [factor], plus: [-lowest * factor]), .relu6)
    return try scale(limited, by: [1 / factor], plus: [lowest])
  }

  /// min(1, max(0, alpha·x + beta)).
  mutating func hardSigmoid(
    _ name: String, _ x: FeatureMap, alpha: Float, beta: Float
  ) throws(TraceFault) -> FeatureMap {
    if (alpha * 6 - 1).magnitude < 1e-5, beta == 0.5 { return try activate(name, x, .hardSigmoid) }
    return try clip(name, scale(x, by: [alpha], plus: [beta]), 0, 1)
  }

  /// x for positive numbers, slope·x for negative ones.
  mutating func leakyRelu(_ name: String, _ x: FeatureMap, slope: Float) throws(TraceFault) -> FeatureMap {
    let plain = try settled(x)
    let positive = try activate(name, plain, .relu)
    let negative = try activate("\(name).negative", scale(plain, by: [-1], plus: [0]), .relu)
    return try add(name, positive, scale(negative, by: [-slope], plus: [0]))
  }

  // MARK: Two values

  private func sameOrder(_ a: FeatureMap, _ b: FeatureMap) -> Bool {
    let (x, y) = (plainAxes(a).joined(), plainAxes(b).joined())
    let shorter = x.filter { y.contains($0) }
    return shorter == y.filter { x.contains($0) }
  }

  mutating func add(_ name: String, _ a: FeatureMap, _ b: FeatureMap) throws(TraceFault) -> FeatureMap {
    let (x, y) = (try settled(a), try settled(b))
    guard x.shape == y.shape, sameOrder(x, y) else { throw TraceFault("adds \(x.shape) and \(y.shape)") }
    let (node, shape) = try emit(name, .add, [x, y])
    return FeatureMap(node: node, shape: shape, axes: wider(x, y).axes)
  }

  mutating func multiply(_ name: String, _ a: FeatureMap, _ b: FeatureMap) throws(TraceFault) -> FeatureMap {
    for (x, gate) in [(a, b), (b, a)] where gate.isPlain {
      if let product = try gated(name, x, by: gate) { return product }
    }
    let (x, y) = (try settled(a), try settled(b))
    let isSpread = x.shape != y.shape
    let (wide, narrow) = isSpread && x.shape.h * x.shape.w == 1 ? (y, x) : (x, y)
    guard wide.shape.c == narrow.shape.c, !isSpread || narrow.shape.h * narrow.shape.w == 1, sameOrder(wide, narrow)
    else { throw TraceFault("multiplies \(x.shape) by \(y.shape)") }
    let (node, shape) = try emit(name, .multiply, [wide, narrow])
    return FeatureMap(node: node, shape: shape, axes: wider(wide, narrow).axes)
  }

  /// x · sigmoid(x), x · relu6(x + 3) / 6 and x · relu6(x + 3), if that is what the product is.
  private mutating func gated(_ name: String, _ x: FeatureMap, by gate: FeatureMap) throws(TraceFault) -> FeatureMap? {
    func isOfX(_ inner: FeatureMap) -> Bool { inner.node == x.node && inner.isPlain && x.isPlain }
    switch operation(of: gate.node) {
    case .activation(.sigmoid)?:
      guard let inner = source(of: gate.node), isOfX(inner) else { return nil }
      return try apply(name, .activation(.silu), x)
    case .activation(.hardSigmoid)?:
      guard let inner = source(of: gate.node), isOfX(inner) else { return nil }
      return try apply(name, .activation(.hardSwish), x)
    case .activation(.relu6)?:
      guard let inner = shiftedByThree(under: gate.node), isOfX(inner) else { return nil }
      return try scale(apply(name, .activation(.hardSwish), x), by: [6], plus: [0])
    default: return nil
    }
  }

  /// The one that has more axes.
  private func wider(_ a: FeatureMap, _ b: FeatureMap) -> FeatureMap { a.axes.count >= b.axes.count ? a : b }

  mutating func concatenate(_ name: String, _ values: [FeatureMap], at place: Int) throws(TraceFault) -> FeatureMap {
    guard let first = values.first, first.axes.indices.contains(place) else { throw TraceFault("joins nothing") }
    let others = plainAxes(first).enumerated().filter { $0.offset != place }.map(\.element)
    for value in values {
      let axes = plainAxes(value)
      guard axes.count == first.axes.count, axes[place].isEmpty || axes[place] == [.c],
        axes.enumerated().filter({ $0.offset != place }).map(\.element) == others, !others.joined().contains(.c),
        value.shape.h == first.shape.h, value.shape.w == first.shape.w
      else { throw TraceFault("joins along another axis than C") }
    }
    var axes = first.axes
    axes[place] = [.c]
    if let view = joinedView(values) {
      var joined = view
      try NetworkTracer.bounded(joined.shape)
      joined.axes = axes
      return joined
    }
    var parts: [FeatureMap] = []
    for value in values { parts.append(try settled(value)) }
    if parts.count == 1 { return parts[0] }
    let (node, shape) = try emit(name, .concatenate, parts)
    return FeatureMap(node: node, shape: shape, axes: axes)
  }

  /// Channels of one node, each scaled and shifted, are that node scaled and shifted.
  private func joinedView(_ values: [FeatureMap]) -> FeatureMap? {
    guard let node = values.first?.node, values.count > 1,
      values.allSatisfy({ $0.node == node && $0.selection != nil && $0.padding.isEmpty })
    else { return nil }
    var view = values[0]
    let selection = values.flatMap { $0.selection ?? [] }
    view.shape.c = selection.count
    view.affine = (
      values.flatMap { $0.affine?.scale ?? [Float](repeating: 1, count: $0.shape.c) },
      values.flatMap { $0.affine?.shift ?? [Float](repeating: 0, count: $0.shape.c) }
    )
    let isWhole = selection == Array(0..<channels(of: node))
    view.selection = isWhole ? nil : selection
    return view
  }

  /// The channels with these numbers, in this order.
  mutating func select(_ x: FeatureMap, channels numbers: [Int]) throws(TraceFault) -> FeatureMap {
    guard !numbers.isEmpty, numbers.count <= 1 << 20, numbers.allSatisfy({ (0..<x.shape.c).contains($0) }) else {
      throw TraceFault("takes channels that are not there")
    }
    guard numbers != Array(0..<x.shape.c) else { return x }
    var y = x
    y.shape.c = numbers.count
    y.selection = numbers.map { x.selection?[$0] ?? $0 }
    if let affine = x.affine { y.affine = (numbers.map { affine.scale[$0] }, numbers.map { affine.shift[$0] }) }
    return y
  }

  /// A border of one number on each of the owner's axes; on H and W it waits for the window that comes.
  mutating func pad(
    _ x: FeatureMap, _ pads: [(before: Int, after: Int)], with value: Float = 0
  ) throws(TraceFault) -> FeatureMap {
    if pads.allSatisfy({ $0.before == 0 && $0.after == 0 }) { return x }
    // A border of another number than 0 is a border of zeros around everything lowered by it.
    if value != 0 {
      guard value.isFinite else { throw TraceFault("pads with \(value)") }
      let lowered = try scale(x, by: [1], plus: [-value])
      return try scale(pad(lowered, pads), by: [1], plus: [value])
    }
    var y = x
    for (place, pad) in pads.enumerated() where pad.before != 0 || pad.after != 0 {
      let axes = x.axes[place]
      guard axes.count == 1, pad.before >= 0, pad.after >= 0 else { throw TraceFault("pads a joined axis, or cuts") }
      switch axes[0] {
      case .n: throw TraceFault("adds pictures")
      case .c: y = try padChannels(y, before: pad.before, after: pad.after)
      case .h:
        y = try settled(y, keepingPadding: true)
        y.padding.top += pad.before
        y.padding.bottom += pad.after
        y.shape.h += pad.before + pad.after
        try NetworkTracer.bounded(y.shape)
      case .w:
        y = try settled(y, keepingPadding: true)
        y.padding.left += pad.before
        y.padding.right += pad.after
        y.shape.w += pad.before + pad.after
        try NetworkTracer.bounded(y.shape)
      }
    }
    return y
  }

  /// Zeros before and behind the channels; with a pending subsampling it is the shortcut of the CIFAR ResNets.
  mutating func padChannels(_ x: FeatureMap, before: Int, after: Int) throws(TraceFault) -> FeatureMap {
    guard before >= 0, after >= 0 else { throw TraceFault("cuts channels away by padding") }
    var y = try settled(picture(x))
    var stride = Extent2D(1)
    if case .maxPool(let pooling)? = operation(of: y.node), pooling.kernel == Extent2D(1),
      pooling.padding == .symmetric(0), let whole = source(of: y.node)
    {
      stride = pooling.stride
      y = whole
      y.axes = x.axes
    }
    let channels = y.shape.c
    let outChannels = before + channels + after
    guard outChannels <= 1 << 20 else { throw TraceFault("\(outChannels) channels") }
    let convolution = Convolution(
      inChannels: channels, outChannels: outChannels, kernel: Extent2D(1), stride: stride, bias: false)
    let suffix = before == after ? Graph.constantSuffix : Graph.selectionSuffix
    let (node, shape) = try emit(y.node, .convolution(convolution), [y], suffix: suffix)
    store("\(node).weight", [outChannels, channels, 1, 1]) { rows in
      var weights = [Float](repeating: 0, count: rows.count * channels)
      for row in rows.clamped(to: before..<(before + channels)) {
        weights[(row - rows.lowerBound) * channels + row - before] = 1
      }
      return weights
    }
    return FeatureMap(node: node, shape: shape, axes: x.axes)
  }

  /// Every so many rows and columns, from the first.
  mutating func subsample(_ name: String, _ x: FeatureMap, _ stride: Extent2D) throws(TraceFault) -> FeatureMap {
    guard stride != Extent2D(1) else { return x }
    return try apply(name, .maxPool(Pooling(kernel: Extent2D(1), stride: stride)), settled(picture(x)))
  }

  /// Softmax over the owner's axes from `place` to `end`.
  mutating func softmax(_ name: String, _ x: FeatureMap, at place: Int, through end: Int) throws(TraceFault)
    -> FeatureMap
  {
    var y = x
    if end > place + 1 {
      y.axes = Array(x.axes[..<place]) + [Array(x.axes[place..<end].joined())] + Array(x.axes[end...])
    }
    return try apply(name, .softmax, settled(vector(y, at: place)))
  }
}
