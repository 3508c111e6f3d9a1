/// What stands in a value's place in TorchScript's code.
indirect enum ScriptExpression {
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case string(String)
  case name(String)
  case attribute(ScriptExpression, String)
  case item(ScriptExpression, ScriptExpression)
  case call(ScriptExpression, [ScriptExpression], [String: ScriptExpression])
  case list([ScriptExpression])
  case tuple([ScriptExpression])
  case choice(condition: ScriptExpression, ScriptExpression, otherwise: ScriptExpression)
  /// An infix or prefix sign and its operands.
  case sign(String, [ScriptExpression])

  /// `a.b.c`, if it is such a chain of names.
  var path: String? {
    switch self {
    case .name(let name): name
    case .attribute(let owner, let name): owner.path.map { "\($0).\(name)" }
    default: nil
    }
  }
}

/// One statement and its line.
struct ScriptStatement {
  indirect enum Kind {
    case assign(targets: [ScriptExpression], isTuple: Bool, ScriptExpression)
    case value(ScriptExpression)
    case give(ScriptExpression?)
    case choose(ScriptExpression, [ScriptStatement], [ScriptStatement])
    case repeatWhile(ScriptExpression, [ScriptStatement])
    case repeatOver(String, ScriptExpression, [ScriptStatement])
    case fail(ScriptExpression?)
    case pass
  }

  let kind: Kind
  let line: Int
}

struct ScriptFunction {
  let name: String
  /// Names and defaults.
  let parameters: [(name: String, standard: ScriptExpression?)]
  let body: [ScriptStatement]
  let line: Int
}

struct ScriptClass {
  let name: String
  let isNamedTuple: Bool
  var methods: [String: ScriptFunction] = [:]
  var constants: [String: ScriptExpression] = [:]
}

/// What one code file defines.
struct ScriptFile {
  var functions: [String: ScriptFunction] = [:]
  var classes: [String: ScriptClass] = [:]
}
