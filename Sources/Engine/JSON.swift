/// A JSON text (RFC 8259) as values that remember where they stood.
///
/// The engine reads the headers of weights files with it, which may be hostile: nesting is bounded, a name may occur
/// once in an object, bytes must be UTF-8, and every fault has its byte offset. Members keep their order, numbers
/// keep their digits, so that writing what was read gives the same text.
package struct JSON: Sendable {
  package enum Value: Sendable {
    case null
    case bool(Bool)
    /// The digits as they stand in the text.
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])
  }

  /// A name and its value inside an object.
  package struct Member: Sendable {
    package let name: String
    package let value: JSON

    package init(name: String, value: JSON) {
      self.name = name
      self.value = value
    }
  }

  /// What breaks a rule, and at which byte of the text.
  package struct Fault: Error, Equatable {
    package let offset: Int
    package let reason: String

    /// For rules that a reader of values adds; `offset` is the value's.
    package init(offset: Int, reason: String) {
      self.offset = offset
      self.reason = reason
    }
  }

  package let value: Value
  /// The byte of the text at which the value starts; 0 for a value that was built, not read.
  package let offset: Int

  package init(_ value: Value, offset: Int = 0) {
    self.value = value
    self.offset = offset
  }

  /// Reads one text to its end; blanks may follow.
  ///
  /// - Throws: `JSON.Fault` at the first byte that breaks a rule.
  package init(parsing bytes: UnsafeRawBufferPointer) throws(Fault) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.document()
  }

  /// Reads one text to its end; blanks may follow.
  ///
  /// - Throws: `JSON.Fault` at the first byte that breaks a rule.
  package init(parsing text: String) throws(Fault) {
    let bytes = Array(text.utf8)
    let result: Result<JSON, Fault> = bytes.withUnsafeBytes { buffer in
      do throws(Fault) {
        return .success(try JSON(parsing: buffer))
      } catch {
        return .failure(error)
      }
    }
    self = try result.get()
  }
}

/// One pass over a text, by recursive descent no deeper than `maximumDepth`.
private struct JSONParser {
  static let maximumDepth = 24

  let bytes: UnsafeRawBufferPointer
  var position = 0
  var depth = 0

  init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func document() throws(JSON.Fault) -> JSON {
    let result = try value()
    skipBlanks()
    guard position == bytes.count else { throw fault("something follows the value") }
    return result
  }

  private func fault(_ reason: String) -> JSON.Fault { JSON.Fault(offset: position, reason: reason) }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipBlanks() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(JSON.Fault) {
    skipBlanks()
    guard peek() == UInt8(ascii: character) else { throw fault("'\(character)' expected") }
    position += 1
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipBlanks()
    guard peek() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func value() throws(JSON.Fault) -> JSON {
    skipBlanks()
    let start = position
    guard let first = peek() else { throw fault("the text ends where a value is expected") }
    switch first {
    case UInt8(ascii: "{"):
      return JSON(.object(try members()), offset: start)
    case UInt8(ascii: "["):
      return JSON(.array(try elements()), offset: start)
    case UInt8(ascii: "\""):
      return JSON(.string(try string()), offset: start)
    case UInt8(ascii: "t"):
      try word("true")
      return JSON(.bool(true), offset: start)
    case UInt8(ascii: "f"):
      try word("false")
      return JSON(.bool(false), offset: start)
    case UInt8(ascii: "n"):
      try word("null")
      return JSON(.null, offset: start)
    default:
      return JSON(.number(try number()), offset: start)
    }
  }

  private mutating func descend() throws(JSON.Fault) {
    guard depth < JSONParser.maximumDepth else { throw fault("nested deeper than \(JSONParser.maximumDepth)") }
    depth += 1
    position += 1
  }

  private mutating func members() throws(JSON.Fault) -> [JSON.Member] {
    try descend()
    defer { depth -= 1 }
    var members: [JSON.Member] = []
    if take("}") { return members }
    var names: Set<String> = []
    repeat {
      skipBlanks()
      let start = position
      guard peek() == UInt8(ascii: "\"") else { throw fault("a name in quotes expected") }
      let name = try string()
      guard names.insert(name).inserted else {
        throw JSON.Fault(offset: start, reason: "'\(name)' occurs twice in one object")
      }
      try expect(":")
      members.append(JSON.Member(name: name, value: try value()))
    } while take(",")
    try expect("}")
    return members
  }

  private mutating func elements() throws(JSON.Fault) -> [JSON] {
    try descend()
    defer { depth -= 1 }
    var elements: [JSON] = []
    if take("]") { return elements }
    repeat { elements.append(try value()) } while take(",")
    try expect("]")
    return elements
  }

  private mutating func word(_ text: StaticString) throws(JSON.Fault) {
    let length = text.utf8CodeUnitCount
    guard bytes.count - position >= length else { throw fault("'\(text)' expected") }
    for index in 0..<length where bytes[position + index] != text.utf8Start[index] {
      throw fault("'\(text)' expected")
    }
    position += length
  }

  private mutating func digits() throws(JSON.Fault) {
    guard let first = peek(), isDigit(first) else { throw fault("a digit expected") }
    while let byte = peek(), isDigit(byte) { position += 1 }
  }

  private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  private mutating func number() throws(JSON.Fault) -> String {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    guard let first = peek(), isDigit(first) else { throw fault("a value expected") }
    if first == UInt8(ascii: "0") { position += 1 } else { try digits() }
    if peek() == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if let byte = peek(), byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      position += 1
      if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    guard position - start <= 64 else { throw JSON.Fault(offset: start, reason: "a number of more than 64 characters") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func string() throws(JSON.Fault) -> String {
    let start = position
    position += 1
    var text: [UInt8] = []
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          throw JSON.Fault(offset: start, reason: "a string that is no UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        position += 1
        try escape(into: &text)
      case 0..<0x20:
        throw fault("a control character inside a string")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw JSON.Fault(offset: start, reason: "a string without end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSON.Fault) {
    guard let byte = peek() else { throw fault("a string without end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): try unicodeEscape(into: &text)
    default: throw fault("an unknown escape in a string")
    }
  }

  private mutating func unicodeEscape(into text: inout [UInt8]) throws(JSON.Fault) {
    var code = try fourHexDigits()
    if (0xD800..<0xDC00).contains(code) {
      try word("\\u")
      let low = try fourHexDigits()
      guard (0xDC00..<0xE000).contains(low) else { throw fault("half of a surrogate pair") }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw fault("half of a surrogate pair") }
    text.append(contentsOf: Array(String(Character(scalar)).utf8))
  }

  private mutating func fourHexDigits() throws(JSON.Fault) -> UInt32 {
    guard bytes.count - position >= 4 else { throw fault("four hexadecimal digits expected") }
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
        throw fault("four hexadecimal digits expected")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
