import Engine
import TestSupport
import Testing

@Suite("A network in bytes answers nearly as in floats")
struct QuantizedPlanTests {
  /// Scales that cover all that the definition computes for some images.
  private func calibrated(_ folded: FoldedNetwork, _ images: [[Float]]) throws -> Quantization {
    var ranges: [String: (low: Float, high: Float)] = [:]
    let interpreter = try ReferenceInterpreter(graph: folded.graph, weights: folded)
    for image in images {
      for (name, numbers) in interpreter.everyValue(input: image) {
        let old = ranges[name] ?? (0, 0)
        ranges[name] = (min(old.low, numbers.min() ?? 0), max(old.high, numbers.max() ?? 0))
      }
    }
    let values = ranges.mapValues { [ByteScale(covering: $0.low, $0.high)] }
    let input = [ByteScale](
      repeating: values["input"]?[0] ?? ByteScale(scale: 1, zeroPoint: 0), count: folded.graph.inputShape.c)
    return Quantization(input: input, values: values)
  }

  private func answers(_ plan: QuantizedPlan, _ images: [[Float]]) -> [[Float]] {
    let shape = plan.network.inputShape
    let area = shape.h * shape.w
    let pixels = images.map { image in
      (0..<shape.count).map { image[$0 % shape.c * area + $0 / shape.c] }
    }
    var output = [Float](repeating: .nan, count: images.count * plan.network.outputCount)
    var bases: [UnsafePointer<Float>] = []
    for image in pixels {
      let memory = UnsafeMutablePointer<Float>.allocate(capacity: image.count)
      memory.initialize(from: image, count: image.count)
      bases.append(UnsafePointer(memory))
    }
    defer { for base in bases { base.deallocate() } }
    bases.withUnsafeBufferPointer { images in
      output.withUnsafeMutableBufferPointer { plan.run(images: images, output: $0) }
    }
    return (0..<images.count).map {
      Array(output[($0 * plan.network.outputCount)..<(($0 + 1) * plan.network.outputCount)])
    }
  }

  private func compare(_ graph: Graph, _ seed: UInt64, _ what: String, allowed: Float) throws {
    let weights = try SeededTensors(graph: graph, seed: 1)
    let folded = try FoldedNetwork(graph: graph, weights: weights)
    var generator = Seeded(seed: seed)
    let images = (0..<3).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
    let quantization = try calibrated(folded, images)
    let all = try InstructionSet.available.flatMap { set in
      let network = try QuantizedNetwork(
        graph: folded.graph, weights: folded, quantization: quantization, instructionSet: set)
      // All at once, one at a time, and as they come between.
      return try [1 << 30, 1, 1500].map {
        answers(try QuantizedPlan(network: network, batchCapacity: 3, cacheBytes: $0), images)
      }
    }
    #expect(all.allSatisfy { $0 == all[0] }, "\(what): instruction sets or chunks differ")
    for (index, image) in images.enumerated() {
      let wanted = try reference(graph, image)
      let size = wanted.reduce(0) { max($0, $1.magnitude) } + 1e-6
      for given in all.map({ $0[index] }) {
        #expect(given.count == wanted.count)
        let error = zip(given, wanted).reduce(Float(0)) { max($0, ($1.0 - $1.1).magnitude) } / size
        #expect(error <= allowed, "\(what): off by \(error) of the largest answer")
      }
    }
  }

  @Test(arguments: AwkwardGraph.all)
  func answersNearly(_ awkward: AwkwardGraph) throws {
    try compare(awkward.graph, 7, awkward.name, allowed: 0.05)
  }

  @Test(arguments: 0..<40)
  func reusesTheArenaSoundly(_ seed: Int) throws {
    var generator = Seeded(seed: UInt64(seed))
    let graph = RandomGraph.make(&generator)
    try compare(graph, UInt64(seed), "\(graph.nodes.map { "\($0)" }.joined(separator: "\n"))", allowed: 0.15)
  }

