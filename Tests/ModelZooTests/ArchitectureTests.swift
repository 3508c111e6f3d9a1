import Engine
import ModelZoo
import TestSupport
import Testing

/// Every architecture against what PyTorch answers with the same made-up weights (`Tests/Vectors/architectures.py`).
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ArchitectureTests {
  @Test(arguments: Architecture.all.map(\.name))
  func answersAsPyTorch(name: String) throws {
    let expected = try Self.expected(name)
    let graph = try #require(Architecture.named(name)).graph(classes: expected.count)
    let network = try CompiledNetwork(graph: graph, weights: FormulaTensors(for: graph))
    let answers = try InferencePlan(network: network, batchCapacity: 1).answers(toSeed: 7)
    #expect(answers.count == expected.count)
    let allowed = 1e-4 * (expected.map(\.magnitude).max() ?? 0)
    for (index, (a, b)) in zip(answers, expected).enumerated() {
      #expect((a - b).magnitude <= allowed, "answer \(index) is \(a), expected \(b) ± \(allowed)")
    }
  }

  private static func expected(_ name: String) throws -> [Float] {
    let path = "\(#filePath.dropLast("ArchitectureTests.swift".count))Fixtures/architectures.json"
    var fields = try JSON(parsing: Files.text(path)).fields("the file")
    return try fields.take(name).elements("answers").map { try $0.float("an answer") }
  }
}

/// Tensors whose numbers follow from their names alone; the formula is that of `architectures.py`.
private struct FormulaTensors: TensorSource {
  private let shapes: [String: [Int]]

  init(for graph: Graph) throws {
    shapes = Dictionary(uniqueKeysWithValues: try graph.requiredTensors().map { ($0.name, $0.extents) })
  }

  func extents(ofTensor name: String) -> [Int]? { shapes[name] }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let extents = shapes[name] else { throw .tensor(name: name, reason: "it is missing") }
    let seed = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    var (factor, offset): (Float, Float) = (0.25, 0)
    if extents.count > 1 {
      factor = Float((6 / Double(extents.dropFirst().reduce(1, *))).squareRoot())
    } else if name.hasSuffix("running_var") {
      (factor, offset) = (0.5, 1)
    } else if name.hasSuffix("weight") {
      offset = 1
    }
    let count = extents.reduce(1, *)
    return [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      var index = 0
      while index < count {
        var bits = UInt32(truncatingIfNeeded: index) &* 0x9E37_79B9 ^ seed
        bits = (bits ^ bits >> 16) &* 0x85EB_CA6B
        bits = (bits ^ bits >> 13) &* 0xC2B2_AE35
        bits ^= bits >> 16
        floats.initializeElement(at: index, to: (Float(bits >> 8) / 8_388_608 - 1) * factor + offset)
        index += 1
      }
      initialized = count
    }
  }
}
