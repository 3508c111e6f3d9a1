/// Messages of onnx.proto, as far as a test needs them to write a model of a few operators.
package enum SmallONNX {
  /// A model whose `operators` lead from the picture `x` to `y`.
  package static func model(
    picture: [Int], outputs: Int, constants: [[UInt8]], _ operators: [[UInt8]]
  ) -> [UInt8] {
    let graph =
      operators.flatMap { message(1, $0) } + constants.flatMap { message(5, $0) } + message(11, port("x", picture))
      + message(12, port("y", [1, outputs]))
    return integer(1, 8) + message(7, graph) + message(8, integer(2, 13))
  }

  package static func node(_ operation: String, _ inputs: [String], _ output: String) -> [UInt8] {
    inputs.flatMap { text(1, $0) } + text(2, output) + text(4, operation)
  }

  /// The operators that give whole numbers and shape a value by them.
  package static func reshape(_ from: String, _ extents: [Int], _ to: String) -> [[UInt8]] {
    let numbers = extents.flatMap { integer(7, $0) }
    let tensor = integer(1, extents.count) + integer(2, 7) + numbers
    let value = text(1, "value") + message(5, tensor) + integer(20, 4)
    return [node("Constant", [], "s\(to)") + message(5, value), node("Reshape", [from, "s\(to)"], to)]
  }

  /// A tensor of ONNX's type whose numbers are in `content`.
  package static func tensor(_ name: String, _ extents: [Int], type: Int = 1, _ content: [UInt8]) -> [UInt8] {
    extents.flatMap { integer(1, $0) } + integer(2, type) + text(8, name) + content
  }

  /// Where the numbers of a tensor lie beside the model.
  package static func external(_ file: String) -> [UInt8] {
    message(13, text(1, "location") + text(2, file)) + integer(14, 1)
  }

  package static func bytes<Number>(_ numbers: [Number]) -> [UInt8] { numbers.withUnsafeBytes { Array($0) } }

  private static func port(_ name: String, _ extents: [Int]) -> [UInt8] {
    let shape = extents.flatMap { message(1, integer(1, $0)) }
    return text(1, name) + message(2, message(1, integer(1, 1) + message(2, shape)))
  }

  // MARK: Fields

  package static func message(_ field: Int, _ bytes: [UInt8]) -> [UInt8] {
    varint(field << 3 | 2) + varint(bytes.count) + bytes
  }

  /// A number that is not packed with others.
  package static func float(_ field: Int, _ number: Float) -> [UInt8] { varint(field << 3 | 5) + bytes([number]) }

  private static func text(_ field: Int, _ text: String) -> [UInt8] { message(field, Array(text.utf8)) }

  private static func integer(_ field: Int, _ number: Int) -> [UInt8] { varint(field << 3) + varint(number) }

  private static func varint(_ number: Int) -> [UInt8] {
    number < 128 ? [UInt8(number)] : [UInt8(number & 127 | 128)] + varint(number >> 7)
  }
}
