/// Operators on numbers that are known already: above all the shapes that models work out for themselves.
extension ONNXImporter {
  /// Whether the node's result is a constant, which is then computed.
  mutating func foldsConstants(_ node: ONNXModel.Node) throws(TraceFault) -> Bool {
    if node.operation == "Constant" {
      values[node.outputs[0]] = .constant(try attributeConstant(node))
      return true
    }
    if node.operation == "Shape" || node.operation == "Size", case .feature(let x)? = operand(node, 0) {
      let extents = x.extents(batch: tracer.batch)
      if node.operation == "Size" {
        values[node.outputs[0]] = .constant(ConstantTensor(extents: [], integers: [extents.reduce(1, *)]))
        return true
      }
      let range = try Self.slice(
        extents.count, node.attributes["start"]?.integer ?? 0, node.attributes["end"]?.integer ?? extents.count, 1)
      values[node.outputs[0]] = .constant(ConstantTensor(range.map { extents[$0] }))
      return true
    }
    var operands: [ConstantTensor] = []
    for name in node.inputs where !name.isEmpty {
      guard case .constant(let tensor)? = values[name] else { return false }
      operands.append(tensor)
    }
    if let view = try viewed(node, operands) {
      values[node.outputs[0]] = .constant(view)
      return true
    }
    guard let result = try folded(node, operands) else { return false }
    foldedCount += result.count
    guard foldedCount <= 4 * Self.maximumCount else { throw TraceFault("too many numbers that depend on no picture") }
    values[node.outputs[0]] = .constant(result)
    return true
  }

  private func attributeConstant(_ node: ONNXModel.Node) throws(TraceFault) -> ConstantTensor {
    let attributes = node.attributes
    if let tensor = attributes["value"]?.tensor { return tensor }
    if let float = attributes["value_float"]?.float { return ConstantTensor(extents: [], floats: [float]) }
    if let integer = attributes["value_int"]?.integer { return ConstantTensor(extents: [], integers: [integer]) }
    if let list = attributes["value_floats"] {
      return ConstantTensor(extents: [list.floats.count], floats: list.floats)
    }
    if let list = attributes["value_ints"] { return ConstantTensor(list.integers) }
    throw TraceFault("a constant that is no number")
  }

  private static let maximumCount = 1 << 24

  /// The same numbers in another shape or order, for which none is moved; nil for what must be computed.
  private func viewed(_ node: ONNXModel.Node, _ operands: [ConstantTensor]) throws(TraceFault) -> ConstantTensor? {
    guard let x = operands.first else { return nil }
    switch node.operation {
    case "Identity", "Dropout": return x
    case "Unsqueeze": return x.reshaped(try unsqueezed(x.extents, integers(node, "axes", 1) ?? []))
    case "Squeeze":
      let axes = try integers(node, "axes", 1)
      var places = Set<Int>()
      for axis in axes ?? [] { places.insert(try place(axis, of: x.extents.count)) }
      let kept = x.extents.indices.filter { axes == nil ? x.extents[$0] != 1 : !places.contains($0) }
      guard kept.reduce(1, { $0 * x.extents[$1] }) == x.count else { throw TraceFault("squeezes axes of more than 1") }
      return x.reshaped(kept.map { x.extents[$0] })
    case "Reshape":
      guard operands.count == 2, let target = operands[1].integers() else { return nil }
      return x.reshaped(try Self.shape(target, of: x.extents, zeroCopies: true))
    case "Flatten":
      let axis = node.attributes["axis"]?.integer ?? 1
      let place = axis < 0 ? axis + x.extents.count : axis
      guard (0...x.extents.count).contains(place) else { throw TraceFault("an axis \(axis)") }
      return x.reshaped([x.extents[..<place].reduce(1, *), x.extents[place...].reduce(1, *)])
    case "Transpose": return x.isPlain ? transposed(x, node) : nil
    default: return nil
    }
  }

  private func transposed(_ x: ConstantTensor, _ node: ONNXModel.Node) -> ConstantTensor? {
    let perm = node.attributes["perm"]?.integers ?? []
    let order = perm.isEmpty ? Array(x.extents.indices.reversed()) : perm
    return order.sorted() == Array(x.extents.indices) ? x.transposed(order) : nil
  }

