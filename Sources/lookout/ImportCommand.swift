internal import Engine
internal import FoundationEssentials
internal import Glibc
internal import Imaging
internal import ModelZoo

/// `lookout import`: a checkpoint and labels become a weights file.
enum ImportCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ["--architecture", "--input-size", "--labels", "-o"], switches: ["--half"])
    guard arguments.operands.count == 1 else { throw .usage("import takes one checkpoint") }
    let source = arguments.operands[0]
    let name = try arguments.required("--architecture")
    let output = try arguments.required("-o")
    guard let architecture = Architecture.named(name) else {
      throw .usage(
        "no architecture is called '\(name)'; there are \(Architecture.all.map(\.name).joined(separator: ", "))")
    }
    var labels: [String] = []
    if let path = arguments["--labels"] { labels = try readLabels(path) }
    var size: Extent2D?
    if let text = arguments["--input-size"] { size = try readSize(text) }
    let tensors: StateDict
    let graph: Graph
    do throws(ModelZooError) {
      tensors = try StateDict.open(path: source)
      graph = try architecture.graph(fitting: tensors, size: size)
    } catch {
      if case .engine(.file) = error { throw .input("\(error)") }
      throw .data("\(error)")
    }
    let file = source.split(separator: "/").last.map(String.init) ?? source
    let preprocessing = architecture.preprocessingJSON(height: graph.inputShape.h, width: graph.inputShape.w)
    do throws(ImagingError) {
      _ = try Preprocessing(json: preprocessing)
    } catch {
      throw .data("\(name): \(error)")
    }
    do throws(EngineError) {
      let draft = Draft(
        graph: graph, labels: labels, preprocessing: preprocessing,
        provenance: "lookout import \(file) --architecture \(name)\(arguments.has("--half") ? " --half" : "")",
        tensors: try OverlaidTensors(completing: tensors, for: graph), storage: arguments.has("--half") ? .f16 : .f32)
      try draft.write(to: output, canary: draft.canary(beside: output))
      print("\(output): \(try WeightsFile.open(path: output).digest)")
    } catch {
      if case .file = error { throw .output("\(error)") }
      throw .data("\(source): \(error)")
    }
  }

  /// What a weights file is made of, but for its canary.
  private struct Draft {
    let graph: Graph
    let labels: [String]
    let preprocessing: String
    let provenance: String
    let tensors: OverlaidTensors
    let storage: ElementType

    func write(to path: String, canary: Canary?) throws(EngineError) {
      try WeightsFile.write(
        to: path, graph: graph, labels: labels, preprocessing: preprocessing, canary: canary, provenance: provenance,
        tensors: try OverlaidTensors(completing: tensors, for: graph), storage: storage)
    }

    /// What the network answers with the weights as they are stored: written once without a canary, read again and run.
    func canary(beside output: String) throws(EngineError) -> Canary {
      let path = "\(output).\(getpid()).draft"
      defer { unlink(path) }
      try write(to: path, canary: nil)
      let file = try WeightsFile.open(path: path)
      MatrixLibrary.useOneThread()
      try MatrixLibrary.prove()
      let network = try CompiledNetwork(graph: file.graph, weights: file)
      let answers = try InferencePlan(network: network, batchCapacity: 1).answers(toSeed: Self.seed)
      guard answers.allSatisfy(\.isFinite) else {
        throw .graph(node: graph.outputName, reason: "the network's answers are no finite numbers")
      }
      return Canary(seed: Self.seed, outputs: answers)
    }

    private static let seed: UInt32 = 0x6C6F_6F6B
  }

  /// `224` or `HEIGHTxWIDTH`.
  private static func readSize(_ text: String) throws(Failure) -> Extent2D {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard (1...2).contains(sides.count), sides.allSatisfy({ (1...4096).contains($0) }) else {
      throw .usage("--input-size takes a side or HEIGHTxWIDTH, from 1 to 4096")
    }
    return Extent2D(h: sides[0], w: sides[sides.count - 1])
  }

  /// One label a line, or the column `name` (else the last) of a CSV file with a header.
  private static func readLabels(_ path: String) throws(Failure) -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else { throw .input("\(path): cannot be read") }
    guard let text = String(validating: data, as: UTF8.self) else { throw .data("\(path): is no UTF-8 text") }
    var lines = text.split(whereSeparator: \.isNewline).map(String.init)
    guard path.hasSuffix(".csv"), let header = lines.first else { return lines }
    lines.removeFirst()
    let columns = header.split(separator: ",", omittingEmptySubsequences: false)
    let column = columns.firstIndex(of: "name") ?? columns.count - 1
    var labels: [String] = []
    for (index, line) in lines.enumerated() {
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      guard fields.count == columns.count, !line.contains("\"") else {
        throw .data("\(path): line \(index + 2) does not have \(columns.count) plain fields; use one label a line")
      }
      labels.append(String(fields[column].map { $0 == "_" ? " " : $0 }))
    }
    return labels
  }
}
