internal import Engine

/// The operands of one of PyTorch's operators, by place or by name.
struct ScriptOperands {
  let values: [ScriptInterpreter.Value]
  let named: [String: ScriptInterpreter.Value]

  subscript(place: Int, name: String) -> ScriptInterpreter.Value? {
    values.indices.contains(place) ? values[place] : named[name]
  }

  func feature(_ place: Int) throws(TraceFault) -> FeatureMap {
    guard values.indices.contains(place), case .feature(let feature) = values[place] else {
      throw TraceFault("operand \(place + 1) does not depend on the picture")
    }
    return feature
  }

  func tensor(_ place: Int, _ name: String) throws(TraceFault) -> ConstantTensor {
    guard case .tensor(let tensor)? = self[place, name] else {
      throw TraceFault("operand '\(name)' must be a constant tensor")
    }
    return tensor
  }

  func optionalTensor(_ place: Int, _ name: String) throws(TraceFault) -> ConstantTensor? {
    switch self[place, name] {
    case nil, .none?: return nil
    default: return try tensor(place, name)
    }
  }

  func number(_ place: Int, _ name: String, _ standard: Double) -> Double {
    self[place, name].flatMap { ScriptInterpreter.number($0) } ?? standard
  }

  func integer(_ place: Int, _ name: String, _ standard: Int) -> Int {
    if case .integer(let number)? = self[place, name] { return number }
    return standard
  }

  func flag(_ place: Int, _ name: String, _ standard: Bool) -> Bool {
    if case .bool(let flag)? = self[place, name] { return flag }
    return standard
  }

  func integers(_ place: Int, _ name: String) throws(TraceFault) -> [Int]? {
    switch self[place, name] {
    case .list(let list)?:
      var numbers: [Int] = []
      for element in list {
        guard let number = ScriptInterpreter.number(element), let whole = Int(exactly: number) else {
          throw TraceFault("'\(name)' is no list of whole numbers")
        }
        numbers.append(whole)
      }
      return numbers
    case .integer(let number)?: return [number]
    default: return nil
    }
  }

  /// Two extents; one number stands for both.
  func pair(_ place: Int, _ name: String, _ standard: Extent2D) throws(TraceFault) -> Extent2D {
    guard let numbers = try integers(place, name), !numbers.isEmpty else { return standard }
    guard numbers.count <= 2, numbers.allSatisfy({ (0...4096).contains($0) }) else {
      throw TraceFault("'\(name)' is \(numbers); two extents are wanted")
    }
    return Extent2D(h: numbers[0], w: numbers[numbers.count - 1])
  }
}

/// What PyTorch's operators are in the graph.
extension ScriptInterpreter {
  private static let activations: [String: Activation] = [
    "relu": .relu, "relu6": .relu6, "silu": .silu, "hardswish": .hardSwish, "hardsigmoid": .hardSigmoid,
    "sigmoid": .sigmoid, "tanh": .tanh,
  ]

  /// Nil if no operator is called so.
  mutating func follow(_ name: String, _ o: ScriptOperands) throws(TraceFault) -> Value? {
    let label = place.isEmpty ? name : place
    if let activation = Self.activations[name] { return .feature(try tracer.activate(label, o.feature(0), activation)) }
    if let result = try layer(name, label, o) { return .feature(result) }
    if let result = try view(name, label, o) { return .feature(result) }
    return try arithmetic(name, label, o)
  }

