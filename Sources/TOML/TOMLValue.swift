internal import CTOML

/// Where something stands in a file, counted from 1.
package struct FilePosition: Equatable, Sendable {
  package var line: Int
  package var column: Int

  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
}

/// A value of a TOML document and its place.
package struct TOMLValue: Sendable {
  package enum Content: Sendable {
    case table([Entry])
    case array([TOMLValue])
    case string(String)
    case integer(Int)
    case float(Double)
    case boolean(Bool)
    /// A date or time; no key of Lookout's takes one.
    case other
  }

  /// A key of a table with its value.
  package struct Entry: Sendable {
    package let key: String
    package let position: FilePosition
    package let value: TOMLValue

    package init(key: String, position: FilePosition, value: TOMLValue) {
      self.key = key
      self.position = position
      self.value = value
    }
  }

  package let content: Content
  package let position: FilePosition

  package init(content: Content, position: FilePosition) {
    self.content = content
    self.position = position
  }

  /// Parses a document (TOML 1.0, by toml++).
  ///
  /// - Returns: the root table, or the place and reason of a syntax error.
  package static func parse(_ text: [UInt8]) -> Result<TOMLValue, SyntaxError> {
    var line: UInt32 = 0
    var column: UInt32 = 0
    var message = [CChar](repeating: 0, count: 512)
    let document = text.withUnsafeBytes { bytes -> OpaquePointer? in
      guard let base = bytes.bindMemory(to: CChar.self).baseAddress else {
        return ctoml_parse("", 0, &line, &column, &message, message.count)
      }
      return ctoml_parse(base, bytes.count, &line, &column, &message, message.count)
    }
    guard let document else {
      let reason = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      return .failure(
        SyntaxError(
          position: FilePosition(line: Int(line), column: Int(column)), reason: String(decoding: reason, as: UTF8.self))
      )
    }
    defer { ctoml_free(document) }
    var count = 0
    let nodes = UnsafeBufferPointer(start: ctoml_nodes(document, &count), count: count)
    return .success(value(at: 0, in: nodes))
  }

  package struct SyntaxError: Error {
    package let position: FilePosition
    package let reason: String
  }

  private static func value(at index: Int, in nodes: UnsafeBufferPointer<ctoml_node>) -> TOMLValue {
    let node = nodes[index]
    var children: [Int] = []
    var next = node.first_child
    while next >= 0 {
      children.append(Int(next))
      next = nodes[Int(next)].next_sibling
    }
    let content: Content =
      switch node.kind {
      case ctoml_table:
        .table(
          children.map { child in
            Entry(
              key: String(cString: nodes[child].key),
              position: FilePosition(line: Int(nodes[child].key_line), column: Int(nodes[child].key_column)),
              value: value(at: child, in: nodes))
          })
      case ctoml_array: .array(children.map { value(at: $0, in: nodes) })
      case ctoml_string: .string(String(cString: node.text))
      case ctoml_integer: .integer(Int(node.integer))
      case ctoml_float: .float(node.real)
      case ctoml_boolean: .boolean(node.integer != 0)
      default: .other
      }
    return TOMLValue(content: content, position: FilePosition(line: Int(node.line), column: Int(node.column)))
  }

  /// The value as JSON, for a plugin that reads its own part of the table.
  package var json: String {
    switch content {
    case .table(let entries):
      "{" + entries.map { "\(Self.quoted($0.key)):\($0.value.json)" }.joined(separator: ",") + "}"
    case .array(let values): "[" + values.map(\.json).joined(separator: ",") + "]"
    case .string(let text): Self.quoted(text)
    case .integer(let number): "\(number)"
    case .float(let number): number.isFinite ? "\(number)" : "null"
    case .boolean(let flag): "\(flag)"
    case .other: "null"
    }
  }

  package static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\u{0}"..<"\u{20}":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