  private func folded(_ node: ONNXModel.Node, _ operands: [ConstantTensor]) throws(TraceFault) -> ConstantTensor? {
    guard let x = operands.first, operands.allSatisfy({ $0.count <= Self.maximumCount }) else { return nil }
    switch node.operation {
    case "Shape": return ConstantTensor(x.extents)
    case "Transpose": return transposed(x, node)
    case "Cast":
      let target = ConstantTensor.Element(onnx: node.attributes["to"]?.integer ?? 1)
      if target?.isFloat ?? true == x.isFloat { return x }
      if x.isFloat {
        return ConstantTensor(
          extents: x.extents, integers: x.floats().map { Int(exactly: $0.rounded(.towardZero)) ?? 0 })
      }
      return ConstantTensor(extents: x.extents, floats: x.floats())
    case "Concat":
      guard operands.allSatisfy({ $0.extents.count == 1 }), operands.reduce(0, { $0 + $1.count }) <= Self.maximumCount
      else {
        return nil
      }
      if operands.allSatisfy({ !$0.isFloat }) { return ConstantTensor(operands.flatMap { $0.integers() ?? [] }) }
      let floats = operands.flatMap { $0.floats() }
      return ConstantTensor(extents: [floats.count], floats: floats)
    case "Gather":
      guard operands.count == 2, !x.extents.isEmpty, let places = operands[1].integers() else { return nil }
      let axis = try place(node.attributes["axis"]?.integer ?? 0, of: x.extents.count)
      var taken: [Int] = []
      for index in places { taken.append(try place(index, of: x.extents[axis])) }
      let extents = Array(x.extents[..<axis]) + operands[1].extents + Array(x.extents[(axis + 1)...])
      guard let count = ConstantTensor.count(of: extents), count <= Self.maximumCount else { return nil }
      return Self.taken(x, axis, taken).reshaped(extents)
    case "Slice":
      guard let starts = try integers(node, "starts", 1), let ends = try integers(node, "ends", 2),
        starts.count == ends.count
      else { return nil }
      let axes = try integers(node, "axes", 3) ?? Array(starts.indices)
      let steps = try integers(node, "steps", 4) ?? [Int](repeating: 1, count: starts.count)
      guard axes.count == starts.count, steps.count == starts.count else { return nil }
      var result = x
      for index in axes.indices {
        let axis = try place(axes[index], of: x.extents.count)
        result = Self.taken(
          result, axis, try Self.slice(result.extents[axis], starts[index], ends[index], steps[index]))
      }
      return result
    case "ConstantOfShape":
      guard let extents = x.integers(), let count = ConstantTensor.count(of: extents), count <= Self.maximumCount else {
        return nil
      }
      guard let value = node.attributes["value"]?.tensor, value.isFloat else {
        let number = node.attributes["value"]?.tensor?.integers()?.first
        return number.map { ConstantTensor(extents: extents, integers: [Int](repeating: $0, count: count)) }
          ?? ConstantTensor(extents: extents, floats: [Float](repeating: 0, count: count))
      }
      return ConstantTensor(extents: extents, floats: [Float](repeating: value.scalar ?? 0, count: count))
    case "ReduceProd": return x.integers().map { ConstantTensor(extents: [], integers: [$0.reduce(1, &*)]) }
    case "Expand":
      guard let target = operands.last?.integers(), x.count == 1, let count = ConstantTensor.count(of: target),
        count <= Self.maximumCount, let number = x.scalar
      else { return nil }
      return x.isFloat
        ? ConstantTensor(extents: target, floats: [Float](repeating: number, count: count))
        : ConstantTensor(extents: target, integers: [Int](repeating: Int(number), count: count))
    case "Range":
      guard operands.count == 3, let start = x.integers()?.first, let end = operands[1].integers()?.first,
        let step = operands[2].integers()?.first, step != 0, start.magnitude <= Self.maximumCount,
        end.magnitude <= Self.maximumCount
      else { return nil }
      return ConstantTensor(Array(stride(from: start, to: end, by: step)))
    default: return elementwise(node.operation, operands)
    }
  }

  /// The numbers at these places of an axis, which have been checked.
  private static func taken(_ x: ConstantTensor, _ axis: Int, _ places: [Int]) -> ConstantTensor {
    var extents = x.extents
    let inner = extents[(axis + 1)...].reduce(1, *)
    let outer = extents[..<axis].reduce(1, *)
    let whole = extents[axis]
    extents[axis] = places.count
    var order: [Int] = []
    for first in 0..<outer {
      for place in places {
        let start = (first * whole + place) * inner
        order += start..<(start + inner)
      }
    }
    if let integers = x.integers() { return ConstantTensor(extents: extents, integers: order.map { integers[$0] }) }
    let floats = x.floats()
    return ConstantTensor(extents: extents, floats: order.map { floats[$0] })
  }

