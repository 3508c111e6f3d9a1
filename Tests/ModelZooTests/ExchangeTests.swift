import Engine
import FoundationEssentials
import Glibc
import ModelZoo
import TestSupport
import Testing

/// Foreign files against what their own programs answer (`Tests/Vectors/exchange.py`).
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ExchangeTests {
  static let folder = fixtures + "exchange/"

  static func read(_ name: String) throws -> ImportedNetwork {
    try name.hasSuffix(".pt")
      ? TorchScriptFile.read(path: folder + name, size: Extent2D(h: 21, w: 18))
      : ONNXFile.read(path: folder + name, size: nil, output: nil)
  }

  /// What a network answers to inputs in C, H, W order, row by row.
  static func answers(
    _ graph: Graph, _ tensors: any TensorSource & Sendable, to input: [Float]
  ) throws -> [Float] {
    let network = try CompiledNetwork(graph: graph, weights: tensors, options: EngineOptions(isExact: true))
    let plan = try InferencePlan(network: network, batchCapacity: 1)
    let shape = network.inputShape
    let area = shape.h * shape.w
    var all: [Float] = []
    for first in stride(from: 0, to: input.count, by: shape.countPerImage) {
      var picture = [Float](repeating: 0, count: shape.countPerImage)
      for c in 0..<shape.c {
        for p in 0..<area { picture[p * shape.c + c] = input[first + c * area + p] }
      }
      var output = [Float](repeating: 0, count: network.outputCount)
      try picture.withUnsafeBufferPointer { picture in
        let base = try #require(picture.baseAddress)
        output.withUnsafeMutableBufferPointer { output in
          withUnsafePointer(to: base) { plan.run(images: UnsafeBufferPointer(start: $0, count: 1), output: output) }
        }
      }
      all += output
    }
    return all
  }

  static func expectAgreement(
    _ graph: Graph, _ tensors: any TensorSource & Sendable, with vectors: String, _ comment: Comment
  ) throws {
    let known = try StateDict.open(path: vectors)
    let expected = try known.floats(ofTensor: "output")
    let answers = try answers(graph, tensors, to: known.floats(ofTensor: "input"))
    #expect(answers.count == expected.count, comment)
    let allowed = 1e-5 * (expected.map { $0.magnitude }.max() ?? 0)
    for (a, b) in zip(answers, expected) { #expect((a - b).magnitude <= allowed, comment) }
  }

  @Test(arguments: [
    "mixed.onnx", "mixed.static.onnx", "mixed.dynamo.onnx", "mixed.opset11.onnx", "mixed.opset12.onnx",
    "mixed.opset21.onnx", "plain.trace.pt", "plain.script.pt", "nhwc.onnx",
  ])
  func importedModelsAnswerAsTheirMakers(name: String) throws {
    let network = try Self.read(name)
    let stem = name.split(separator: ".")[0]
    try Self.expectAgreement(network.graph, network.tensors, with: "\(Self.folder)\(stem).vectors", "\(name)")
    #expect(try Graph(json: network.graph.json) == network.graph)
  }

  @Test func functionsWrittenInPartsAreRecognised() throws {
    for name in ["mixed.onnx", "mixed.dynamo.onnx", "plain.trace.pt"] {
      let operations = try Self.read(name).graph.nodes.map(\.operation)
      #expect(operations.contains(.activation(.hardSwish)), "\(name)")
      #expect(operations.contains(.activation(.silu)), "\(name)")
    }
  }

  @Test func anUnknownOperatorIsNamedWithItsNode() throws {
    let error = #expect(throws: ModelZooError.self) {
      try ONNXFile.read(path: Self.folder + "unknown.onnx", size: nil, output: nil)
    }
    #expect("\(String(describing: error))".contains("node 'odd' (Einsum)"))
  }

  @Test func anUnknownConstructOfAScriptIsNamedWithItsLine() throws {
    let error = #expect(throws: ModelZooError.self) { try Self.read("odd.script.pt") }
    #expect("\(String(describing: error))".contains("code of __torch__, line 13: 'einsum' is not known"))
  }

  /// Weights are stored as they are, so a flipped bit gives numbers that nobody can tell from the right ones.
  @Test(arguments: ["plain.trace", "plain.script"]) func aFlippedBitOfAScriptsWeightsIsRefused(name: String) throws {
    var bytes = try [UInt8](Data(contentsOf: URL(filePath: "\(Self.folder)\(name).pt")))
    let header = Array("\(name)/data/0".utf8)
    let place = try #require(
      bytes.indices.first { bytes[$0...].starts(with: header) }.map { $0 + header.count + 5 })
    #expect(throws: Never.self) { try TorchScriptFile.read(bytes: bytes, size: Extent2D(h: 21, w: 18)) }
    bytes[place] ^= 1
    let error = #expect(throws: ModelZooError.self) {
      try TorchScriptFile.read(bytes: bytes, size: Extent2D(h: 21, w: 18))
    }
    #expect("\(String(describing: error))".contains("does not fit its checksum"))
  }

  @Test func aScriptWithoutItsSizeAsksForIt() throws {
    let error = #expect(throws: ModelZooError.self) {
      try TorchScriptFile.read(path: Self.folder + "plain.script.pt", size: nil)
    }
    #expect("\(String(describing: error))".contains("--input-size"))
  }

  @Test func externalDataStaysInTheModelsFolder() throws {
    var bytes = try [UInt8](Data(contentsOf: URL(filePath: Self.folder + "mixed.dynamo.onnx")))
    let name = Array("mixed.dynamo.onnx.data".utf8)
    var places: [Int] = []
    for start in 0...(bytes.count - name.count) where Array(bytes[start..<(start + name.count)]) == name {
      places.append(start)
    }
    try #require(!places.isEmpty)
    for start in places { bytes.replaceSubrange(start..<(start + 3), with: Array("../".utf8)) }
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data(bytes).write(to: URL(filePath: folder + "m.onnx"))
    let error = #expect(throws: ModelZooError.self) {
      try ONNXFile.read(path: folder + "m.onnx", size: nil, output: nil)
    }
    guard case .refused = error else {
      Issue.record("\(String(describing: error)) is no refusal")
      return
    }
  }

  /// Whatever is damaged, reading ends with a network or an error.
  @Test func noDamageCrashesAReader() throws {
    let size = Extent2D(h: 21, w: 18)
    for name in ["nhwc.onnx", "plain.trace.pt"] {
      let whole = try [UInt8](Data(contentsOf: URL(filePath: Self.folder + name)))
      func read(_ bytes: [UInt8]) {
        let network =
          name.hasSuffix(".pt")
          ? try? TorchScriptFile.read(bytes: bytes, size: size) : try? ONNXFile.read(bytes: bytes)
        guard let network, let required = try? network.graph.requiredTensors() else { return }
        for tensor in required.prefix(3) { _ = try? network.tensors.floats(ofTensor: tensor.name) }
      }
      for length in stride(from: 0, to: whole.count, by: name.hasSuffix(".pt") ? 97 : 7) {
        read(Array(whole[..<length]))
      }
      for position in stride(from: 0, to: whole.count, by: name.hasSuffix(".pt") ? 37 : 1) {
        for mask in [UInt8(0x01), 0x80, 0xFF] {
          var damaged = whole
          damaged[position] ^= mask
          read(damaged)
        }
      }
    }
  }

  // MARK: Out

  @Test func anExportedModelAnswersTheSame() throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for name in ["mixed.onnx", "nhwc.onnx"] {
      let network = try Self.read(name)
      try ONNXExport.write(network.graph, tensors: network.tensors, to: folder + name, producer: "test")
      let again = try ONNXFile.read(path: folder + name, size: nil, output: nil)
      let stem = name.split(separator: ".")[0]
      try Self.expectAgreement(again.graph, again.tensors, with: "\(Self.folder)\(stem).vectors", "\(name)")
    }
  }

  @Test func exportedTensorsAreReadAgain() throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let architecture = try #require(Architecture.named("resnet20"))
    let graph = architecture.graph(classes: 4)
    let weights = try architecture.initialWeights(for: graph, seed: 3)
    try TorchExport.writeArchive(graph, tensors: weights, to: folder + "m.pth")
    try TorchExport.writeSafetensors(graph, tensors: weights, to: folder + "m.safetensors")
    for name in ["m.pth", "m.safetensors"] {
      let tensors = try StateDict.open(path: folder + name)
      #expect(try architecture.graph(fitting: tensors) == graph)
      for tensor in try graph.requiredTensors() where !Graph.isConstant(tensor: tensor.name) {
        #expect(try tensors.floats(ofTensor: tensor.name) == weights.floats(ofTensor: tensor.name))
      }
    }
  }

  @Test(.enabled(if: PeerPython.has("onnx, onnxruntime, numpy"))) func onnxRuntimeRunsWhatIsExported() throws {
    try eachExported { graph, weights, folder in
      let size = graph.inputShape.h
      try ONNXExport.write(graph, tensors: weights, to: folder + "m.onnx", producer: "test")
      let input = Canary.input(seed: 4, shape: graph.inputShape)
      let answers = try Self.answers(graph, weights, to: input)
      try Data(input.withUnsafeBytes { Array($0) }).write(to: URL(filePath: folder + "x"))
      try Data(answers.withUnsafeBytes { Array($0) }).write(to: URL(filePath: folder + "y"))
      let script = """
        import numpy, onnx, onnxruntime
        onnx.checker.check_model("\(folder)m.onnx", full_check=True)
        x = numpy.fromfile("\(folder)x", "<f4").reshape(1, 3, \(size), \(size))
        y = numpy.fromfile("\(folder)y", "<f4")
        s = onnxruntime.InferenceSession("\(folder)m.onnx")
        a = s.run(None, {"input": x})[0][0]
        assert abs(a - y).max() <= 1e-5 * abs(y).max(), (a, y)
        """
      #expect(PeerPython.run(script) == 0, "\(graph.inputShape)")
    }
  }

  @Test(.enabled(if: PeerPython.has("torch"))) func pyTorchLoadsWhatIsExported() throws {
    try eachExported { graph, weights, folder in
      try TorchExport.writeArchive(graph, tensors: weights, to: folder + "m.pth")
      let script = """
        import torch
        d = torch.load("\(folder)m.pth", weights_only=True)
        assert len(d) > 10 and all(t.dtype == torch.float32 for t in d.values())
        """
      #expect(PeerPython.run(script) == 0, "\(graph.inputShape)")
    }
  }

  private func eachExported(_ look: (Graph, InitialWeights, String) throws -> Void) throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, size) in [("resnet20", 32), ("alexnet", 95), ("googlenet", 75), ("mobilenet_v3_small", 64)] {
      let architecture = try #require(Architecture.named(name))
      let graph = architecture.graph(classes: 5, inputShape: Shape(c: 3, h: size, w: size))
      try look(graph, architecture.initialWeights(for: graph, seed: 3), folder)
    }
  }
}
