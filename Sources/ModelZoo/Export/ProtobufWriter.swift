/// Builds one protobuf message in memory.
struct ProtobufWriter {
  private(set) var bytes: [UInt8] = []

  private mutating func varint(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func integer(_ field: Int, _ number: Int) {
    varint(UInt64(field) << 3)
    varint(UInt64(bitPattern: Int64(number)))
  }

  mutating func float(_ field: Int, _ number: Float) {
    varint(UInt64(field) << 3 | 5)
    withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func text(_ field: Int, _ text: String) { data(field, Array(text.utf8)) }

  mutating func message(_ field: Int, _ message: ProtobufWriter) { data(field, message.bytes) }

  mutating func data(_ field: Int, _ data: [UInt8]) {
    head(field, count: data.count)
    bytes += data
  }

  /// The key and length of a field whose bytes the caller writes right behind.
  mutating func head(_ field: Int, count: Int) {
    varint(UInt64(field) << 3 | 2)
    varint(UInt64(count))
  }
}