  /// Arithmetic of one or two operands; of two, one may be a single number.
  private func elementwise(_ operation: String, _ operands: [ConstantTensor]) -> ConstantTensor? {
    let x = operands[0]
    if operands.count == 1 {
      switch operation {
      case "Sqrt": return ConstantTensor(extents: x.extents, floats: x.floats().map { $0.squareRoot() })
      case "Reciprocal": return ConstantTensor(extents: x.extents, floats: x.floats().map { 1 / $0 })
      case "Floor": return ConstantTensor(extents: x.extents, floats: x.floats().map { $0.rounded(.down) })
      case "Ceil": return ConstantTensor(extents: x.extents, floats: x.floats().map { $0.rounded(.up) })
      case "Not": return x.integers().map { ConstantTensor(extents: x.extents, integers: $0.map { $0 == 0 ? 1 : 0 }) }
      case "Neg":
        return x.integers().map { ConstantTensor(extents: x.extents, integers: $0.map { 0 &- $0 }) }
          ?? ConstantTensor(extents: x.extents, floats: x.floats().map { -$0 })
      default: return nil
      }
    }
    guard operands.count == 2 else { return operation == "Where" ? chosen(operands) : nil }
    let y = operands[1]
    guard x.count == y.count || x.count == 1 || y.count == 1 else { return nil }
    // Of a single number and none at all, nothing comes.
    let wider = x.count == 1 && y.count != 1 ? y : x
    let (extents, count) = (wider.extents, wider.count)
    if let a = x.integers(), let b = y.integers() {
      var numbers: [Int] = []
      for index in 0..<count {
        guard let number = ONNXImporter.whole(operation, a[a.count == 1 ? 0 : index], b[b.count == 1 ? 0 : index])
        else { return nil }
        numbers.append(number)
      }
      return ConstantTensor(extents: extents, integers: numbers)
    }
    let (a, b) = (x.floats(), y.floats())
    var numbers: [Float] = []
    for index in 0..<count {
      let (p, q) = (a[a.count == 1 ? 0 : index], b[b.count == 1 ? 0 : index])
      switch operation {
      case "Add": numbers.append(p + q)
      case "Sub": numbers.append(p - q)
      case "Mul": numbers.append(p * q)
      case "Div": numbers.append(p / q)
      default: return nil
      }
    }
    return ConstantTensor(extents: extents, floats: numbers)
  }

  private func chosen(_ operands: [ConstantTensor]) -> ConstantTensor? {
    guard operands.count == 3, let flags = operands[0].integers(), let a = operands[1].integers(),
      let b = operands[2].integers()
    else { return nil }
    let count = max(flags.count, a.count, b.count)
    guard [flags.count, a.count, b.count].allSatisfy({ $0 == count || $0 == 1 }) else { return nil }
    func at(_ list: [Int], _ index: Int) -> Int { list[list.count == 1 ? 0 : index] }
    let extents = operands.first { $0.count == count }?.extents ?? [count]
    return ConstantTensor(
      extents: extents, integers: (0..<count).map { at(flags, $0) != 0 ? at(a, $0) : at(b, $0) })
  }

  private static func whole(_ operation: String, _ a: Int, _ b: Int) -> Int? {
    switch operation {
    case "Add": a &+ b
    case "Sub": a &- b
    case "Mul": a &* b
    case "Div": b == 0 || (b == -1 && a == Int.min) ? nil : a / b
    case "Mod": b == 0 || b == -1 ? nil : ((a % b) + b) % b
    case "Equal": a == b ? 1 : 0
    case "Greater": a > b ? 1 : 0
    case "Less": a < b ? 1 : 0
    case "GreaterOrEqual": a >= b ? 1 : 0
    case "LessOrEqual": a <= b ? 1 : 0
    case "And": a != 0 && b != 0 ? 1 : 0
    case "Or": a != 0 || b != 0 ? 1 : 0
    case "Max": max(a, b)
    case "Min": min(a, b)
    default: nil
    }
  }
}
