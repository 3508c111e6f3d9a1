internal import Engine
internal import ModelZoo

/// A model from any file that Lookout reads: what it computes and with which numbers.
struct ForeignModel {
  var graph: Graph
  var tensors: any TensorSource & Sendable
  /// How pictures are fed to it, if file or architecture say so.
  var preprocessingJSON: String?
  var labels: [String] = []
  /// What the user should know about how it was read.
  var notes: [String] = []

  /// Opens a weights file, a `state_dict` of a named architecture, a TorchScript archive or an ONNX model; which it is shows in its bytes.
  ///
  /// - Throws: `Failure` naming the file and what is wrong with it.
  init(path: String, architecture: String? = nil, inputSize: String? = nil, output: String? = nil) throws(Failure) {
    var size: Extent2D?
    if let inputSize { size = try SizeText.extent(inputSize, of: "--input-size") }
    if let architecture {
      try self.init(path: path, of: Self.architecture(architecture), size: size)
      return
    }
    switch try Self.reading({ () throws(ModelZooError) in try ModelFormat.of(path: path) }) {
    case .onnx:
      self.init(
        try Self.reading { () throws(ModelZooError) in try ONNXFile.read(path: path, size: size, output: output) })
    case .script:
      self.init(try Self.reading { () throws(ModelZooError) in try TorchScriptFile.read(path: path, size: size) })
    case .weights: try self.init(weights: path)
    case .tensors:
      throw .usage("\(path) holds tensors without a network; --architecture names it: \(Self.architectureNames)")
    }
  }

  private init(_ network: ImportedNetwork) {
    graph = network.graph
    tensors = network.tensors
    notes = network.notes
  }

  private init(path: String, of architecture: Architecture, size: Extent2D?) throws(Failure) {
    let (graph, tensors) = try Self.reading { () throws(ModelZooError) in
      let tensors = try StateDict.open(path: path)
      let graph = try architecture.graph(fitting: tensors, size: size)
      do throws(EngineError) {
        return (graph, try OverlaidTensors(completing: tensors, for: graph))
      } catch {
        throw ModelZooError.engine(error)
      }
    }
    self.graph = graph
    self.tensors = tensors
    preprocessingJSON = architecture.preprocessingJSON(height: graph.inputShape.h, width: graph.inputShape.w)
  }

  private init(weights path: String) throws(Failure) {
    do throws(EngineError) {
      let file = try WeightsFile.open(path: path)
      graph = file.graph
      tensors = file
      preprocessingJSON = file.preprocessingJSON
      labels = file.labels
    } catch {
      if case .file = error { throw .input("\(error)") }
      throw .data("\(error)")
    }
  }

  private static func reading<Result>(_ body: () throws(ModelZooError) -> Result) throws(Failure) -> Result {
    do throws(ModelZooError) {
      return try body()
    } catch {
      if case .engine(.file) = error { throw .input("\(error)") }
      throw .data("\(error)")
    }
  }

  private static let architectureNames = Architecture.all.map(\.name).joined(separator: ", ")

  private static func architecture(_ name: String) throws(Failure) -> Architecture {
    guard let found = Architecture.named(name) else {
      throw .usage("no architecture is called '\(name)'; there are \(architectureNames)")
    }
    return found
  }
}

/// Sizes on the command line.
enum SizeText {
  /// `224` or `HEIGHTxWIDTH`.
  static func extent(_ text: String, of option: String) throws(Failure) -> Extent2D {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard (1...2).contains(sides.count), sides.allSatisfy({ (1...4096).contains($0) }) else {
      throw .usage("\(option) takes a side or HEIGHTxWIDTH, from 1 to 4096")
    }
    return Extent2D(h: sides[0], w: sides[sides.count - 1])
  }
}
