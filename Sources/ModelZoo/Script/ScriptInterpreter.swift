internal import Engine

/// Runs an archive's `forward` with a picture that is not there yet: numbers are computed, pictures are followed.
///
/// Conditions must not depend on the picture; calls, steps and depth are bounded.
struct ScriptInterpreter {
  indirect enum Value {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
    case list([Value])
    case feature(FeatureMap)
    case tensor(ConstantTensor)
    case object(Int)
    /// A name of the code that is no variable: a function, a type, an operator.
    case path(String)
  }

  /// Why a block ended early.
  private enum Outcome {
    case onward
    case given(Value)
  }

  private static let maximumDepth = 128
  private static let maximumSteps = 1 << 20

  let archive: ScriptArchive
  private let file: UnsafeRawBufferPointer
  var tracer: NetworkTracer
  var notes: [String] = []
  /// The path of the module whose method runs, for the names of nodes.
  var place = ""
  private var files: [String: ScriptFile] = [:]
  private var depth = 0
  private var steps = 0

  init(_ archive: ScriptArchive, file: UnsafeRawBufferPointer, shape: Shape) {
    self.archive = archive
    self.file = file
    tracer = NetworkTracer(shape: shape, axes: [[.n], [.c], [.h], [.w]], batch: 1)
  }

  /// - Throws: `TraceFault` naming file and line of what is not known.
  mutating func run() throws(TraceFault) -> ImportedNetwork {
    let result = try call(method: "forward", of: 0, [.feature(tracer.input)], [:])
    var answer = result
    if case .list(let parts) = result {
      guard let first = parts.first else { throw TraceFault("forward gives nothing back") }
      answer = first
      notes.append("forward gives several values back; the first is taken")
    }
    guard case .feature(let feature) = answer else { throw TraceFault("what forward gives back is no tensor") }
    return try tracer.finish(feature, notes: notes)
  }

  // MARK: Code

  private mutating func code(_ module: String) throws(TraceFault) -> ScriptFile {
    if let file = files[module] { return file }
    let source: [UInt8]?
    do throws(FormatFault) {
      source = try archive.code(module, in: file)
    } catch {
      throw TraceFault(error.reason)
    }
    guard let source else { throw TraceFault("the archive has no code for '\(module)'") }
    do throws(ScriptFault) {
      let parsed = try ScriptParser.file(source)
      files[module] = parsed
      return parsed
    } catch {
      throw TraceFault("code of \(module), line \(error.line): \(error.reason)")
    }
  }

  private static func split(_ path: String) -> (module: String, name: String) {
    guard let dot = path.lastIndex(of: ".") else { return ("", path) }
    return (String(path[..<dot]), String(path[path.index(after: dot)...]))
  }

  private mutating func definition(of type: String) throws(TraceFault) -> ScriptClass {
    let (module, name) = Self.split(type)
    guard let definition = try code(module).classes[name] else { throw TraceFault("no class is called '\(type)'") }
    return definition
  }

  mutating func call(
    method: String, of index: Int, _ arguments: [Value], _ named: [String: Value]
  ) throws(TraceFault) -> Value {
    let object = archive.objects[index]
    guard let function = try definition(of: object.type).methods[method] else {
      throw TraceFault("'\(object.type)' has no method '\(method)'")
    }
    let before = place
    if !object.path.isEmpty { place = object.path }
    defer { place = before }
    return try run(function, module: Self.split(object.type).module, [.object(index)] + arguments, named)
  }

  /// A function of the archive, or the making of a named tuple.
  mutating func call(path: String, _ arguments: [Value], _ named: [String: Value]) throws(TraceFault) -> Value {
    let (module, name) = Self.split(path)
    let file = try code(module)
    if let definition = file.classes[name], definition.isNamedTuple { return .list(arguments) }
    guard let function = file.functions[name] else { throw TraceFault("no function is called '\(path)'") }
    return try run(function, module: module, arguments, named)
  }

