/// Reads the part of Python that PyTorch writes into TorchScript archives; types are passed over.
struct ScriptParser {
  private static let maximumDepth = 200

  private let words: [(word: ScriptToken, line: Int)]
  private var place = 0
  private var depth = 0

  static func file(_ source: [UInt8]) throws(ScriptFault) -> ScriptFile {
    var parser = ScriptParser(words: try ScriptLexer.words(source))
    return try parser.file()
  }

  private init(words: [(word: ScriptToken, line: Int)]) { self.words = words }

  // MARK: Words

  private var word: ScriptToken { words[place].word }
  private var line: Int { words[place].line }

  private func fault(_ reason: String) -> ScriptFault { ScriptFault(line: line, reason: reason) }

  private mutating func advance() { if place < words.count - 1 { place += 1 } }

  private mutating func takes(_ sign: String) -> Bool {
    guard word == .sign(sign) else { return false }
    advance()
    return true
  }

  private mutating func takes(word name: String) -> Bool {
    guard word == .name(name) else { return false }
    advance()
    return true
  }

  private mutating func expect(_ sign: String) throws(ScriptFault) {
    guard takes(sign) else { throw fault("'\(sign)' is missing") }
  }

  private mutating func name() throws(ScriptFault) -> String {
    guard case .name(let name) = word else { throw fault("a name is missing") }
    advance()
    return name
  }

  private mutating func endLine() throws(ScriptFault) {
    guard word == .newline || word == .end else { throw fault("something that is not understood") }
    advance()
  }

  private mutating func deeper() throws(ScriptFault) {
    depth += 1
    guard depth < ScriptParser.maximumDepth else { throw fault("nested too deep") }
  }

  // MARK: Definitions

  private mutating func file() throws(ScriptFault) -> ScriptFile {
    var file = ScriptFile()
    while word != .end {
      if takes(word: "class") {
        let definition = try classDefinition()
        file.classes[definition.name] = definition
      } else if takes(word: "def") {
        let function = try function()
        file.functions[function.name] = function
      } else if word == .newline || word == .name("op_version_set") || word == .name("import") {
        while word != .newline, word != .end { advance() }
        advance()
      } else {
        throw fault("neither a class nor a function")
      }
    }
    return file
  }

  private mutating func classDefinition() throws(ScriptFault) -> ScriptClass {
    let name = try name()
    var isNamedTuple = false
    if takes("(") {
      isNamedTuple = word == .name("NamedTuple")
      while !takes(")") {
        guard word != .end else { throw fault("a class without end") }
        advance()
      }
    }
    try expect(":")
    advance()
    var definition = ScriptClass(name: name, isNamedTuple: isNamedTuple)
    guard word == .indent else { return definition }
    advance()
    while word != .dedent, word != .end {
      if takes(word: "def") {
        let method = try function()
        definition.methods[method.name] = method
        continue
      }
      if takes(word: "pass") {
        try endLine()
        continue
      }
      let target = try primary()
      if takes(":") { _ = try expression() }
      if takes("=") {
        let value = try expression()
        if case .name(let field) = target { definition.constants[field] = value }
      }
      try endLine()
    }
    advance()
    return definition
  }

  private mutating func function() throws(ScriptFault) -> ScriptFunction {
    let start = line
    let name = try name()
    try expect("(")
    var parameters: [(name: String, standard: ScriptExpression?)] = []
    while !takes(")") {
      let parameter = try self.name()
      if takes(":") { _ = try expression() }
      parameters.append((parameter, takes("=") ? try expression() : nil))
      if !takes(","), word != .sign(")") { throw fault("',' is missing") }
    }
    if takes("->") { _ = try expression() }
    return ScriptFunction(name: name, parameters: parameters, body: try block(), line: start)
  }

  // MARK: Statements

  private mutating func block() throws(ScriptFault) -> [ScriptStatement] {
    try deeper()
    defer { depth -= 1 }
    try expect(":")
    try endLine()
    guard word == .indent else { throw fault("a block is missing") }
    advance()
    var statements: [ScriptStatement] = []
    while word != .dedent, word != .end { statements.append(try statement()) }
    advance()
    return statements
  }

  private mutating func statement() throws(ScriptFault) -> ScriptStatement {
    let start = line
    let kind: ScriptStatement.Kind
    if takes(word: "return") {
      kind = .give(word == .newline ? nil : try tupleExpression())
      try endLine()
    } else if takes(word: "pass") {
      kind = .pass
      try endLine()
    } else if takes(word: "if") {
      let condition = try expression()
      let body = try block()
      kind = .choose(condition, body, takes(word: "else") ? try block() : [])
    } else if takes(word: "while") {
      kind = .repeatWhile(try expression(), try block())
    } else if takes(word: "for") {
      let variable = try name()
      guard takes(word: "in") else { throw fault("'in' is missing") }
      kind = .repeatOver(variable, try expression(), try block())
    } else if takes(word: "raise") {
      kind = .fail(word == .newline ? nil : try expression())
      try endLine()
    } else {
      kind = try assignment()
      try endLine()
    }
    return ScriptStatement(kind: kind, line: start)
  }

