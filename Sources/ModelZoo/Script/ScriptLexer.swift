/// A word of the language that TorchScript archives hold their code in.
enum ScriptToken: Equatable {
  case name(String)
  case integer(Int)
  case float(Double)
  case string(String)
  /// One of the signs, such as `(` or `->`.
  case sign(String)
  case newline
  case indent
  case dedent
  case end
}

/// Parts a code file into words, each with its line; blocks are told by their indentation, as in Python.
struct ScriptLexer {
  private static let maximumBytes = 8 << 20
  private static let signs = ["->", "==", "!=", "<=", ">=", "//", "**"]

  static func words(_ source: [UInt8]) throws(ScriptFault) -> [(word: ScriptToken, line: Int)] {
    guard source.count <= maximumBytes else {
      throw ScriptFault(line: 1, reason: "a code file of \(source.count) bytes")
    }
    var words: [(word: ScriptToken, line: Int)] = []
    var indents = [0]
    var depth = 0
    var line = 0
    for text in source.split(separator: 0x0A, omittingEmptySubsequences: false) {
      line += 1
      var place = text.startIndex
      while place < text.endIndex, text[place] == 0x20 { place += 1 }
      guard place < text.endIndex, text[place] != UInt8(ascii: "#") else { continue }
      if depth == 0 {
        let indent = place - text.startIndex
        if indent > indents[indents.count - 1] {
          indents.append(indent)
          words.append((.indent, line))
        }
        while indent < indents[indents.count - 1] {
          indents.removeLast()
          words.append((.dedent, line))
        }
      }
      while place < text.endIndex {
        guard let word = try word(text, &place, line) else { break }
        if case .sign(let sign) = word {
          if "([{".contains(sign) { depth += 1 }
          if ")]}".contains(sign) { depth -= 1 }
        }
        words.append((word, line))
      }
      if depth <= 0 { words.append((.newline, line)) }
    }
    for _ in indents.dropFirst() { words.append((.dedent, line)) }
    words.append((.end, line))
    return words
  }

  private static func isNamePart(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
      || (0x61...0x7A).contains(byte) || byte >= 0x80
  }

  private static func word(
    _ text: ArraySlice<UInt8>, _ place: inout Int, _ line: Int
  ) throws(ScriptFault) -> ScriptToken? {
    while place < text.endIndex, text[place] == 0x20 { place += 1 }
    guard place < text.endIndex, text[place] != UInt8(ascii: "#") else { return nil }
    let start = place
    let byte = text[place]
    if (0x30...0x39).contains(byte) { return number(text, &place) }
    if isNamePart(byte) {
      while place < text.endIndex, isNamePart(text[place]) { place += 1 }
      return .name(String(decoding: text[start..<place], as: UTF8.self))
    }
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return .string(try string(text, &place, line)) }
    let two = String(decoding: text[start..<min(start + 2, text.endIndex)], as: UTF8.self)
    if signs.contains(two) {
      place += 2
      return .sign(two)
    }
    place += 1
    return .sign(String(decoding: [byte], as: UTF8.self))
  }

  private static func number(_ text: ArraySlice<UInt8>, _ place: inout Int) -> ScriptToken {
    let start = place
    var isFraction = false
    while place < text.endIndex {
      let byte = text[place]
      if byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
        isFraction = true
      } else if byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") {
        guard text[place - 1] == UInt8(ascii: "e") || text[place - 1] == UInt8(ascii: "E") else { break }
      } else if !(0x30...0x39).contains(byte) {
        break
      }
      place += 1
    }
    let word = String(decoding: text[start..<place], as: UTF8.self)
    if !isFraction, let integer = Int(word) { return .integer(integer) }
    return .float(Double(word.hasSuffix(".") ? word + "0" : word) ?? .nan)
  }

  private static func string(
    _ text: ArraySlice<UInt8>, _ place: inout Int, _ line: Int
  ) throws(ScriptFault) -> String {
    let quote = text[place]
    var bytes: [UInt8] = []
    place += 1
    while place < text.endIndex, text[place] != quote {
      if text[place] == UInt8(ascii: "\\"), place + 1 < text.endIndex { place += 1 }
      bytes.append(text[place])
      place += 1
    }
    guard place < text.endIndex else { throw ScriptFault(line: line, reason: "a text without end") }
    place += 1
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// A fault in an archive's code, by its line.
struct ScriptFault: Error {
  let line: Int
  let reason: String
}