  @Test(arguments: InstructionSet.available)
  func takesMoreImagesThanABlockHasRows(_ set: InstructionSet) throws {
    let graph = AwkwardGraph(
      "", Shape(c: 128, h: 8, w: 8), .flatten, .linear(Linear(inFeatures: 128 * 64, outFeatures: 3))
    ).graph
    let folded = try FoldedNetwork(graph: graph, weights: try SeededTensors(graph: graph, seed: 1))
    var generator = Seeded(seed: 9)
    let images = (0..<64).map { _ in generator.floats(graph.inputShape.count, in: -2...2) }
    let network = try QuantizedNetwork(
      graph: folded.graph, weights: folded, quantization: try calibrated(folded, [images[0]]), instructionSet: set)
    let alone = try QuantizedPlan(network: network, batchCapacity: 1)
    #expect(
      answers(try QuantizedPlan(network: network, batchCapacity: 64), images) == images.map { answers(alone, [$0])[0] })
  }

  /// A 1×1 convolution's weights in bytes, and what they stand for.
  private struct Stored: TensorSource {
    let bytes: [Int8]
    let scales: [Float] = [0.02, 0.003]
    let inputs: [Float]
    let lendsBytes: Bool

    func extents(ofTensor name: String) -> [Int]? {
      ["n0.weight": [2, 3, 1, 1], "n0.bias": [2], "n0.weight_scale": [2], "n0.weight_input_scale": [3]][name]
    }

    func floats(ofTensor name: String) throws(EngineError) -> [Float] {
      switch name {
      case "n0.weight": bytes.indices.map { Float(bytes[$0]) * scales[$0 / 3] / inputs[$0 % 3] }
      case "n0.bias": [1, -1]
      case "n0.weight_scale": scales
      case "n0.weight_input_scale": inputs
      default: throw .tensor(name: name, reason: "it is missing")
      }
    }

    func signedBytes(ofTensor name: String) -> [Int8]? { lendsBytes && name == "n0.weight" ? bytes : nil }
  }

  /// Bytes are taken as they are only if they were made for the input's scales; -128, which no rounding gives, is not.
  @Test(arguments: [[0.5, 0.25, 0.125], [1, 0.5, 0.25]] as [[Float]])
  func takesStoredBytes(_ made: [Float]) throws {
    let graph = AwkwardGraph("", Shape(c: 3, h: 2, w: 2), AwkwardGraph.conv(3, 2, 1)).graph
    let input = [0.5, 0.25, 0.125].map { ByteScale(scale: $0, zeroPoint: 128) }
    var generator = Seeded(seed: 3)
    let image = generator.floats(12, in: -10...10)
    let given = try [true, false].map { lends in
      let weights = Stored(bytes: [127, -128, 5, -1, 0, 90], inputs: made, lendsBytes: lends)
      let network = try QuantizedNetwork(
        graph: graph, weights: weights, quantization: Quantization(input: input, values: [:]))
      return answers(try QuantizedPlan(network: network, batchCapacity: 1), [image])[0]
    }
    #expect(given[0] == given[1])
    #expect(Set(given[0]).count == 8)
  }

  @Test func namesAValueWithoutScale() throws {
    let graph = AwkwardGraph(
      "", Shape(c: 3, h: 5, w: 5), AwkwardGraph.conv(3, 4, 1), .activation(.relu), AwkwardGraph.conv(4, 2, 1)
    ).graph
    let weights = try SeededTensors(graph: graph, seed: 1)
    let scale = ByteScale(scale: 1, zeroPoint: 0)
    #expect(throws: EngineError.graph(node: "n1", reason: "its output has no scale; quantize the model again")) {
      _ = try QuantizedNetwork(
        graph: graph, weights: weights, quantization: Quantization(input: [scale, scale, scale], values: [:]))
    }
  }

  @Test func readsWhatItWrote() throws {
    let quantization = Quantization(
      input: [ByteScale(scale: 0.0078125, zeroPoint: 127)],
      values: ["a": [ByteScale(scale: 0.1, zeroPoint: 0)], "b.1": [ByteScale(scale: 3e-5, zeroPoint: 255)]])
    #expect(try Quantization(json: JSON(parsing: quantization.json.text)) == quantization)
    let good = #"{"scale":[1],"zero_point":[0]}"#
    for bad in [
      #"{"scale":[0],"zero_point":[1]}"#, #"{"scale":[1],"zero_point":[256]}"#, #"{"scale":[1],"zero_point":[]}"#,
      #"{"scale":[],"zero_point":[]}"#, #"{"scale":[1]}"#,
    ] {
      for text in [#"{"input":\#(bad),"values":{}}"#, #"{"input":\#(good),"values":{"a":\#(bad)}}"#] {
        #expect(throws: JSON.Fault.self) { _ = try Quantization(json: JSON(parsing: text)) }
      }
    }
  }
}
