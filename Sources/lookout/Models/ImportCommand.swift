internal import Engine
internal import Imaging
internal import ModelZoo

/// `lookout import`: somebody else's model and labels become a weights file.
enum ImportCommand {
  static func run(_ words: [String]) throws(Failure) {
    let own: Set<String> = ["--architecture", "--input-size", "--output", "--labels", "-o"]
    let arguments = try Arguments(
      words, options: own.union(PreprocessingOptions.names), switches: ["--half"])
    guard arguments.operands.count == 1 else { throw .usage("import takes one model") }
    let source = arguments.operands[0]
    let output = try arguments.required("-o")
    var labels: [String] = []
    if let path = arguments["--labels"] { labels = try LabelList.read(path) }
    if arguments["--architecture"] != nil, arguments["--output"] != nil {
      throw .usage("--output belongs to ONNX models, --architecture to tensors without a network")
    }
    let model = try ForeignModel(
      path: source, architecture: arguments["--architecture"], inputSize: arguments["--input-size"],
      output: arguments["--output"])
    let preprocessing = try PreprocessingOptions.preprocessing(
      arguments, suggested: model.preprocessingJSON, input: model.graph.inputShape)
    for note in model.notes { say("\(source): \(note)") }
    if model.preprocessingJSON == nil, !PreprocessingOptions.areGiven(in: arguments) {
      say(
        "\(source): nothing says how pictures are fed to it; they are squashed to its size, with samples from 0 to 1; "
          + "--preset and its like say otherwise")
    }
    if labels.isEmpty { labels = model.labels }
    let file = source.split(separator: "/").last.map(String.init) ?? source
    do throws(EngineError) {
      let draft = ModelDraft(
        graph: model.graph, labels: labels, preprocessing: preprocessing,
        provenance: "lookout import \(([file] + provenance(words, source, output)).joined(separator: " "))",
        tensors: model.tensors, storage: arguments.has("--half") ? .f16 : .f32)
      try draft.writeWithCanary(to: output)
      print("\(output): \(try WeightsFile.open(path: output).digest)")
    } catch {
      if case .file = error { throw .output("\(error)") }
      throw .data("\(source): \(error)")
    }
  }

  /// The options as they were given, without what depends on the machine's folders.
  private static func provenance(_ words: [String], _ source: String, _ output: String) -> [String] {
    var kept: [String] = []
    var skipsNext = false
    for word in words where word != source {
      if skipsNext {
        skipsNext = false
      } else if word == "-o" || word == "--labels" {
        skipsNext = true
      } else if !word.hasPrefix("-o=") && !word.hasPrefix("--labels=") {
        kept.append(word)
      }
    }
    return kept
  }

  static func say(_ text: String) {
    let line = Array("lookout: \(text)\n".utf8)
    line.withUnsafeBytes { _ = writeToStandardError($0) }
  }
}
