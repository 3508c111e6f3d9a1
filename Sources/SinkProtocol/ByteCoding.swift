// Bounded binary coding, little-endian, shared by records and frames. Pure; never traps on input.

/// What is wrong with bytes that came from a file or the other side of a socket.
package enum WireError: Error, Equatable, CustomStringConvertible {
  /// The bytes end inside a field that starts at `offset`.
  case truncated(offset: Int)
  /// A length or count at `offset` is above what the format allows.
  case tooLong(offset: Int, length: Int, limit: Int)
  /// The value at `offset` is none of those the format knows.
  case invalid(offset: Int, what: String)
  /// Bytes follow the last field.
  case trailing(offset: Int)

  package var description: String {
    switch self {
    case .truncated(let offset): "the bytes end inside the field at offset \(offset)"
    case .tooLong(let offset, let length, let limit):
      "the length \(length) at offset \(offset) is above the limit \(limit)"
    case .invalid(let offset, let what): "\(what) at offset \(offset)"
    case .trailing(let offset): "bytes follow the last field at offset \(offset)"
    }
  }
}

/// Appends fields to a byte array.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func put<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func put(_ value: some Collection<UInt8>) {
    put(UInt32(value.count))
    bytes.append(contentsOf: value)
  }

  mutating func put(_ value: String) { put(value.utf8) }

  mutating func put(_ value: String?) {
    put(UInt8(value == nil ? 0 : 1))
    if let value { put(value) }
  }
}

/// Takes fields off a byte array, checking every length before use.
struct ByteReader {
  let bytes: [UInt8]
  private(set) var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var remaining: Int { bytes.count - offset }

  mutating func take<Value: FixedWidthInteger>(_ type: Value.Type) throws(WireError) -> Value {
    let size = MemoryLayout<Value>.size
    guard remaining >= size else { throw .truncated(offset: offset) }
    var value: Value = 0
    for index in (0..<size).reversed() {
      // The shift of an 8-bit value by 8 yields 0, as the smart shift defines.
      value = (value << 8) | Value(truncatingIfNeeded: bytes[offset + index])
    }
    offset += size
    return value
  }

  mutating func takeBytes(limit: Int) throws(WireError) -> [UInt8] {
    let start = offset
    let count = Int(try take(UInt32.self))
    guard count <= limit else { throw .tooLong(offset: start, length: count, limit: limit) }
    guard remaining >= count else { throw .truncated(offset: start) }
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  mutating func takeString(limit: Int) throws(WireError) -> String {
    let start = offset
    let raw = try takeBytes(limit: limit)
    guard let text = String(validating: raw, as: UTF8.self) else {
      throw .invalid(offset: start, what: "text that is no UTF-8")
    }
    return text
  }

  mutating func takeOptionalString(limit: Int) throws(WireError) -> String? {
    let start = offset
    switch try take(UInt8.self) {
    case 0: return nil
    case 1: return try takeString(limit: limit)
    default: throw .invalid(offset: start, what: "a presence flag that is neither 0 nor 1")
    }
  }

  /// Checks that `count` elements of at least `minimumSize` bytes can still follow.
  mutating func takeCount(limit: Int, minimumSize: Int) throws(WireError) -> Int {
    let start = offset
    let count = Int(try take(UInt32.self))
    guard count <= limit else { throw .tooLong(offset: start, length: count, limit: limit) }
    guard count <= remaining / minimumSize else { throw .truncated(offset: start) }
    return count
  }

  func finish() throws(WireError) {
    guard remaining == 0 else { throw .trailing(offset: offset) }
  }
}
