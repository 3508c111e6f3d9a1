internal import Engine

/// Operators that put numbers together differently or take a part of them, and arithmetic with constants.
extension ONNXImporter {
  mutating func reordered(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let x = try feature(node)
    let extents = x.extents(batch: tracer.batch)
    switch node.operation {
    case "Transpose":
      let order = node.attributes["perm"]?.integers ?? []
      return try tracer.transposed(x, order.isEmpty ? Array(x.axes.indices.reversed()) : order)
    case "Flatten":
      let axis = node.attributes["axis"]?.integer ?? 1
      let place = axis < 0 ? axis + extents.count : axis
      guard (0...extents.count).contains(place) else { throw TraceFault("an axis \(axis) of \(extents.count)") }
      return try tracer.reshaped(x, to: [extents[..<place].reduce(1, *), extents[place...].reduce(1, *)])
    case "Reshape":
      guard let target = try constant(node, 1).integers() else { throw TraceFault("a shape of fractions") }
      let keepsZero = node.attributes["allowzero"]?.integer ?? 0 == 0
      return try tracer.reshaped(x, to: ONNXImporter.shape(target, of: extents, zeroCopies: keepsZero))
    case "Squeeze":
      var places = Set<Int>()
      if let axes = try integers(node, "axes", 1) {
        for axis in axes { places.insert(try place(axis, of: extents.count)) }
      } else {
        places = Set(extents.indices.filter { extents[$0] == 1 })
      }
      guard places.allSatisfy({ extents[$0] == 1 }) else { throw TraceFault("squeezes axes of more than 1") }
      return try tracer.reshaped(x, to: extents.indices.filter { !places.contains($0) }.map { extents[$0] })
    case "Unsqueeze":
      let axes = try integers(node, "axes", 1) ?? []
      return try tracer.reshaped(x, to: unsqueezed(extents, axes))
    default:
      guard let target = try constant(node, 1).integers(), target.count <= extents.count,
        zip(target.reversed(), extents.reversed()).allSatisfy({ $0 == 1 || $0 == $1 })
      else { throw TraceFault("repeats numbers") }
      return x
    }
  }

  func unsqueezed(_ extents: [Int], _ axes: [Int]) throws(TraceFault) -> [Int] {
    var places: [Int] = []
    for axis in axes { places.append(try place(axis, of: extents.count + axes.count)) }
    var result = extents
    for place in places.sorted() {
      guard place <= result.count else { throw TraceFault("axes that are not there") }
      result.insert(1, at: place)
    }
    return result
  }

  /// The shape that `Reshape` means: 0 keeps an extent, one −1 takes what is left.
  static func shape(_ target: [Int], of extents: [Int], zeroCopies: Bool) throws(TraceFault) -> [Int] {
    var result = target
    for (place, extent) in target.enumerated() where extent == 0 && zeroCopies {
      guard extents.indices.contains(place) else { throw TraceFault("keeps an axis that is not there") }
      result[place] = extents[place]
    }
    let count = extents.reduce(1, *)
    if let open = result.firstIndex(of: -1) {
      var rest = 1
      for (place, extent) in result.enumerated() where place != open {
        let (product, overflow) = rest.multipliedReportingOverflow(by: extent)
        guard extent > 0, !overflow else { throw TraceFault("a senseless shape \(target)") }
        rest = product
      }
      guard count.isMultiple(of: rest) else { throw TraceFault("\(count) numbers do not fill a shape \(target)") }
      result[open] = count / rest
    }
    guard ConstantTensor.count(of: result) == count else {
      throw TraceFault("\(count) numbers do not fill a shape \(target)")
    }
    return result
  }

  // MARK: Parts

