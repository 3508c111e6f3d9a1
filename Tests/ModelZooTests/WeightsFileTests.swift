import Engine
import FoundationEssentials
import ModelZoo
import Testing

/// Tensors for any graph, made of a counter.
struct CountedTensors: TensorSource {
  let shapes: [String: [Int]]

  init(for graph: Graph) throws {
    shapes = Dictionary(uniqueKeysWithValues: try graph.requiredTensors().map { ($0.name, $0.extents) })
  }

  func extents(ofTensor name: String) -> [Int]? { shapes[name] }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    (0..<(shapes[name] ?? []).reduce(1, *)).map { Float($0 % 7) / 4 - 0.5 }
  }
}

@Suite(.timeLimit(.minutes(15)))
struct WeightsFileTests {
  let graph = Graph(
    inputShape: Shape(c: 1, h: 4, w: 4),
    nodes: [
      Graph.Node(
        name: "c",
        operation: .convolution(Convolution(inChannels: 1, outChannels: 2, kernel: Extent2D(3), padding: .same)),
        inputs: ["input"]),
      Graph.Node(name: "n", operation: .batchNorm(epsilon: 1e-3), inputs: ["c"]),
      Graph.Node(name: "f", operation: .flatten, inputs: ["n"]),
      Graph.Node(name: "l", operation: .linear(Linear(inFeatures: 32, outFeatures: 3)), inputs: ["f"]),
    ], outputName: "l")

  func write(to path: String, storage: ElementType) throws {
    try WeightsFile.write(
      to: path, graph: graph, labels: ["cat", "d\"o\\g\n", "é"], preprocessing: #"{"scale":1}"#,
      canary: Canary(seed: 7, outputs: [0.25, 3, -1]), provenance: "a test", tensors: CountedTensors(for: graph),
      storage: storage)
  }

  @Test(arguments: [ElementType.f32, .f16, .bf16])
  func whatIsWrittenIsRead(storage: ElementType) throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try write(to: folder + "m.swiftweights", storage: storage)
    let file = try WeightsFile.open(path: folder + "m.swiftweights")
    #expect(file.graph == graph)
    #expect(file.labels == ["cat", "d\"o\\g\n", "é"])
    #expect(file.preprocessingJSON == #"{"scale":1}"#)
    #expect(file.canary == Canary(seed: 7, outputs: [0.25, 3, -1]))
    #expect(file.provenance == "a test")
    #expect(file.table.dataStart.isMultiple(of: 64))
    for tensor in try graph.requiredTensors() {
      let floats = try CountedTensors(for: graph).floats(ofTensor: tensor.name)
      #expect(try file.floats(ofTensor: tensor.name) == floats)
      let row = floats.count / tensor.extents[0]
      let rows = tensor.extents[0] / 2..<tensor.extents[0]
      #expect(try file.floats(ofTensor: tensor.name, rows: rows) == Array(floats[(rows.lowerBound * row)...]))
      try file.withFloats(ofTensor: tensor.name, rows: rows) { lent in
        #expect(Array(lent) == Array(floats[(rows.lowerBound * row)...]))
      }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["m.swiftweights"])
  }

  @Test func everyCutAndEveryFlippedByteIsRefused() throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try write(to: folder + "m", storage: .f16)
    let bytes = try Data(contentsOf: URL(filePath: folder + "m"))
    for length in 0..<bytes.count {
      try bytes.prefix(length).write(to: URL(filePath: folder + "cut"))
      let error = #expect(throws: EngineError.self) { try WeightsFile.open(path: folder + "cut") }
      guard case .damaged = error else {
        Issue.record("cut at \(length): \(String(describing: error))")
        return
      }
    }
    for position in bytes.indices {
      var damaged = bytes
      damaged[position] ^= 1 << UInt8(position % 8)
      try damaged.write(to: URL(filePath: folder + "flipped"))
      for error in [
        #expect(throws: EngineError.self) { try WeightsFile.open(path: folder + "flipped") },
        #expect(throws: EngineError.self) { try WeightsFile.load(path: folder + "flipped") },
      ] {
        guard case .damaged = error else {
          Issue.record("flipped at \(position): \(String(describing: error))")
          return
        }
      }
    }
  }

  @Test(arguments: Architecture.all.map(\.name))
  func everyArchitecturesGraphSurvivesItsText(name: String) throws {
    let graph = try #require(Architecture.named(name)).graph(classes: 11)
    #expect(try Graph(json: graph.json) == graph)
    #expect(try graph.shapes()[graph.outputName] == Shape(c: 11))
  }
}
