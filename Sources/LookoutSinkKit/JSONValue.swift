// A strict reader of JSON, for configurations; bounded in depth, no duplicate keys.

enum JSONValue {
  case null
  case bool(Bool)
  /// The number's text, as JSON spells it.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a truth value"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "a table"
    }
  }

  init(parsing bytes: [UInt8]) throws(SinkError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.document()
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  var place = 0

  func fail(_ what: String) -> SinkError { .fatal("the configuration is no JSON: \(what) at byte \(place)") }

  var next: UInt8? { place < bytes.count ? bytes[place] : nil }

  mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { place += 1 }
  }

  mutating func document() throws(SinkError) -> JSONValue {
    let result = try value(depth: 0)
    skipSpace()
    guard next == nil else { throw fail("text behind the value") }
    return result
  }

  mutating func expect(_ text: StaticString, _ result: JSONValue) throws(SinkError) -> JSONValue {
    let wanted = text.withUTF8Buffer { Array($0) }
    guard bytes[place...].starts(with: wanted) else { throw fail("an unknown word") }
    place += wanted.count
    return result
  }

  mutating func value(depth: Int) throws(SinkError) -> JSONValue {
    guard depth < 32 else { throw fail("nesting deeper than 32") }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try expect("true", .bool(true))
    case UInt8(ascii: "f"): return try expect("false", .bool(false))
    case UInt8(ascii: "n"): return try expect("null", .null)
    default: return try number()
    }
  }

  mutating func object(depth: Int) throws(SinkError) -> JSONValue {
    var members: [String: JSONValue] = [:]
    place += 1
    skipSpace()
    if next == UInt8(ascii: "}") {
      place += 1
      return .object(members)
    }
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw fail("no key") }
      let key = try string()
      guard members[key] == nil else { throw fail("the key '\(key)' a second time") }
      skipSpace()
      guard next == UInt8(ascii: ":") else { throw fail("no colon") }
      place += 1
      members[key] = try value(depth: depth + 1)
      skipSpace()
      let end = next
      place += 1
      if end == UInt8(ascii: "}") { return .object(members) }
      guard end == UInt8(ascii: ",") else { throw fail("neither comma nor brace") }
    }
  }

  mutating func array(depth: Int) throws(SinkError) -> JSONValue {
    var items: [JSONValue] = []
    place += 1
    skipSpace()
    if next == UInt8(ascii: "]") {
      place += 1
      return .array(items)
    }
    while true {
      items.append(try value(depth: depth + 1))
      skipSpace()
      let end = next
      place += 1
      if end == UInt8(ascii: "]") { return .array(items) }
      guard end == UInt8(ascii: ",") else { throw fail("neither comma nor bracket") }
    }
  }

  mutating func number() throws(SinkError) -> JSONValue {
    let start = place
    while let byte = next, "+-.eE0123456789".utf8.contains(byte) { place += 1 }
    let text = String(decoding: bytes[start..<place], as: UTF8.self)
    guard let first = text.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "."), Double(text) != nil
    else { throw fail("no value") }
    return .number(text)
  }

  mutating func string() throws(SinkError) -> String {
    var text: [UInt8] = []
    place += 1
    while let byte = next {
      place += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let result = String(validating: text, as: UTF8.self) else { throw fail("text that is no UTF-8") }
        return result
      case UInt8(ascii: "\\"): text += try escape()
      case 0..<0x20: throw fail("a bare control character")
      default: text.append(byte)
      }
    }
    throw fail("an open string")
  }

  mutating func escape() throws(SinkError) -> [UInt8] {
    guard let byte = next else { throw fail("an open escape") }
    place += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var code = try hex()
      if 0xD800..<0xDC00 ~= code, bytes[place...].starts(with: "\\u".utf8) {
        place += 2
        let low = try hex()
        guard 0xDC00..<0xE000 ~= low else { throw fail("half a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw fail("half a surrogate pair") }
      return Array(String(Character(scalar)).utf8)
    default: throw fail("an unknown escape")
    }
  }

  mutating func hex() throws(SinkError) -> UInt32 {
    guard place + 4 <= bytes.count, bytes[place..<place + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let code = UInt32(String(decoding: bytes[place..<place + 4], as: UTF8.self), radix: 16)
    else { throw fail("no four hex digits") }
    place += 4
    return code
  }
}
