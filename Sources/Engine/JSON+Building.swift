extension JSON {
  package static let null = JSON(.null)
  package static func bool(_ value: Bool) -> JSON { JSON(.bool(value)) }
  package static func string(_ value: String) -> JSON { JSON(.string(value)) }
  package static func integer(_ value: Int) -> JSON { JSON(.number(String(value))) }
  package static func array(_ elements: [JSON]) -> JSON { JSON(.array(elements)) }

  /// The fewest digits that give the same float again; NaN and infinities, which JSON lacks, become null.
  package static func float(_ value: Float) -> JSON {
    value.isFinite ? JSON(.number(value.description)) : .null
  }

  /// The members in the order given.
  package static func object(_ members: KeyValuePairs<String, JSON>) -> JSON {
    JSON(.object(members.map { Member(name: $0.key, value: $0.value) }))
  }

  /// The value as one line of text without blanks.
  package var text: String {
    var bytes: [UInt8] = []
    write(into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private func write(into bytes: inout [UInt8]) {
    switch value {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    case .number(let digits): bytes.append(contentsOf: digits.utf8)
    case .string(let string): JSON.quote(string, into: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        element.write(into: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        JSON.quote(member.name, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        member.value.write(into: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func quote(_ string: String, into bytes: inout [UInt8]) {
    let hex = Array("0123456789abcdef".utf8)
    bytes.append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
      case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
      case 0x0A: bytes.append(contentsOf: "\\n".utf8)
      case 0..<0x20:
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(hex[Int(byte >> 4)])
        bytes.append(hex[Int(byte & 15)])
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

extension JSON {
  /// The elements of an array.
  package func elements(_ what: String) throws(Fault) -> [JSON] {
    guard case .array(let elements) = value else { throw Fault(offset: offset, reason: "\(what) must be an array") }
    return elements
  }

  package func string(_ what: String) throws(Fault) -> String {
    guard case .string(let string) = value else { throw Fault(offset: offset, reason: "\(what) must be a string") }
    return string
  }

  package func bool(_ what: String) throws(Fault) -> Bool {
    guard case .bool(let flag) = value else { throw Fault(offset: offset, reason: "\(what) must be true or false") }
    return flag
  }

  /// A whole number inside bounds.
  package func integer(_ what: String, in range: ClosedRange<Int>) throws(Fault) -> Int {
    guard case .number(let digits) = value, let number = Int(digits), range.contains(number) else {
      throw Fault(
        offset: offset, reason: "\(what) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A finite number.
  package func float(_ what: String) throws(Fault) -> Float {
    guard case .number(let digits) = value, let number = Float(digits), number.isFinite else {
      throw Fault(offset: offset, reason: "\(what) must be a finite number")
    }
    return number
  }

  /// Every name and value of an object, to be taken one by one.
  package func fields(_ what: String) throws(Fault) -> Fields {
    guard case .object(let members) = value else { throw Fault(offset: offset, reason: "\(what) must be an object") }
    return Fields(what: what, offset: offset, members: members)
  }

  /// An object that is read strictly: what nobody took at the end is an error.
  package struct Fields {
    private let what: String
    private let offset: Int
    private var values: [String: JSON] = [:]

    init(what: String, offset: Int, members: [Member]) {
      self.what = what
      self.offset = offset
      for member in members { values[member.name] = member.value }
    }

    package mutating func takeIfPresent(_ name: String) -> JSON? { values.removeValue(forKey: name) }

    package mutating func take(_ name: String) throws(Fault) -> JSON {
      guard let value = values.removeValue(forKey: name) else {
        throw Fault(offset: offset, reason: "\(what) lacks '\(name)'")
      }
      return value
    }

    /// Refuses what is left.
    package func finish() throws(Fault) {
      guard let first = values.min(by: { $0.value.offset < $1.value.offset }) else { return }
      throw Fault(offset: first.value.offset, reason: "\(what) has an unknown '\(first.key)'")
    }
  }
}
