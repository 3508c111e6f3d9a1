internal import Engine

/// Operators that need no picture: on numbers, lists and texts.
extension ScriptInterpreter {
  /// One of PyTorch's operators, without the underscore of those that work in place.
  mutating func builtin(
    _ written: String, _ arguments: [Value], _ named: [String: Value]
  ) throws(TraceFault) -> Value {
    let name = written.hasSuffix("_") && !written.hasPrefix("__") ? String(written.dropLast()) : written
    let hasFeature = arguments.contains { value in
      switch value {
      case .feature: true
      case .list(let parts): parts.contains { if case .feature = $0 { true } else { false } }
      default: false
      }
    }
    if !hasFeature, let value = try plain(name, arguments) { return value }
    let operands = ScriptOperands(values: arguments, named: named)
    switch name {
    case "dim", "size", "len", "__is__", "__isnot__", "__getitem__": return try described(name, arguments)
    case "warn", "format": return .none
    default:
      guard let result = try follow(name, operands) else { throw TraceFault("'\(written)' is not known to Lookout") }
      return result
    }
  }

  /// What is asked about a value rather than done to it.
  private func described(_ name: String, _ arguments: [Value]) throws(TraceFault) -> Value {
    switch (name, arguments.first) {
    case ("dim", .feature(let x)?): return .integer(x.axes.count)
    case ("size", .feature(let x)?):
      let extents = x.extents(batch: tracer.batch)
      guard arguments.count > 1, case .integer(let axis) = arguments[1] else {
        return .list(extents.map { .integer($0) })
      }
      let place = axis < 0 ? axis + extents.count : axis
      guard extents.indices.contains(place) else { throw TraceFault("an axis \(axis) of \(extents.count)") }
      return .integer(extents[place])
    case ("len", .list(let list)?): return .integer(list.count)
    case ("len", .feature(let x)?): return .integer(x.extents(batch: tracer.batch).first ?? 0)
    case ("__is__", _), ("__isnot__", _):
      guard arguments.count == 2 else { throw TraceFault("a comparison of \(arguments.count)") }
      func isNone(_ value: Value) -> Bool { if case .none = value { true } else { false } }
      let same = isNone(arguments[0]) && isNone(arguments[1])
      return .bool(same == (name == "__is__"))
    case ("__getitem__", .list(let list)?):
      guard arguments.count == 2, case .integer(let index) = arguments[1] else {
        throw TraceFault("a place that is no number")
      }
      let place = index < 0 ? index + list.count : index
      guard list.indices.contains(place) else { throw TraceFault("place \(index) of \(list.count)") }
      return list[place]
    default: throw TraceFault("'\(name)' of such a value")
    }
  }

  private func plain(_ name: String, _ arguments: [Value]) throws(TraceFault) -> Value? {
    switch (name, arguments.count) {
    case ("size", _):
      guard case .tensor(let tensor)? = arguments.first else { return nil }
      return .list(tensor.extents.map { .integer($0) })
    case ("dim", 1):
      guard case .tensor(let tensor) = arguments[0] else { return nil }
      return .integer(tensor.extents.count)
    case ("t", 1):
      guard case .tensor(let tensor) = arguments[0], tensor.extents.count == 2 else { return nil }
      return .tensor(tensor.transposed([1, 0]))
    case ("int", 1), ("NumToTensor", 1), ("Int", 1), ("ScalarImplicit", 1), ("IntImplicit", 1), ("tensor", _):
      guard let first = arguments.first else { return nil }
      switch first {
      case .float(let number) where name.lowercased() == "int":
        return Int(exactly: number.rounded(.towardZero)).map { .integer($0) }
      case .tensor(let tensor) where tensor.count == 1 && name.lowercased().hasPrefix("int"):
        return tensor.integers()?.first.map { .integer($0) }
      default: return first
      }
    case ("float", 1), ("Float", 1):
      return Self.number(arguments[0]).map { .float($0) }
    case ("bool", 1), ("Bool", 1): return .bool(try truth(arguments[0]))
    case ("list", 1): return arguments[0]
    case ("range", 1...3):
      let numbers = arguments.compactMap { if case .integer(let number) = $0 { number } else { nil } }
      guard numbers.count == arguments.count else { return nil }
      let (start, end, step) =
        numbers.count == 1 ? (0, numbers[0], 1) : (numbers[0], numbers[1], numbers.count == 3 ? numbers[2] : 1)
      guard step != 0, start.magnitude < 1 << 12, end.magnitude < 1 << 12 else { return nil }
      return .list(stride(from: start, to: end, by: step).map { .integer($0) })
    case ("__not__", 1): return .bool(try !truth(arguments[0]))
    case ("neg", 1):
      if case .integer(let number) = arguments[0] { return .integer(0 &- number) }
      return Self.number(arguments[0]).map { .float(-$0) }
    case (_, 2): return try pair(name, arguments[0], arguments[1])
    case ("add", 3), ("sub", 3):
      // The tensor's `num_batches_tracked + 1`: nobody reads it when the network answers.
      if case .tensor = arguments[0] { return arguments[0] }
      return nil
    default: return nil
    }
  }

