internal import Engine

/// `lookout inspect`: what is in a weights file.
enum InspectCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: [], switches: ["--json"])
    guard arguments.operands.count == 1 else { throw .usage("inspect takes one weights file") }
    let file: WeightsFile
    do throws(EngineError) {
      file = try WeightsFile.open(path: arguments.operands[0])
    } catch {
      if case .file = error { throw .input("\(error)") }
      throw .data("\(error)")
    }
    print(arguments.has("--json") ? json(file) : text(file))
  }

  private static func parameters(_ file: WeightsFile) -> Int {
    file.table.entries.reduce(0) { $0 + $1.extents.reduce(1, *) }
  }

  private static func answers(_ file: WeightsFile) -> String {
    switch file.graph.answerKind {
    case .scores: "scores, made probabilities of one class among all"
    case .distribution: "probabilities of one class among all"
    case .independent: "a probability of each class by itself"
    }
  }

  private static func text(_ file: WeightsFile) -> String {
    let input = file.graph.inputShape
    var lines = [
      "file        \(file.path)", "digest      \(file.digest)", "provenance  \(file.provenance)",
      "input       \(input.c)×\(input.h)×\(input.w)",
      "nodes       \(file.graph.nodes.count), answer of '\(file.graph.outputName)'", "answers     \(answers(file))",
      "labels      \(file.labels.count)\(file.labels.first.map { ", from '\($0)'" } ?? "")",
      "canary      \(file.canary == nil ? "none" : "stored")",
      "tensors     \(file.table.entries.count), \(parameters(file)) numbers",
    ]
    for entry in file.table.entries { lines.append("  \(entry.type.rawValue)\t\(entry.extents)\t\(entry.name)") }
    return lines.joined(separator: "\n")
  }

  private static func json(_ file: WeightsFile) -> String {
    let input = file.graph.inputShape
    return JSON.object([
      "file": .string(file.path), "digest": .string(file.digest), "provenance": .string(file.provenance),
      "input": .array([.integer(input.c), .integer(input.h), .integer(input.w)]),
      "nodes": .integer(file.graph.nodes.count), "answers": .string(file.graph.answerKind.rawValue),
      "labels": .array(file.labels.map { .string($0) }),
      "parameters": .integer(parameters(file)),
      "tensors": .array(
        file.table.entries.map {
          .object([
            "name": .string($0.name), "type": .string($0.type.rawValue),
            "shape": .array($0.extents.map { .integer($0) }),
          ])
        }),
    ]).text
  }
}
