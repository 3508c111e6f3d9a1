/// Walks the fields of one protobuf message, whose bytes are a part of a file.
///
/// Every length is checked against the message before it is used, and nothing is copied.
struct ProtobufReader {
  /// A field's value as it stands on the wire.
  enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    /// Text, bytes, a message or packed numbers: where they lie in the file.
    case bytes(Range<Int>)
  }

  private let file: UnsafeRawBufferPointer
  private(set) var position: Int
  private let end: Int

  /// Reads the message that lies at `range`, which the caller has checked.
  init(_ file: UnsafeRawBufferPointer, _ range: Range<Int>) {
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  private func damaged(_ reason: String) -> FormatFault { FormatFault(offset: position, reason: reason) }

  /// The next field's number and value; nil at the message's end.
  mutating func next() throws(FormatFault) -> (number: Int, value: Value)? {
    guard position < end else { return nil }
    let key = try varint()
    guard key >> 3 >= 1, key >> 3 < 1 << 29 else { throw damaged("a field of number \(key >> 3): no ONNX model") }
    let number = Int(key >> 3)
    switch key & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed64(file.number(at: try skip(8), bytes: 8)))
    case 2:
      let count = try varint()
      guard count <= UInt64(end - position) else { throw damaged("a field of \(count) bytes goes beyond its message") }
      let start = try skip(Int(count))
      return (number, .bytes(start..<position))
    case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: file.number(at: try skip(4), bytes: 4))))
    default: throw damaged("a field of unknown kind \(key & 7): no ONNX model")
    }
  }

  /// Moves on and gives where it was.
  private mutating func skip(_ count: Int) throws(FormatFault) -> Int {
    guard end - position >= count else { throw damaged("cut short") }
    defer { position += count }
    return position
  }

  private mutating func varint() throws(FormatFault) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      let byte = file[try skip(1)]
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw damaged("a number of more than 64 bits")
  }

  // MARK: Values

  static func text(_ value: Value, in file: UnsafeRawBufferPointer) -> String {
    guard case .bytes(let range) = value else { return "" }
    return String(decoding: file[range], as: UTF8.self)
  }

  /// Appends a whole number, or all of a packed run of them.
  static func append(_ value: Value, to numbers: inout [Int], in file: UnsafeRawBufferPointer) throws(FormatFault) {
    switch value {
    case .varint(let number): numbers.append(Int(truncatingIfNeeded: number))
    case .fixed32(let number): numbers.append(Int(number))
    case .fixed64(let number): numbers.append(Int(truncatingIfNeeded: number))
    case .bytes(let range):
      var reader = ProtobufReader(file, range)
      while reader.position < range.upperBound { numbers.append(Int(truncatingIfNeeded: try reader.varint())) }
    }
  }

  /// Appends a 32-bit or 64-bit floating number, or all of a packed run of them (`width` bytes each).
  static func append(
    _ value: Value, width: Int, to numbers: inout [Float], in file: UnsafeRawBufferPointer
  ) throws(FormatFault) {
    switch value {
    case .fixed32(let bits): numbers.append(Float(bitPattern: bits))
    case .fixed64(let bits): numbers.append(Float(Double(bitPattern: bits)))
    case .bytes(let range):
      guard range.count.isMultiple(of: width) else {
        throw FormatFault(offset: range.lowerBound, reason: "a run of numbers that does not come out even")
      }
      for start in stride(from: range.lowerBound, to: range.upperBound, by: width) {
        let bits = file.number(at: start, bytes: width)
        numbers.append(
          width == 4
            ? Float(bitPattern: UInt32(truncatingIfNeeded: bits)) : Float(Double(bitPattern: bits)))
      }
    case .varint: throw FormatFault(offset: 0, reason: "a whole number where a fraction should be")
    }
  }
}
