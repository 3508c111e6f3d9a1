import Engine
import ModelZoo
import TestSupport
import Testing

/// Every architecture against what PyTorch answers with the same made-up weights (`Tests/Vectors/architectures.py`).
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ArchitectureTests {
  @Test(arguments: Architecture.all.map(\.name))
  func answersAsPyTorch(name: String) throws {
    let architecture = try #require(Architecture.named(name))
    for (size, expected) in try Self.cases(of: name) {
      let shape = Shape(c: architecture.inputShape.c, h: size.h, w: size.w)
      let graph = architecture.graph(classes: expected.count, inputShape: shape)
      let weights = try FormulaTensors(for: graph, gain: Self.gain(name))
      for (isExact, bound) in [(true, Float(1e-4)), (false, 1e-3)] {
        let network = try CompiledNetwork(graph: graph, weights: weights, options: EngineOptions(isExact: isExact))
        let answers = try InferencePlan(network: network, batchCapacity: 1).answers(toSeed: 7)
        #expect(answers.count == expected.count)
        let allowed = bound * (expected.map(\.magnitude).max() ?? 0)
        for (index, (a, b)) in zip(answers, expected).enumerated() {
          #expect((a - b).magnitude <= allowed, "\(size): answer \(index) is \(a), expected \(b) ± \(allowed)")
        }
      }
    }
  }

  @Test(arguments: Architecture.all.map(\.name))
  func tensorsAreNamedAndShapedAsPyTorchs(name: String) throws {
    let graph = try #require(Architecture.named(name)).graph(classes: 16)
    let lines = try graph.requiredTensors().filter { !Graph.isConstant(tensor: $0.name) }
      .map { "\($0.name):\($0.extents.map { String($0) }.joined(separator: "x"))\n" }.sorted()
    let hash = lines.joined().utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let digits = String(hash, radix: 16)
    var fields = try JSON(parsing: Files.text(Self.path)).fields("the file")
    let expected = try fields.take("\(name)@signature").string("a signature")
    #expect(String(repeating: "0", count: 16 - digits.count) + digits == expected)
  }

  @Test(arguments: Architecture.all.map(\.name))
  func everyInitialTensorIsFiniteAndRepeatable(name: String) throws {
    let graph = try #require(Architecture.named(name)).graph(classes: 3)
    let architecture = try #require(Architecture.named(name))
    let weights = try architecture.initialWeights(for: graph, seed: 5)
    let same = try architecture.initialWeights(for: graph, seed: 5)
    let other = try architecture.initialWeights(for: graph, seed: 6)
    let small = try graph.requiredTensors().filter { $0.extents.reduce(1, *) < 1 << 16 }
    for tensor in small.prefix(40) {
      let floats = try weights.floats(ofTensor: tensor.name)
      #expect(floats.count == tensor.extents.reduce(1, *))
      #expect(floats.allSatisfy { $0.isFinite })
      #expect(try floats == same.floats(ofTensor: tensor.name))
      if tensor.extents.count == 4, !Graph.isConstant(tensor: tensor.name) {
        #expect(try floats != other.floats(ofTensor: tensor.name))
      }
    }
  }

  /// PyTorch's own numbers for these layers: mean 0 and the deviation that the rule gives.
  @Test(arguments: [
    ("resnet18", "layer2.0.conv2.weight", Float(2.0 / (128 * 9)).squareRoot()),
    ("vgg11", "features.3.weight", Float(2.0 / (128 * 9)).squareRoot()),
    ("resnet20", "layer3.1.conv1.weight", Float(2.0 / (64 * 9)).squareRoot()),
    ("squeezenet1_1", "features.3.squeeze.weight", Float(2.0 / 64).squareRoot()),
    ("squeezenet1_1", "classifier.1.weight", 0.01), ("googlenet", "conv3.conv.weight", 0.01),
    ("inception_v3", "Conv2d_2b_3x3.conv.weight", 0.1), ("mobilenet_v2", "classifier.1.weight", 0.01),
    ("efficientnet_b0", "classifier.1.weight", 1 / (3 * Float(1000)).squareRoot()),
    ("alexnet", "features.3.weight", 1 / (3 * Float(64 * 25)).squareRoot()),
    ("simplecnn", "fc2.weight", 1 / (3 * Float(512)).squareRoot()),
  ])
  func initialWeightsSpreadAsPyTorchs(name: String, tensor: String, deviation: Float) throws {
    let architecture = try #require(Architecture.named(name))
    let graph = architecture.graph(classes: 1000)
    let floats = try architecture.initialWeights(for: graph, seed: 1).floats(ofTensor: tensor)
    let count = Float(floats.count)
    let mean = floats.reduce(0, +) / count
    let spread = (floats.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    #expect((spread / deviation - 1).magnitude < 5 / count.squareRoot(), "\(spread), expected \(deviation)")
    #expect(mean.magnitude < 5 * deviation / count.squareRoot())
  }

  private static let path = "\(#filePath.dropLast("ArchitectureTests.swift".count))Fixtures/architectures.json"

  private static func gain(_ name: String) -> Double { name.hasPrefix("efficientnet_b") ? 3 : 6 }

  private static func cases(of name: String) throws -> [(size: Extent2D, answers: [Float])] {
    guard case .object(let members) = try JSON(parsing: Files.text(path)).value else { return [] }
    return try members.compactMap { member in
      let parts = member.name.split(separator: "@")
      guard parts.count == 2, parts[0] == name, parts[1] != "signature" else { return nil }
      let sides = parts[1].split(separator: "x").compactMap { Int($0) }
      let answers = try member.value.elements("answers").map { try $0.float("an answer") }
      return (Extent2D(h: sides[0], w: sides[1]), answers)
    }
  }
}

/// Tensors whose numbers follow from their names alone; the formula is that of `architectures.py`.
private struct FormulaTensors: TensorSource {
  private let shapes: [String: [Int]]
  private let constants: [String: [Float]]

  private let gain: Double

  init(for graph: Graph, gain: Double) throws {
    self.gain = gain
    constants = graph.constants
    shapes = Dictionary(uniqueKeysWithValues: try graph.requiredTensors().map { ($0.name, $0.extents) })
  }

  func extents(ofTensor name: String) -> [Int]? { shapes[name] }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let extents = shapes[name] else { throw .tensor(name: name, reason: "it is missing") }
    if let constant = constants[name] { return constant }
    let seed = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    var (factor, offset): (Float, Float) = (0.25, 0)
    if extents.count > 1 {
      factor = Float((gain / Double(extents.dropFirst().reduce(1, *))).squareRoot())
    } else if name.hasSuffix("running_var") {
      (factor, offset) = (0.5, 1)
    } else if name.hasSuffix("weight") {
      offset = 1
    }
    let count = extents.reduce(1, *)
    return Formula.floats(seed: seed, count: count, factor: factor, offset: offset)
  }
}