  mutating func part(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let x = try feature(node)
    let extents = x.extents(batch: tracer.batch)
    if node.operation == "Gather" {
      let axis = try place(node.attributes["axis"]?.integer ?? 0, of: extents.count)
      let indices = try constant(node, 1)
      guard let numbers = indices.integers(), indices.extents.count <= 1 else { throw TraceFault("gathers a table") }
      var y = try taking(x, axis, numbers.map { $0 < 0 ? $0 + extents[axis] : $0 })
      if indices.extents.isEmpty { y.axes.remove(at: axis) }
      return y
    }
    guard let starts = try integers(node, "starts", 1), let ends = try integers(node, "ends", 2),
      starts.count == ends.count
    else { throw TraceFault("starts and ends are missing") }
    let axes = try integers(node, "axes", 3) ?? Array(starts.indices)
    let steps = try integers(node, "steps", 4) ?? [Int](repeating: 1, count: starts.count)
    guard axes.count == starts.count, steps.count == starts.count else { throw TraceFault("does not come out even") }
    var y = x
    var stride = Extent2D(1)
    for index in axes.indices {
      let axis = try place(axes[index], of: extents.count)
      let numbers = try ONNXImporter.slice(extents[axis], starts[index], ends[index], steps[index])
      if numbers == Array(0..<extents[axis]) { continue }
      let kinds = tracer.plainAxes(x)[axis]
      guard numbers.first == 0, steps[index] > 0, kinds == [.h] || kinds == [.w],
        extents[axis] - (numbers.last ?? 0) <= steps[index]
      else {
        y = try taking(y, axis, numbers)
        continue
      }
      if kinds == [.h] { stride.h = steps[index] } else { stride.w = steps[index] }
    }
    return try tracer.subsample(name(node), y, stride)
  }

  /// The places that a slice of an axis takes.
  static func slice(_ extent: Int, _ start: Int, _ end: Int, _ step: Int) throws(TraceFault) -> [Int] {
    guard step != 0, step > Int.min / 2, extent <= 1 << 24 else { throw TraceFault("a step of \(step)") }
    func clamped(_ place: Int, _ range: ClosedRange<Int>) -> Int {
      min(max(place < 0 ? place + extent : place, range.lowerBound), range.upperBound)
    }
    return step > 0
      ? Array(Swift.stride(from: clamped(start, 0...extent), to: clamped(end, 0...extent), by: step))
      : Array(
        Swift.stride(
          from: clamped(start, 0...max(0, extent - 1)), to: end < -extent ? -1 : clamped(end, -1...extent), by: step))
  }

  private mutating func taking(_ x: FeatureMap, _ axis: Int, _ places: [Int]) throws(TraceFault) -> FeatureMap {
    let kinds = tracer.plainAxes(x)[axis]
    if kinds.isEmpty, places == [0] { return x }
    guard kinds == [.c] else { throw TraceFault("takes a part of another axis than C") }
    return try tracer.select(x, channels: places)
  }

  mutating func split(_ node: ONNXModel.Node) throws(TraceFault) {
    let x = try feature(node)
    let extents = x.extents(batch: tracer.batch)
    let axis = try place(node.attributes["axis"]?.integer ?? 0, of: extents.count)
    let parts = node.outputs.count
    let even = (extents[axis] + parts - 1) / max(1, parts)
    let sizes =
      try integers(node, "split", 1)
      ?? (0..<parts).map { max(0, min(even, extents[axis] - $0 * even)) }
    guard sizes.count == parts, sizes.allSatisfy({ (1...extents[axis]).contains($0) }),
      sizes.reduce(0, &+) == extents[axis]
    else {
      throw TraceFault("parts of \(sizes) do not make up \(extents[axis])")
    }
    var first = 0
    for (place, size) in sizes.enumerated() {
      values[node.outputs[place]] = .feature(try taking(x, axis, Array(first..<(first + size))))
      first += size
    }
  }

