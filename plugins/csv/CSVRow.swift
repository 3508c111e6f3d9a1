// One row of RFC 4180 text.

/// Joins, quotes and disarms fields.
struct CSVRow {
  private var bytes: [UInt8] = []
  private var isEmpty = true

  /// Adds text from outside.
  ///
  /// Text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, tab or return) gets an apostrophe
  /// in front; so does text that begins with one, which makes the rule reversible: a reader drops one leading apostrophe.
  mutating func add(text: [UInt8]) {
    var field = text
    if let first = text.first, "=+-@\t\r'".utf8.contains(first) { field.insert(UInt8(ascii: "'"), at: 0) }
    separate()
    let mustQuote = field.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == 0x0A || $0 == 0x0D }
    guard mustQuote || field.first == 0x20 || field.last == 0x20 else {
      bytes += field
      return
    }
    bytes.append(UInt8(ascii: "\""))
    for byte in field {
      if byte == UInt8(ascii: "\"") { bytes.append(byte) }
      bytes.append(byte)
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Adds what this program made, which needs no quotes.
  mutating func add(number: String) {
    separate()
    bytes += Array(number.utf8)
  }

  private mutating func separate() {
    if !isEmpty { bytes.append(UInt8(ascii: ",")) }
    isEmpty = false
  }

  /// The row with its line end.
  func ended() -> [UInt8] { bytes + [0x0D, 0x0A] }
}