  private mutating func layer(_ name: String, _ label: String, _ o: ScriptOperands) throws(TraceFault) -> FeatureMap? {
    let one = Extent2D(1)
    switch name {
    case "conv2d", "_convolution", "convolution":
      let isLong = name != "conv2d"
      if isLong, o.flag(6, "transposed", false) { throw TraceFault("a transposed convolution") }
      var sliding = NetworkTracer.Sliding(kernel: one)
      sliding.stride = try o.pair(3, "stride", one)
      if case .string(let text)? = o[4, "padding"] {
        guard text == "valid" || text == "same" else { throw TraceFault("padding '\(text)'") }
        sliding.isSame = text == "same"
      } else {
        let pad = try o.pair(4, "padding", Extent2D(0))
        sliding.padding = Edges(top: pad.h, left: pad.w, bottom: pad.h, right: pad.w)
      }
      sliding.dilation = try o.pair(5, "dilation", one)
      return try tracer.convolve(
        label, o.feature(0), weight: o.tensor(1, "weight"), bias: o.optionalTensor(2, "bias"), sliding,
        groups: o.integer(isLong ? 8 : 6, "groups", 1))
    case "linear":
      return try tracer.linear(
        label, o.feature(0), weight: o.tensor(1, "weight"), isTransposed: false, bias: o.optionalTensor(2, "bias"))
    case "addmm":
      return try tracer.linear(
        label, o.feature(1), weight: o.tensor(2, "mat2"), isTransposed: true, bias: o.tensor(0, "self"))
    case "matmul":
      return try tracer.linear(label, o.feature(0), weight: o.tensor(1, "other"), isTransposed: true, bias: nil)
    case "batch_norm":
      if o.flag(5, "training", false) { throw TraceFault("a batch norm that trains: call model.eval() before saving") }
      return try tracer.batchNorm(
        label, o.feature(0), weight: o.optionalTensor(1, "weight"), bias: o.optionalTensor(2, "bias"),
        mean: o.tensor(3, "running_mean"), variance: o.tensor(4, "running_var"),
        epsilon: Float(o.number(7, "eps", 1e-5)))
    case "max_pool2d":
      return try tracer.maxPool(label, o.feature(0), sliding(o, dilation: 4, ceiling: 5))
    case "avg_pool2d":
      if case .integer? = o[6, "divisor_override"] { throw TraceFault("a mean with a divisor of its own") }
      return try tracer.averagePool(
        label, o.feature(0), sliding(o, dilation: nil, ceiling: 4),
        countIncludePad: o.flag(5, "count_include_pad", true))
    case "adaptive_avg_pool2d":
      let size = try o.pair(1, "output_size", one)
      let x = try tracer.settled(tracer.picture(o.feature(0)))
      return size == one
        ? try tracer.mean(label, x, over: [2, 3], keepingAxes: true)
        : try tracer.apply(label, .adaptiveAveragePool(height: size.h, width: size.w), x)
    case "mean":
      guard let axes = try o.integers(1, "dim") else { throw TraceFault("a mean over everything") }
      let x = try o.feature(0)
      return try tracer.mean(
        label, x, over: axes.map { $0 < 0 ? $0 + x.axes.count : $0 }, keepingAxes: o.flag(2, "keepdim", false))
    case "softmax":
      let x = try o.feature(0)
      let axis = o.integer(1, "dim", -1)
      let place = axis < 0 ? axis + x.axes.count : axis
      guard x.axes.indices.contains(place) else { throw TraceFault("an axis \(axis)") }
      return try tracer.softmax(label, x, at: place, through: place + 1)
    case "log_softmax":
      notes.append("the LogSoftmax is left out: Lookout makes probabilities of scores itself")
      return try o.feature(0)
    default: return nil
    }
  }

  private func sliding(
    _ o: ScriptOperands, dilation: Int?, ceiling: Int
  ) throws(TraceFault) -> NetworkTracer.Sliding {
    let one = Extent2D(1)
    var sliding = NetworkTracer.Sliding(kernel: try o.pair(1, "kernel_size", one))
    sliding.stride = try o.pair(2, "stride", sliding.kernel)
    let pad = try o.pair(3, "padding", Extent2D(0))
    sliding.padding = Edges(top: pad.h, left: pad.w, bottom: pad.h, right: pad.w)
    if let dilation { sliding.dilation = try o.pair(dilation, "dilation", one) }
    sliding.ceilMode = o.flag(ceiling, "ceil_mode", false)
    return sliding
  }

  private mutating func view(_ name: String, _ label: String, _ o: ScriptOperands) throws(TraceFault) -> FeatureMap? {
    switch name {
    case "dropout", "feature_dropout", "dropout2d", "contiguous", "detach", "clone", "to", "alias", "stochastic_depth":
      return try o.feature(0)
    case "flatten":
      let x = try o.feature(0)
      let extents = x.extents(batch: tracer.batch)
      let (start, end) = (o.integer(1, "start_dim", 0), o.integer(2, "end_dim", -1))
      let (first, last) = (start < 0 ? start + extents.count : start, end < 0 ? end + extents.count : end)
      guard extents.indices.contains(first), extents.indices.contains(last), first <= last else {
        throw TraceFault("flattens axes that are not there")
      }
      return try tracer.reshaped(
        x, to: Array(extents[..<first]) + [extents[first...last].reduce(1, *)] + Array(extents[(last + 1)...]))
    case "view", "reshape":
      let x = try o.feature(0)
      guard let target = try o.integers(1, "shape") else { throw TraceFault("a shape that is not known") }
      return try tracer.reshaped(
        x, to: ONNXImporter.shape(target, of: x.extents(batch: tracer.batch), zeroCopies: false))
    case "permute":
      guard let order = try o.integers(1, "dims") else { throw TraceFault("an order that is not known") }
      let x = try o.feature(0)
      return try tracer.transposed(x, order.map { $0 < 0 ? $0 + x.axes.count : $0 })
    case "unsqueeze":
      let x = try o.feature(0)
      var extents = x.extents(batch: tracer.batch)
      let axis = o.integer(1, "dim", 0)
      let place = axis < 0 ? axis + extents.count + 1 : axis
      guard (0...extents.count).contains(place) else { throw TraceFault("an axis \(axis)") }
      extents.insert(1, at: place)
      return try tracer.reshaped(x, to: extents)
    case "squeeze":
      let x = try o.feature(0)
      var extents = x.extents(batch: tracer.batch)
      let axis = o.integer(1, "dim", 0)
      let place = axis < 0 ? axis + extents.count : axis
      guard extents.indices.contains(place), extents[place] == 1 else {
        throw TraceFault("squeezes an axis of more than 1")
      }
      extents.remove(at: place)
      return try tracer.reshaped(x, to: extents)
    case "cat", "concat":
      guard case .list(let list)? = o[0, "tensors"] else { throw TraceFault("joins no list") }
      let parts = ScriptOperands(values: list, named: [:])
      var values: [FeatureMap] = []
      for place in list.indices { values.append(try parts.feature(place)) }
      let axis = o.integer(1, "dim", 0)
      return try tracer.concatenate(label, values, at: axis < 0 ? axis + (values.first?.axes.count ?? 0) : axis)
    case "select", "slice": return try part(name, label, o)
    case "pad", "constant_pad_nd": return try pad(o)
    default: return nil
    }
  }

