import Engine
import Glibc
import ModelZoo
import TestSupport
import Testing

/// Weights that stay in a foreign file until some of their rows are asked for.
struct StoredWeightsTests {
  private static let extents = [7, 5]
  private static let numbers = (0..<35).map { Float($0) - 11.5 }

  /// Operators from `f`, the flattened picture, and the constant `w` to `y`.
  private static func model(features: Int, outputs: Int, _ weight: [UInt8], _ operators: [[UInt8]]) -> [UInt8] {
    SmallONNX.model(
      picture: [1, features, 1, 1], outputs: outputs, constants: [weight],
      [SmallONNX.node("Flatten", ["x"], "f")] + operators)
  }

  /// w as features × outputs.
  private static func product(_ weight: [UInt8]) throws -> ImportedNetwork {
    try ONNXFile.read(
      bytes: model(features: 7, outputs: 5, weight, [SmallONNX.node("MatMul", ["f", "w"], "y")]))
  }

  /// The only product's weights, all at once.
  private static func weights(_ network: ImportedNetwork) throws -> [Float] {
    try network.tensors.floats(ofTensor: Self.name(network))
  }

  private static func name(_ network: ImportedNetwork) throws -> String {
    try #require(network.graph.requiredTensors().first).name
  }

  private static let turned = (0..<35).map { numbers[$0 % 7 * 5 + $0 / 7] }

  @Test func numbersAreReadInWhateverFormTheyStand() throws {
    let halves = Self.numbers.map { Float16($0) }
    let doubles = Self.numbers.map { Double($0) }
    let (first, last) = (Array(Self.numbers[..<9]), Array(Self.numbers[9...]))
    let forms: [(type: Int, content: [UInt8])] = [
      (1, SmallONNX.message(9, SmallONNX.bytes(Self.numbers))),
      (10, SmallONNX.message(9, SmallONNX.bytes(halves))),
      (11, SmallONNX.message(9, SmallONNX.bytes(doubles))),
      (1, SmallONNX.message(4, SmallONNX.bytes(Self.numbers))),
      (11, SmallONNX.message(10, SmallONNX.bytes(doubles))),
      (1, Self.numbers.flatMap { SmallONNX.float(4, $0) }),
      (1, SmallONNX.message(4, SmallONNX.bytes(first)) + SmallONNX.message(4, SmallONNX.bytes(last))),
      (1, SmallONNX.message(4, SmallONNX.bytes(first)) + last.flatMap { SmallONNX.float(4, $0) }),
    ]
    for (place, form) in forms.enumerated() {
      let network = try Self.product(SmallONNX.tensor("w", Self.extents, type: form.type, form.content))
      #expect(try Self.weights(network) == Self.turned, "form \(place)")
    }
    for count in [34, 36] {
      let numbers = [Float](repeating: 1, count: count)
      #expect(throws: ModelZooError.self) {
        try Self.product(SmallONNX.tensor("w", Self.extents, SmallONNX.message(4, SmallONNX.bytes(numbers))))
      }
    }
  }

  @Test func rowsOfATensorAreThoseOfTheWhole() throws {
    for name in ["mixed.onnx", "mixed.dynamo.onnx", "nhwc.onnx", "plain.trace.pt", "plain.script.pt"] {
      let network = try ExchangeTests.read(name)
      for tensor in try network.graph.requiredTensors() {
        let whole = try network.tensors.floats(ofTensor: tensor.name)
        let count = try #require(tensor.extents.first)
        for step in [1, 3] {
          var parts: [Float] = []
          for first in stride(from: 0, to: count, by: step) {
            parts += try network.tensors.floats(ofTensor: tensor.name, rows: first..<min(count, first + step))
          }
          #expect(parts == whole, "\(name): \(tensor.name)")
        }
      }
    }
  }

  /// A Transpose of one million more numbers than are computed with, in a file that has holes instead of zeros.
  @Test func aLargeWeightIsTransposedWhereItLies() throws {
    let scratch = Scratch()
    let (features, outputs) = (4200, 4300)
    let model = Self.model(
      features: features, outputs: outputs,
      SmallONNX.tensor("w", [outputs, features], SmallONNX.external("w.data")),
      [SmallONNX.node("Transpose", ["w"], "t"), SmallONNX.node("MatMul", ["f", "t"], "y")])
    Files.write(model, to: scratch("m.onnx"))
    let data = open(scratch("w.data"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(data) }
    try #require(ftruncate(data, off_t(features * outputs * 4)) == 0)
    let places = [(0, 0), (17, 4199), (4299, 0), (4299, 4199)]
    for (row, column) in places {
      var number = Float(row * 5000 + column + 1)
      try #require(pwrite(data, &number, 4, off_t((row * features + column) * 4)) == 4)
    }
    let network = try ONNXFile.read(path: scratch("m.onnx"), size: nil, output: nil)
    let name = try Self.name(network)
    #expect(network.tensors.extents(ofTensor: name) == [outputs, features])
    for (row, column) in places {
      let numbers = try network.tensors.floats(ofTensor: name, rows: row..<(row + 1))
      #expect(numbers.count == features && numbers[column] == Float(row * 5000 + column + 1))
    }
  }

  /// Axes are turned, joined and parted by turns, last across what was turned.
  @Test func turningAndShapingComeToTheSameNumbers() throws {
    let numbers = (0..<24).map { Float($0) }
    // a is 6×4, c is 4×2×3, e is 3×8 and joins what was turned.
    let operators =
      [SmallONNX.node("Transpose", ["w"], "a")] + SmallONNX.reshape("a", [3, 2, 4], "b")
      + [SmallONNX.node("Transpose", ["b"], "c")] + SmallONNX.reshape("c", [8, 3], "d")
      + [SmallONNX.node("Transpose", ["d"], "e")] + SmallONNX.reshape("e", [6, 4], "g")
      + [SmallONNX.node("MatMul", ["f", "g"], "y")]
    let network = try ONNXFile.read(
      bytes: Self.model(
        features: 6, outputs: 4, SmallONNX.tensor("w", [4, 6], SmallONNX.message(9, SmallONNX.bytes(numbers))),
        operators))
    var expected = [Float](repeating: 0, count: 24)
    for place in 0..<24 {
      // Where the product's row `place / 6`, column `place % 6` stands in g, e, d, c, b, a and w, one after another.
      let g = place % 6 * 4 + place / 6
      let d = (row: g % 8, column: g / 8)
      let c = d.row * 3 + d.column
      let b = (c % 3, c / 3 % 2, c / 6)
      let a = (b.0 * 2 + b.1) * 4 + b.2
      expected[place] = numbers[a % 4 * 6 + a / 4]
    }
    #expect(try Self.weights(network) == expected)
  }

  /// No numbers at all, in a shape whose other axes cannot be multiplied.
  @Test func aShapeOfNothingIsRefusedWhereItCannotBeReckonedWith() {
    let weight = SmallONNX.tensor("w", [0, 1 << 40, 1 << 40], SmallONNX.message(9, []))
    let operators = [SmallONNX.node("Transpose", ["w"], "t"), SmallONNX.node("MatMul", ["f", "t"], "y")]
    let error = #expect(throws: ModelZooError.self) {
      try ONNXFile.read(bytes: Self.model(features: 7, outputs: 5, weight, operators))
    }
    #expect("\(String(describing: error))".contains("senseless shape"))
  }
}