  private mutating func assignment() throws(ScriptFault) -> ScriptStatement.Kind {
    let first = try expression()
    var targets = [first]
    var isTuple = false
    while takes(",") {
      isTuple = true
      if word == .sign("=") { break }
      targets.append(try expression())
    }
    if takes(":") { _ = try expression() }
    guard takes("=") else { return .value(first) }
    return .assign(targets: targets, isTuple: isTuple, try tupleExpression())
  }

  // MARK: Expressions

  /// One expression, or several with commas between them.
  private mutating func tupleExpression() throws(ScriptFault) -> ScriptExpression {
    let first = try expression()
    guard word == .sign(",") else { return first }
    var parts = [first]
    while takes(",") {
      if word == .newline { break }
      parts.append(try expression())
    }
    return .tuple(parts)
  }

  private mutating func expression() throws(ScriptFault) -> ScriptExpression {
    try deeper()
    defer { depth -= 1 }
    let value = try infix(0)
    guard takes(word: "if") else { return value }
    let condition = try infix(0)
    guard takes(word: "else") else { throw fault("'else' is missing") }
    return .choice(condition: condition, value, otherwise: try expression())
  }

  private static let levels: [[String]] = [
    ["or"], ["and"], ["==", "!=", "<", ">", "<=", ">=", "is", "in"], ["+", "-"], ["*", "/", "//", "%"], ["**"],
  ]

  private mutating func infix(_ level: Int) throws(ScriptFault) -> ScriptExpression {
    guard level < ScriptParser.levels.count else { return try prefix() }
    var left = try infix(level + 1)
    var length = 0
    while true {
      length += 1
      guard length < ScriptParser.maximumDepth else { throw fault("an expression too long") }
      var sign: String
      switch word {
      case .sign(let found), .name(let found): sign = found
      default: return left
      }
      guard ScriptParser.levels[level].contains(sign) else { return left }
      advance()
      if sign == "is", takes(word: "not") { sign = "is not" }
      left = .sign(sign, [left, try infix(level + 1)])
    }
  }

  private mutating func prefix() throws(ScriptFault) -> ScriptExpression {
    try deeper()
    defer { depth -= 1 }
    if takes("-") { return .sign("neg", [try prefix()]) }
    if takes(word: "not") { return .sign("not", [try prefix()]) }
    return try primary()
  }

  private mutating func primary() throws(ScriptFault) -> ScriptExpression {
    var value = try atom()
    var length = 0
    while true {
      length += 1
      guard length < ScriptParser.maximumDepth else { throw fault("an expression too long") }
      if takes(".") {
        value = .attribute(value, try name())
      } else if takes("(") {
        let (positional, named) = try arguments()
        value = .call(value, positional, named)
      } else if takes("[") {
        let first = try expression()
        var parts = [first]
        while takes(",") {
          if word == .sign("]") { break }
          parts.append(try expression())
        }
        try expect("]")
        value = .item(value, parts.count == 1 ? first : .tuple(parts))
      } else {
        return value
      }
    }
  }

  private mutating func arguments() throws(ScriptFault) -> ([ScriptExpression], [String: ScriptExpression]) {
    var positional: [ScriptExpression] = []
    var named: [String: ScriptExpression] = [:]
    while !takes(")") {
      if case .name(let name) = word, place + 1 < words.count, words[place + 1].word == .sign("=") {
        advance()
        advance()
        named[name] = try expression()
      } else {
        positional.append(try expression())
      }
      if !takes(","), word != .sign(")") { throw fault("',' is missing") }
    }
    return (positional, named)
  }

  private mutating func atom() throws(ScriptFault) -> ScriptExpression {
    switch word {
    case .integer(let number):
      advance()
      return .integer(number)
    case .float(let number):
      advance()
      return .float(number)
    case .string(let text):
      advance()
      return .string(text)
    case .name(let name):
      advance()
      switch name {
      case "None": return .none
      case "True": return .bool(true)
      case "False": return .bool(false)
      case "inf": return .float(.infinity)
      default: return .name(name)
      }
    case .sign("("):
      advance()
      if takes(")") { return .tuple([]) }
      let first = try expression()
      guard word == .sign(",") else {
        try expect(")")
        return first
      }
      return .tuple(try sequence(first, until: ")"))
    case .sign("["):
      advance()
      if takes("]") { return .list([]) }
      let first = try expression()
      return .list(try sequence(first, until: "]"))
    default: throw fault("an expression is missing")
    }
  }

  private mutating func sequence(
    _ first: ScriptExpression, until end: String
  ) throws(ScriptFault) -> [ScriptExpression] {
    var parts = [first]
    while !takes(end) {
      try expect(",")
      if takes(end) { break }
      parts.append(try expression())
    }
    return parts
  }
}
