package import Engine
internal import Glibc
package import Platform

/// An event file as TensorBoard reads it: TFRecord frames around `tensorflow.Event` messages.
///
/// Owned by one thread. What is added is written by `flush`, whole frames at a time.
package final class TensorBoardLog {
  private let file: FileDescriptor
  private var pending: [UInt8] = []

  /// Makes the folder and a new file `events.out.tfevents.…` in it.
  ///
  /// - Throws: `TrainingError.platform` if they cannot be made.
  package init(folder: Path) throws(TrainingError) {
    let seconds = Clock.wallNanoseconds() / 1_000_000_000
    do throws(PlatformError) {
      try Directory.create(folder, mode: 0o755)
      file = try FileDescriptor.open(
        folder.appending("events.out.tfevents.\(seconds).lookout.\(getpid())"),
        flags: [.writeOnly, .create, .truncate], mode: 0o644)
    } catch {
      throw .platform(error)
    }
    var version = ProtobufMessage()
    version.add(3, text: "brain.Event:2")
    add(event: version, step: 0)
  }

  package func add(scalar value: Double, tag: String, step: Int) {
    var summary = ProtobufMessage()
    summary.add(1, text: tag)
    summary.add(2, float: Float(value))
    add(summary: summary, step: step)
  }

  /// Counts in 64 equal bins between the least and the largest number.
  package func add(histogram values: UnsafeBufferPointer<Float>, tag: String, step: Int) {
    let finite = values.lazy.filter(\.isFinite).map { Double($0) }
    guard let least = finite.min(), let most = finite.max() else { return }
    let bins = 64
    let width = most > least ? (most - least) / Double(bins) : 1
    var counts = [Double](repeating: 0, count: bins)
    var (sum, squares, count) = (0.0, 0.0, 0.0)
    for value in finite {
      counts[min(bins - 1, Int((value - least) / width))] += 1
      sum += value
      squares += value * value
      count += 1
    }
    var histogram = ProtobufMessage()
    histogram.add(1, double: least)
    histogram.add(2, double: most)
    histogram.add(3, double: count)
    histogram.add(4, double: sum)
    histogram.add(5, double: squares)
    histogram.add(6, doubles: (1...bins).map { least + width * Double($0) })
    histogram.add(7, doubles: counts)
    var summary = ProtobufMessage()
    summary.add(1, text: tag)
    summary.add(5, message: histogram)
    add(summary: summary, step: step)
  }

  /// A picture as a PNG file's bytes.
  package func add(image png: [UInt8], width: Int, height: Int, tag: String, step: Int) {
    var image = ProtobufMessage()
    image.add(1, number: height)
    image.add(2, number: width)
    image.add(3, number: 3)
    image.add(4, bytes: png)
    var summary = ProtobufMessage()
    summary.add(1, text: tag)
    summary.add(4, message: image)
    add(summary: summary, step: step)
  }

  /// The network: a node an operation.
  package func add(graph: Graph) {
    var definition = ProtobufMessage()
    var input = ProtobufMessage()
    input.add(1, text: graph.inputName)
    input.add(2, text: "Placeholder")
    definition.add(1, message: input)
    func path(_ name: String) -> String { String(name.map { $0 == "." ? "/" : $0 }) }
    for node in graph.nodes {
      var message = ProtobufMessage()
      message.add(1, text: path(node.name))
      message.add(2, text: String("\(node.operation)".prefix { $0 != "(" }))
      for name in node.inputs { message.add(3, text: path(name)) }
      definition.add(1, message: message)
    }
    var event = ProtobufMessage()
    event.add(4, bytes: definition.bytes)
    add(event: event, step: 0)
  }

  private func add(summary value: ProtobufMessage, step: Int) {
    var summary = ProtobufMessage()
    summary.add(1, message: value)
    var event = ProtobufMessage()
    event.add(5, message: summary)
    add(event: event, step: step)
  }

  private func add(event body: ProtobufMessage, step: Int) {
    var event = ProtobufMessage()
    event.add(1, double: Double(Clock.wallNanoseconds()) * 1e-9)
    event.add(2, number: step)
    event.append(body)
    let data = event.bytes
    let length = withUnsafeBytes(of: UInt64(data.count).littleEndian) { Array($0) }
    pending += length + CRC32C.masked(length) + data + CRC32C.masked(data)
  }

  /// Writes what was added.
  package func flush() throws(TrainingError) {
    do throws(PlatformError) {
      try file.writeAll(pending)
    } catch {
      throw .platform(error)
    }
    pending = []
  }
}

/// A protocol buffers message in wire form.
struct ProtobufMessage {
  private(set) var bytes: [UInt8] = []

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func key(_ field: Int, _ wire: UInt64) { varint(UInt64(field) << 3 | wire) }

  mutating func add(_ field: Int, number: Int) {
    key(field, 0)
    varint(UInt64(bitPattern: Int64(number)))
  }

  mutating func add(_ field: Int, double: Double) {
    key(field, 1)
    withUnsafeBytes(of: double.bitPattern.littleEndian) { bytes += $0 }
  }

  mutating func add(_ field: Int, float: Float) {
    key(field, 5)
    withUnsafeBytes(of: float.bitPattern.littleEndian) { bytes += $0 }
  }

  mutating func add(_ field: Int, bytes data: [UInt8]) {
    key(field, 2)
    varint(UInt64(data.count))
    bytes += data
  }

  mutating func add(_ field: Int, text: String) { add(field, bytes: Array(text.utf8)) }
  mutating func add(_ field: Int, message: ProtobufMessage) { add(field, bytes: message.bytes) }

  mutating func add(_ field: Int, doubles: [Double]) {
    add(field, bytes: doubles.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } })
  }

  /// Puts another message's fields behind these.
  mutating func append(_ other: ProtobufMessage) { bytes += other.bytes }
}

/// The Castagnoli checksum, and its mask as TFRecord has it.
package enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { rest, _ in rest & 1 == 1 ? rest >> 1 ^ 0x82F6_3B78 : rest >> 1 }
  }

  package static func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
  }

  package static func masked(_ bytes: [UInt8]) -> [UInt8] {
    let sum = checksum(bytes)
    return withUnsafeBytes(of: ((sum >> 15 | sum << 17) &+ 0xA282_EAD8).littleEndian) { Array($0) }
  }
}