  private mutating func run(
    _ function: ScriptFunction, module: String, _ arguments: [Value], _ named: [String: Value]
  ) throws(TraceFault) -> Value {
    depth += 1
    defer { depth -= 1 }
    guard depth < Self.maximumDepth, arguments.count <= function.parameters.count else {
      throw TraceFault("'\(function.name)' is called too deep or with too many operands")
    }
    var variables: [String: Value] = [:]
    for (index, parameter) in function.parameters.enumerated() {
      if index < arguments.count {
        variables[parameter.name] = arguments[index]
      } else if let value = named[parameter.name] {
        variables[parameter.name] = value
      } else if let standard = parameter.standard {
        variables[parameter.name] = try value(of: standard, &variables)
      } else {
        throw TraceFault("'\(function.name)' lacks its operand '\(parameter.name)'")
      }
    }
    guard case .given(let result) = try run(function.body, module, &variables) else { return .none }
    return result
  }

  // MARK: Statements

  private mutating func run(
    _ statements: [ScriptStatement], _ module: String, _ variables: inout [String: Value]
  ) throws(TraceFault) -> Outcome {
    for statement in statements {
      steps += 1
      guard steps < Self.maximumSteps else { throw TraceFault("the code runs without end") }
      do throws(TraceFault) {
        if case .given(let value) = try run(statement, module, &variables) { return .given(value) }
      } catch {
        // The innermost place is the one that says most.
        guard !error.reason.hasPrefix("code of ") else { throw error }
        throw TraceFault("code of \(module), line \(statement.line): \(error.reason)")
      }
    }
    return .onward
  }

  private mutating func run(
    _ statement: ScriptStatement, _ module: String, _ variables: inout [String: Value]
  ) throws(TraceFault) -> Outcome {
    switch statement.kind {
    case .pass: return .onward
    case .value(let expression): _ = try value(of: expression, &variables)
    case .give(let expression):
      return .given(try expression.map { e throws(TraceFault) in try value(of: e, &variables) } ?? .none)
    case .assign(let targets, let isTuple, let expression):
      try assign(targets, isTuple, value(of: expression, &variables), &variables)
    case .choose(let condition, let body, let otherwise):
      return try run(truth(value(of: condition, &variables)) ? body : otherwise, module, &variables)
    case .repeatWhile(let condition, let body):
      while try truth(value(of: condition, &variables)) {
        if case .given(let value) = try run(body, module, &variables) { return .given(value) }
      }
    case .repeatOver(let name, let expression, let body):
      guard case .list(let elements) = try value(of: expression, &variables) else {
        throw TraceFault("a loop over no list")
      }
      for element in elements {
        variables[name] = element
        if case .given(let value) = try run(body, module, &variables) { return .given(value) }
      }
    case .fail: throw TraceFault("the code raises an error with this input")
    }
    return .onward
  }

  private mutating func assign(
    _ targets: [ScriptExpression], _ isTuple: Bool, _ value: Value, _ variables: inout [String: Value]
  ) throws(TraceFault) {
    var values = [value]
    if isTuple {
      guard case .list(let parts) = value, parts.count == targets.count else {
        throw TraceFault("a tuple of another length is wanted")
      }
      values = parts
    }
    for (target, value) in zip(targets, values) {
      guard case .name(let name) = target else { throw TraceFault("an attribute is set") }
      variables[name] = value
    }
  }

  func truth(_ value: Value) throws(TraceFault) -> Bool {
    switch value {
    case .bool(let flag): return flag
    case .integer(let number): return number != 0
    case .tensor(let tensor) where tensor.count == 1: return tensor.scalar != 0
    default: throw TraceFault("a condition that is not known before there is a picture")
    }
  }

  // MARK: Expressions

