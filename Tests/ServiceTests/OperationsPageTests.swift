import Platform
import Service
import TestSupport
import Testing

/// What operators read is compared with what the programs have, so that the two cannot drift apart.
@Suite(.timeLimit(.minutes(15)))
struct OperationsPageTests {
  private static let repository = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  private static func text(_ path: String) -> String { Files.text("\(repository)/\(path)") }

  /// The first cells of the table below a heading, without their ticks.
  private static func firstCells(under heading: String) -> [String] {
    guard let section = text("docs/OPERATIONS.md").split(separator: "\n## ").first(where: { $0.hasPrefix(heading) })
    else { return [] }
    return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
      String(line.dropFirst(3).prefix { $0 != "`" })
    }
  }

  /// Words of a text that are names of metrics, without the suffixes of a histogram's series.
  private static func metrics(in text: String) -> Set<String> {
    var found: Set<String> = []
    var word = ""
    for character in text + " " {
      if character.isLetter || character.isNumber || character == "_" {
        word.append(character)
        continue
      }
      if word.hasPrefix("lookout_") {
        for suffix in ["_bucket", "_sum", "_count"] where word.hasSuffix(suffix) { word.removeLast(suffix.count) }
        found.insert(word)
      }
      word = ""
    }
    return found
  }

  @Test func everyMetricHasItsRow() {
    #expect(Self.firstCells(under: "Metrics") == Metric.allCases.map(\.rawValue))
  }

  @Test func everyJournalIDHasItsRowAndItsCatalogEntry() {
    let prefix = "5b0c1b6f6f0c4e3c9d1f2a7e61b4"
    let ids = Journal.MessageID.allCases.map(\.rawValue)
    #expect(ids.allSatisfy { $0.hasPrefix(prefix) && $0.count == 32 })
    #expect(Self.firstCells(under: "Journal messages").map { prefix + $0 } == ids)
    let catalog = Self.text("systemd/lookout.catalog").split(separator: "\n").filter { $0.hasPrefix("-- ") }
    #expect(catalog.map { String($0.dropFirst(3)) } == ids)
  }

  @Test func dashboardAndRulesAskOnlyForMetricsThatExist() {
    let known = Set(Metric.allCases.map(\.rawValue))
    for file in ["config/grafana/lookout-dashboard.json", "config/prometheus/lookout.rules.yml"] {
      let asked = Self.metrics(in: Self.text(file))
      #expect(!asked.isEmpty && asked.isSubset(of: known), "\(file): \(asked.subtracting(known))")
    }
  }

  @Test func everyCommandIsCompletedInEveryShell() {
    let commands = Self.text("Sources/lookout/main.swift").split(separator: "\n").compactMap { line -> String? in
      guard line.hasPrefix("  case \""), line.contains(".run(") || line.contains("OperateCommands.") else { return nil }
      return String(line.dropFirst("  case \"".count).prefix { $0 != "\"" })
    }
    #expect(commands.contains("status") && commands.contains("classify"))
    for file in ["lookout.bash", "_lookout", "lookout.fish"] {
      let words = Set(Self.text("completions/\(file)").split { !$0.isLetter }.map(String.init))
      for command in commands { #expect(words.contains(command), "\(file) lacks \(command)") }
    }
  }

  @Test(arguments: ["lookout.bash", "_lookout", "lookout.fish"]) func everyOptionIsCompleted(file: String) {
    let isPart = { (c: Character) in c.isLetter || c == "-" || c == "_" || c == "." }
    let known = Set(
      Self.text("completions/\(file)").split { !isPart($0) }.map { word in String(word.drop { $0 == "-" }) })
    for command in [
      "ClassifyCommand", "EvaluateCommand", "QuantizeCommand", "Models/ExportCommand", "Models/ImportCommand",
      "Models/PreprocessingOptions", "Models/VerifyCommand", "Bench/BenchCommand", "Service/PluginCommand",
      "Service/StatusCommand", "Service/ExplainCommand", "Service/DoctorCommand", "Service/OperateCommands",
    ] {
      let source = Self.text("Sources/lookout/\(command).swift")
      let options = source.split(separator: "\"").filter { $0.hasPrefix("--") && $0.allSatisfy(isPart) }
      #expect(command == "Service/OperateCommands" || !options.isEmpty, "\(command)")
      for option in options { #expect(known.contains(String(option.dropFirst(2))), "\(file) lacks \(option)") }
    }
  }

  @Test func namesFollowThePattern() {
    for metric in Metric.allCases {
      let name = metric.rawValue
      #expect(name.hasPrefix("lookout_") && name.utf8.allSatisfy { $0 == 0x5F || (0x61...0x7A).contains($0) })
      #expect(name.hasSuffix("_total") == (metric.kind == .counter), "\(name)")
      #expect(metric.help.hasSuffix("."), "\(name)")
    }
  }
}