  private mutating func part(_ name: String, _ label: String, _ o: ScriptOperands) throws(TraceFault) -> FeatureMap {
    let x = try o.feature(0)
    let extents = x.extents(batch: tracer.batch)
    let axis = o.integer(1, "dim", 0)
    let place = axis < 0 ? axis + extents.count : axis
    guard extents.indices.contains(place) else { throw TraceFault("an axis \(axis) of \(extents.count)") }
    let kinds = tracer.plainAxes(x)[place]
    if name == "select" {
      let index = o.integer(2, "index", 0)
      guard kinds == [.c] || kinds.isEmpty else { throw TraceFault("takes a part of another axis than C") }
      var y = kinds.isEmpty ? x : try tracer.select(x, channels: [index < 0 ? index + extents[place] : index])
      y.axes.remove(at: place)
      return y
    }
    let step = o.integer(4, "step", 1)
    let numbers = try ONNXImporter.slice(extents[place], o.integer(2, "start", 0), o.integer(3, "end", Int.max), step)
    if numbers == Array(0..<extents[place]) { return x }
    if kinds == [.c] { return try tracer.select(x, channels: numbers) }
    guard numbers.first == 0, step > 0, kinds == [.h] || kinds == [.w],
      extents[place] - (numbers.last ?? 0) <= step
    else { throw TraceFault("takes a part of a picture") }
    return try tracer.subsample(label, x, kinds == [.h] ? Extent2D(h: step, w: 1) : Extent2D(h: 1, w: step))
  }

  private mutating func pad(_ o: ScriptOperands) throws(TraceFault) -> FeatureMap {
    let x = try o.feature(0)
    if case .string(let mode)? = o[2, "mode"], mode != "constant" { throw TraceFault("pads by '\(mode)'") }
    guard o.number(3, "value", 0) == 0, o.number(2, "value", 0) == 0 else {
      throw TraceFault("pads with another number than 0")
    }
    guard let pads = try o.integers(1, "pad"), pads.count.isMultiple(of: 2), pads.count / 2 <= x.axes.count,
      pads.allSatisfy({ (-4096...4096).contains($0) })
    else { throw TraceFault("pads that are not known") }
    // From the last axis to the first.
    var spread = [(before: Int, after: Int)](repeating: (0, 0), count: x.axes.count)
    for index in 0..<(pads.count / 2) { spread[x.axes.count - 1 - index] = (pads[2 * index], pads[2 * index + 1]) }
    return try tracer.pad(x, spread)
  }

  private mutating func arithmetic(_ name: String, _ label: String, _ o: ScriptOperands) throws(TraceFault) -> Value? {
    func scalar(_ place: Int) -> Float? {
      o.values.indices.contains(place) ? ScriptInterpreter.number(o.values[place]).map { Float($0) } : nil
    }
    switch name {
    case "add", "sub":
      let sign: Float = name == "sub" ? -1 : 1
      guard o.number(2, "alpha", 1) == 1 else { throw TraceFault("a sum with a factor") }
      if let number = scalar(1) { return .feature(try tracer.scale(o.feature(0), by: [1], plus: [sign * number])) }
      if let number = scalar(0) { return .feature(try tracer.scale(o.feature(1), by: [sign], plus: [number])) }
      let second = try o.feature(1)
      return .feature(
        try tracer.add(label, o.feature(0), sign < 0 ? tracer.scale(second, by: [-1], plus: [0]) : second))
    case "mul":
      if let number = scalar(1) { return .feature(try tracer.scale(o.feature(0), by: [number], plus: [0])) }
      if let number = scalar(0) { return .feature(try tracer.scale(o.feature(1), by: [number], plus: [0])) }
      return .feature(try tracer.multiply(label, o.feature(0), o.feature(1)))
    case "div":
      guard let number = scalar(1), number != 0 else { throw TraceFault("divides by what is no number") }
      return .feature(try tracer.scale(o.feature(0), by: [1 / number], plus: [0]))
    case "hardtanh":
      return .feature(
        try tracer.clip(label, o.feature(0), Float(o.number(1, "min_val", -1)), Float(o.number(2, "max_val", 1))))
    case "clamp":
      return .feature(
        try tracer.clip(
          label, o.feature(0), Float(o.number(1, "min", -.infinity)), Float(o.number(2, "max", .infinity))))
    case "leaky_relu":
      return .feature(try tracer.leakyRelu(label, o.feature(0), slope: Float(o.number(1, "negative_slope", 0.01))))
    case "chunk", "split": throw TraceFault("parts of a value")
    default: return nil
    }
  }
}