  mutating func pad(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    let x = try feature(node)
    guard node.attributes["mode"]?.text ?? "constant" == "constant" else {
      throw TraceFault("pads by '\(node.attributes["mode"]?.text ?? "")'")
    }
    let count = x.axes.count
    let axes = try integers(node, "axes", 3) ?? Array(0..<count)
    guard let pads = try integers(node, "pads", 1), pads.count == 2 * axes.count,
      pads.allSatisfy({ (-4096...4096).contains($0) })
    else { throw TraceFault("pads of another number than its axes") }
    let value = try optional(node, 2)?.scalar ?? node.attributes["value"]?.float ?? 0
    var spread = [(before: Int, after: Int)](repeating: (0, 0), count: count)
    for (index, axis) in axes.enumerated() {
      spread[try place(axis, of: count)] = (pads[index], pads[axes.count + index])
    }
    return try tracer.pad(x, spread, with: value)
  }

  // MARK: Arithmetic

  mutating func arithmetic(_ node: ONNXModel.Node) throws(TraceFault) -> FeatureMap {
    guard let a = operand(node, 0), let b = operand(node, 1) else { throw TraceFault("an operand is missing") }
    let label = name(node)
    switch (a, b) {
    case (.feature(let x), .feature(let y)):
      switch node.operation {
      case "Add": return try tracer.add(label, x, y)
      case "Sub": return try tracer.add(label, x, tracer.scale(y, by: [-1], plus: [0]))
      case "Mul": return try tracer.multiply(label, x, y)
      default: throw TraceFault("divides one value by another")
      }
    case (.feature(let x), .constant(let tensor)):
      let (y, numbers) = try spread(tensor, over: x)
      switch node.operation {
      case "Add": return try tracer.scale(y, by: [1], plus: numbers)
      case "Sub": return try tracer.scale(y, by: [1], plus: numbers.map { -$0 })
      case "Mul": return try tracer.scale(y, by: numbers, plus: [0])
      default: return try tracer.scale(y, by: numbers.map { 1 / $0 }, plus: [0])
      }
    case (.constant(let tensor), .feature(let x)):
      let (y, numbers) = try spread(tensor, over: x)
      switch node.operation {
      case "Add": return try tracer.scale(y, by: [1], plus: numbers)
      case "Sub": return try tracer.scale(y, by: [-1], plus: numbers)
      case "Mul": return try tracer.scale(y, by: numbers, plus: [0])
      default: throw TraceFault("divides by a value")
      }
    case (.constant, .constant): throw TraceFault("arithmetic of constants that is not known")
    }
  }

  /// A constant as one number, or one a channel; the value is flattened first if its features are joined.
  private mutating func spread(
    _ tensor: ConstantTensor, over x: FeatureMap
  ) throws(TraceFault) -> (FeatureMap, [Float]) {
    if let number = tensor.scalar { return (x, [number]) }
    let numbers = tensor.floats()
    if let first = numbers.first, numbers.allSatisfy({ $0 == first }), tensor.extents.count <= x.axes.count {
      return (x, [first])
    }
    guard tensor.extents.count <= x.axes.count else { throw TraceFault("a constant of too many axes") }
    let first = x.axes.count - tensor.extents.count
    let wide = tensor.extents.indices.filter { tensor.extents[$0] > 1 }
    guard wide.count == 1 else { throw TraceFault("a constant for each pixel") }
    let y = try tracer.vector(x, at: first + wide[0])
    guard tracer.plainAxes(y)[first + wide[0]] == [.c], y.shape.c == numbers.count else {
      throw TraceFault("a constant along another axis than C")
    }
    return (y, numbers)
  }

  /// `If` whose condition is known: only that branch is followed.
  mutating func choose(_ node: ONNXModel.Node) throws(TraceFault) {
    guard let condition = try constant(node, 0).integers()?.first,
      let branch = node.attributes[condition != 0 ? "then_branch" : "else_branch"]?.graph
    else { throw TraceFault("a choice that depends on the picture") }
    for (name, tensor) in branch.constants { values[name] = .constant(tensor) }
    for inner in branch.nodes { try follow(inner) }
    guard branch.outputs.count == node.outputs.count else { throw TraceFault("a branch of other outputs") }
    for (output, name) in zip(branch.outputs, node.outputs) { values[name] = values[output.name] }
  }
}
