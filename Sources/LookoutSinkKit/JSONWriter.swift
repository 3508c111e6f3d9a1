// JSON text, written member by member into one byte buffer.

/// Writes one JSON value; commas and escapes are its business, nesting its caller's.
public struct JSONWriter {
  /// The text so far.
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false

  /// An empty writer.
  public init() {}

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  /// Opens an object, as an element or after ``key(_:)``.
  public mutating func beginObject() {
    separate()
    bytes.append(UInt8(ascii: "{"))
    needsComma = false
  }

  /// Closes the innermost object.
  public mutating func endObject() {
    bytes.append(UInt8(ascii: "}"))
    needsComma = true
  }

  /// Opens an array, as an element or after ``key(_:)``.
  public mutating func beginArray() {
    separate()
    bytes.append(UInt8(ascii: "["))
    needsComma = false
  }

  /// Closes the innermost array.
  public mutating func endArray() {
    bytes.append(UInt8(ascii: "]"))
    needsComma = true
  }

  /// Starts a member; its value follows.
  public mutating func key(_ name: String) {
    separate()
    quote(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// Writes text, nil as null.
  public mutating func value(_ text: String?) {
    separate()
    if let text { quote(text) } else { bytes += Array("null".utf8) }
  }

  /// Writes a whole number.
  public mutating func value(_ number: some BinaryInteger) {
    separate()
    bytes += Array(String(number).utf8)
  }

  /// Writes the shortest decimal that reads back as the same number; null when it is not finite.
  public mutating func value(_ number: Float) {
    separate()
    bytes += Array((number.isFinite ? "\(number)" : "null").utf8)
  }

  /// Writes the shortest decimal that reads back as the same number; null when it is not finite.
  public mutating func value(_ number: Double) {
    separate()
    bytes += Array((number.isFinite ? "\(number)" : "null").utf8)
  }

  /// Writes a truth value.
  public mutating func value(_ flag: Bool) {
    separate()
    bytes += Array((flag ? "true" : "false").utf8)
  }

  /// Writes a file's path as member `name`.
  ///
  /// JSON text is Unicode and paths are bytes. A path that is no UTF-8 has U+FFFD in place of what is not, and its bytes
  /// in a second member, `<name>_base64`.
  public mutating func path(_ name: String, _ path: [UInt8]) {
    key(name)
    if let text = String(validating: path, as: UTF8.self) { return value(text) }
    value(String(decoding: path, as: UTF8.self))
    key("\(name)_base64")
    value(base64(path))
  }

  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): bytes += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0x0A: bytes += Array("\\n".utf8)
      case 0x0D: bytes += Array("\\r".utf8)
      case 0x09: bytes += Array("\\t".utf8)
      case 0..<0x20, 0x7F:
        let digits = Array("0123456789abcdef".utf8)
        bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

/// RFC 4648 base 64 with padding.
func base64(_ bytes: [UInt8]) -> String {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  var text: [UInt8] = []
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let group = bytes[start..<min(start + 3, bytes.count)]
    let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
    for place in 0..<4 {
      text.append(place <= group.count ? alphabet[bits >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
    }
  }
  return String(decoding: text, as: UTF8.self)
}

/// RFC 3339 text in UTC with microseconds, of nanoseconds since 1970.
public func timestamp(nanoseconds: Int64) -> String {
  func floored(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
    let remainder = ((value % divisor) + divisor) % divisor
    return ((value - remainder) / divisor, remainder)
  }
  func padded(_ value: Int64, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }
  let (microseconds, _) = floored(nanoseconds, by: 1000)
  let (seconds, fraction) = floored(microseconds, by: 1_000_000)
  let (days, second) = floored(seconds, by: 86400)
  let date = civilDate(daysSince1970: days)
  return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T"
    + "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2)).\(padded(fraction, 6))Z"
}

/// The proleptic Gregorian date of a day: eras of 400 years that begin in March, so that a leap day ends its year.
func civilDate(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
  let shifted = daysSince1970 + 719_468
  let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let shiftedMonth = (5 * dayOfYear + 2) / 153
  let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
}