  private mutating func value(
    of expression: ScriptExpression, _ variables: inout [String: Value]
  ) throws(TraceFault) -> Value {
    switch expression {
    case .none: return .none
    case .bool(let flag): return .bool(flag)
    case .integer(let number): return .integer(number)
    case .float(let number): return .float(number)
    case .string(let text): return .string(text)
    case .name(let name): return variables[name] ?? .path(name)
    case .list(let parts), .tuple(let parts):
      var values: [Value] = []
      for part in parts { values.append(try value(of: part, &variables)) }
      return .list(values)
    case .choice(let condition, let first, let otherwise):
      return try value(of: truth(value(of: condition, &variables)) ? first : otherwise, &variables)
    case .sign(let sign, let operands):
      if sign == "and" || sign == "or" {
        let first = try truth(value(of: operands[0], &variables))
        if first == (sign == "or") { return .bool(first) }
        return .bool(try truth(value(of: operands[1], &variables)))
      }
      var values: [Value] = []
      for operand in operands { values.append(try value(of: operand, &variables)) }
      return try builtin(Self.signs[sign] ?? sign, values, [:])
    case .attribute(let owner, let name): return try attribute(value(of: owner, &variables), name)
    case .item(let owner, let index):
      let list = try value(of: owner, &variables)
      // Types, such as List[int], are no values.
      if case .path = list { return .none }
      return try builtin("__getitem__", [list, value(of: index, &variables)], [:])
    case .call(let callee, let positional, let named): return try call(callee, positional, named, &variables)
    }
  }

  private static let signs = [
    "==": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge", "is": "__is__", "is not": "__isnot__",
    "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "remainder", "not": "__not__",
    "in": "__contains__", "neg": "neg", "**": "pow",
  ]

  private mutating func attribute(_ owner: Value, _ name: String) throws(TraceFault) -> Value {
    switch owner {
    case .path("CONSTANTS"):
      guard let number = Int(name.dropFirst()), archive.constants.indices.contains(number) else {
        throw TraceFault("no constant is called '\(name)'")
      }
      return Self.value(archive.constants[number])
    case .path(let path): return .path("\(path).\(name)")
    case .object(let index):
      if let value = archive.objects[index].attributes[name] { return Self.value(value) }
      guard let constant = try definition(of: archive.objects[index].type).constants[name] else {
        throw TraceFault("'\(archive.objects[index].type)' has no attribute '\(name)'")
      }
      var none: [String: Value] = [:]
      return try value(of: constant, &none)
    default: throw TraceFault("an attribute '\(name)' of what has none")
    }
  }

  private static func value(_ value: ScriptArchive.Value) -> Value {
    switch value {
    case .none: .none
    case .bool(let flag): .bool(flag)
    case .integer(let number): .integer(number)
    case .float(let number): .float(number)
    case .string(let text): .string(text)
    case .list(let list): .list(list.map { Self.value($0) })
    case .tensor(let tensor): .tensor(tensor)
    case .object(let index): .object(index)
    }
  }

  private mutating func call(
    _ callee: ScriptExpression, _ positional: [ScriptExpression], _ named: [String: ScriptExpression],
    _ variables: inout [String: Value]
  ) throws(TraceFault) -> Value {
    var target: Value
    var method: String?
    if case .attribute(let owner, let name) = callee {
      let value = try value(of: owner, &variables)
      if case .path(let path) = value {
        target = .path("\(path).\(name)")
      } else {
        (target, method) = (value, name)
      }
    } else {
      target = try value(of: callee, &variables)
    }
    // Their first operand is a type.
    if case .path(let path) = target, path == "annotate" || path == "unchecked_cast" {
      guard positional.count == 2 else { throw TraceFault("'\(path)' of \(positional.count) operands") }
      return try value(of: positional[1], &variables)
    }
    if case .path("uninitialized") = target { return .none }
    var arguments: [Value] = []
    for argument in positional { arguments.append(try value(of: argument, &variables)) }
    var options: [String: Value] = [:]
    for (name, argument) in named { options[name] = try value(of: argument, &variables) }
    if let method {
      guard case .object(let index) = target else { throw TraceFault("a method '\(method)' of what has none") }
      return try call(method: method, of: index, arguments, options)
    }
    guard case .path(let path) = target else { throw TraceFault("a call of what is no function") }
    if path == "getattr" {
      guard arguments.count == 2, case .string(let name) = arguments[1] else { throw TraceFault("getattr of no name") }
      return try attribute(arguments[0], name)
    }
    if path.hasPrefix("__torch__.") { return try call(path: path, arguments, options) }
    if path == "ops.prim.RaiseException" {
      if case .string(let text)? = arguments.first { throw TraceFault("the code raises: \(text)") }
      throw TraceFault("the code raises an error with this input")
    }
    return try builtin(Self.split(path).name, arguments, options)
  }
}