  static func number(_ value: Value) -> Double? {
    switch value {
    case .integer(let number): Double(number)
    case .float(let number): number
    case .bool(let flag): flag ? 1 : 0
    case .tensor(let tensor) where tensor.count == 1: tensor.scalar.map { Double($0) }
    default: nil
    }
  }

  private func pair(_ name: String, _ a: Value, _ b: Value) throws(TraceFault) -> Value? {
    if case .string(let x) = a, case .string(let y) = b {
      switch name {
      case "eq": return .bool(x == y)
      case "ne": return .bool(x != y)
      default: return nil
      }
    }
    if name == "__contains__", case .list(let list) = a {
      if case .string(let wanted) = b {
        return .bool(list.contains { if case .string(let text) = $0 { text == wanted } else { false } })
      }
      guard let wanted = Self.number(b) else { return nil }
      return .bool(list.contains { Self.number($0) == wanted })
    }
    if case .list(let x) = a, case .list(let y) = b {
      switch name {
      case "add": return x.count + y.count <= 1 << 12 ? .list(x + y) : nil
      case "eq", "ne":
        let same = x.count == y.count && zip(x, y).allSatisfy { Self.number($0) == Self.number($1) }
        return .bool(same == (name == "eq"))
      default: return nil
      }
    }
    if case .tensor = a, name == "add" || name == "sub" { return a }
    guard let x = Self.number(a), let y = Self.number(b) else { return nil }
    switch name {
    case "eq": return .bool(x == y)
    case "ne": return .bool(x != y)
    case "lt": return .bool(x < y)
    case "gt": return .bool(x > y)
    case "le": return .bool(x <= y)
    case "ge": return .bool(x >= y)
    case "__and__": return .bool(x != 0 && y != 0)
    case "__or__": return .bool(x != 0 || y != 0)
    default: break
    }
    if case .integer(let p) = a, case .integer(let q) = b {
      switch name {
      case "add": return .integer(p &+ q)
      case "sub": return .integer(p &- q)
      case "mul": return .integer(p &* q)
      case "floordiv": return q == 0 ? nil : .float((x / y).rounded(.down)).asInteger
      case "remainder": return q <= 0 ? nil : .integer(((p % q) + q) % q)
      default: break
      }
    }
    switch name {
    case "add": return .float(x + y)
    case "sub": return .float(x - y)
    case "mul": return .float(x * y)
    case "div": return .float(x / y)
    case "floordiv": return .float((x / y).rounded(.down))
    default: return nil
    }
  }
}

extension ScriptInterpreter.Value {
  /// The whole number that a fraction is.
  fileprivate var asInteger: ScriptInterpreter.Value? {
    if case .float(let number) = self { return Int(exactly: number).map { .integer($0) } }
    return nil
  }
}
