internal import Glibc
internal import LookoutSinkKit
internal import Platform
internal import Service
internal import SinkConformance
internal import SinkProtocol

/// `lookout plugin`: which sinks there are, a new one, and whether one keeps the contract.
enum PluginCommand {
  static func run(_ words: [String]) throws(Failure) {
    let rest = Array(words.dropFirst())
    switch words.first {
    case "list": try list(rest)
    case "new": try PluginProject.run(rest)
    case "test": try test(rest)
    default: throw .usage("plugin takes list, new or test")
    }
  }

  // MARK: list

  private static func list(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ["--config"], switches: ["--json"])
    guard arguments.operands.isEmpty else { throw .usage("plugin list takes no operand") }
    let found = plugins(in: Configuration.pluginDirectories(namedIn: arguments["--config"] ?? defaultConfigurationPath))
    if arguments.has("--json") {
      var json = JSONWriter()
      json.beginArray()
      for plugin in found {
        json.beginObject()
        json.key("name")
        json.value(plugin.name)
        json.path("path", plugin.path.bytes)
        json.key("problem")
        json.value(plugin.problem)
        json.endObject()
      }
      json.endArray()
      return write(json.bytes + [0x0A])
    }
    for plugin in found {
      print("\(plugin.name)\t\(plugin.path.displayed)\(plugin.problem.map { "\trefused: \($0)" } ?? "")")
    }
    if found.isEmpty { throw Failure(code: 66, message: "no plugin is installed") }
  }

  /// A plugin's file, and why the service would refuse it.
  struct Installed {
    let name: String
    let path: Path
    let problem: String?
  }

  /// The plugins that `plugin = "NAME"` finds, each once.
  static func plugins(in directories: [String]) -> [Installed] {
    var found: [Installed] = []
    for directory in directories {
      let entries = (try? Directory.list(Path(directory))) ?? []
      for entry in entries.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
        let file = String(decoding: entry.name, as: UTF8.self)
        guard file.hasPrefix("lookout-sink-"), file.hasSuffix(".so") else { continue }
        let name = String(file.dropFirst("lookout-sink-".count).dropLast(".so".count))
        guard !name.isEmpty, !found.contains(where: { $0.name == name }) else { continue }
        let path = Path(directory).appending(entry.name)
        found.append(Installed(name: name, path: path, problem: pluginFileProblem(path.displayed)))
      }
    }
    return found
  }

  // MARK: test

  private static func test(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ["--config"], switches: ["--json"])
    guard arguments.operands.count == 1 else { throw .usage("plugin test takes one shared object") }
    guard let resolved = realpath(arguments.operands[0], nil) else {
      throw .input("\(arguments.operands[0]): \(String(cString: strerror(errno)))")
    }
    defer { free(resolved) }
    let suite =
      arguments["--config"].map {
        SinkConformance(
          hostPath: Installation.sinkHostPath, pluginPath: String(cString: resolved), configuration: $0)
      } ?? SinkConformance(hostPath: Installation.sinkHostPath, pluginPath: String(cString: resolved))
    var failed = 0
    var json = JSONWriter()
    json.beginArray()
    for check in SinkConformance.checks {
      let (word, reason): (String, String?) =
        switch suite.run(check) {
        case .passed: ("passed", nil)
        case .failed(let reason): ("failed", reason)
        case .skipped(let reason): ("skipped", reason)
        }
      if word == "failed" { failed += 1 }
      if arguments.has("--json") {
        json.beginObject()
        for (name, text) in [("check", check.name), ("demand", check.demand), ("outcome", word), ("reason", reason)] {
          json.key(name)
          json.value(text)
        }
        json.endObject()
      } else {
        print("\(word)\t\(check.name)\(word == "passed" ? "" : "\n\t\(check.demand)\n\t\(reason ?? "")")")
      }
    }
    json.endArray()
    if arguments.has("--json") { write(json.bytes + [0x0A]) }
    if failed > 0 {
      throw .data("\(failed) of \(SinkConformance.checks.count) checks failed; lookout-sink(7) says what is demanded")
    }
  }
}
