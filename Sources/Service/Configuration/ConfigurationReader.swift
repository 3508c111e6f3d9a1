internal import Engine
internal import HTTPServer
internal import Platform
internal import SinkProtocol
internal import TOML

/// Turns the TOML tables into settings and collects what is wrong with them.
struct ConfigurationReader {
  private var root: TableReader
  private(set) var problems: [ConfigurationError.Problem] = []
  private var places: [String: FilePosition] = [:]

  init(_ value: TOMLValue) { root = TableReader("", value) }

  mutating func read() -> Configuration {
    var configuration = Configuration()
    if let table = root.table("daemon") {
      configuration.daemon = daemon(table)
    } else {
      configuration.daemon = daemon(TOMLValue(content: .table([]), position: FilePosition(line: 1, column: 1)))
    }
    let tables = (models: root.table("models"), watches: root.table("watches"), sinks: root.table("sinks"))
    configuration.models = entries("models", tables.models).map { model($0, $1) }
    configuration.sinks = entries("sinks", tables.sinks).map { sink($0, $1) }
    let state = configuration.daemon.stateDir
    configuration.watches = entries("watches", tables.watches).map { watch($0, $1, stateDir: state) }
    problems += root.finish()
    checkReferences(configuration)
    checkFolders(configuration)
    configuration.places = places
    return configuration
  }

  private static var processors: Int { min(64, Processors.count) }

  private mutating func entries(_ group: String, _ table: TOMLValue?) -> [(String, TOMLValue)] {
    guard let table else {
      problems.append(
        .init(
          position: FilePosition(line: 1, column: 1),
          reason: "there is no [\(group).NAME] table; at least one is needed"))
      return []
    }
    var reader = TableReader(group, table)
    let found = reader.tables()
    problems += reader.finish()
    for entry in found {
      places["\(group).\(entry.key)"] = entry.position
      if entry.key.isEmpty || entry.key.utf8.contains(where: { !Self.isNameByte($0) }) {
        problems.append(
          .init(position: entry.position, reason: "[\(group).\(entry.key)]: a name has letters, digits, - and _ only"))
      }
    }
    return found.map { ($0.key, $0.value) }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
      || byte == 0x5F
  }

  private mutating func daemon(_ table: TOMLValue) -> DaemonSettings {
    var reader = TableReader("daemon", table)
    var settings = DaemonSettings()
    let listenPlace = reader.place(of: "listen")
    for key in ["state_dir", "runtime_dir", "memory_limit"] { places["daemon.\(key)"] = reader.place(of: key) }
    settings.stateDir = reader.string("state_dir", default: settings.stateDir)
    settings.runtimeDir = reader.string("runtime_dir", default: settings.runtimeDir)
    settings.pluginDirs = reader.strings("plugin_dirs", default: settings.pluginDirs)
    settings.workers = reader.integer("workers", default: Self.processors, in: 1...256)
    settings.stopTimeoutSeconds = reader.integer("stop_timeout_s", default: settings.stopTimeoutSeconds, in: 1...3600)
    settings.memoryLimitBytes = reader.size("memory_limit", default: 0)
    settings.retentionSeconds = reader.duration("retention", default: settings.retentionSeconds)
    let addresses =
      reader.placedStrings("listen") ?? [("unix:\(settings.runtimeDir)/http.sock", listenPlace)]
    for address in addresses {
      do throws(ListenAddressError) {
        let read = try ListenAddress(address.text)
        if settings.listen.contains(read) {
          reader.problem(address.position, "[daemon] listen names \(read) twice")
        } else {
          settings.listen.append(read)
        }
      } catch {
        reader.problem(address.position, "[daemon] listen: \(error.reason)")
      }
    }
    problems += reader.finish()
    return settings
  }

  private mutating func model(_ name: String, _ table: TOMLValue) -> ModelSettings {
    var reader = TableReader("models.\(name)", table)
    places["models.\(name).file"] = reader.place(of: "file")
    let algorithmPlace = reader.place(of: "algorithm")
    let precisionPlace = reader.place(of: "precision")
    let settings = ModelSettings(
      name: name, file: reader.string("file", default: "/usr/share/lookout/models/default.swiftweights"),
      topK: reader.integer("top_k", default: 5, in: 1...1000),
      maxBatch: reader.integer("max_batch", default: 8, in: 1...256),
      maxDelayMilliseconds: reader.integer("max_delay_ms", default: 100, in: 0...10_000),
      precision: reader.choice("precision", default: Precision.automatic),
      products: reader.choice("engine", default: EngineOptions.Products.automatic),
      isExact: reader.boolean("exact", default: false),
      algorithm: reader.choice("algorithm", default: ModelSettings.Algorithm.automatic))
    if [.winograd2, .winograd4].contains(settings.algorithm), settings.isExact || settings.products == .openBLAS {
      let other = settings.isExact ? "exact = true" : "engine = \"openblas\""
      reader.problem(
        algorithmPlace,
        "[models.\(name)] algorithm = \"\(settings.algorithm.rawValue)\" contradicts \(other); leave one of them out")
    }
    if settings.precision == .bf16, settings.isExact || settings.products == .openBLAS {
      let other = settings.isExact ? "exact = true" : "engine = \"openblas\""
      reader.problem(
        precisionPlace, "[models.\(name)] precision = \"bf16\" contradicts \(other); leave one of them out")
    }
    problems += reader.finish()
    return settings
  }

  private mutating func sink(_ name: String, _ table: TOMLValue) -> SinkSettings {
    var reader = TableReader("sinks.\(name)", table)
    let plugin = reader.requiredString("plugin")
    for (key, position) in reader.positions { places["sinks.\(name).\(key)"] = position }
    let sandbox = reader.choice("sandbox", default: SinkSandbox.strict)
    let settings = SinkSettings(
      name: name, plugin: plugin, sandbox: sandbox,
      paths: reader.paths.map { SinkSettings.Option(key: $0.key, value: $0.value) }, optionsJSON: reader.restAsJSON())
    problems += reader.finish()
    return settings
  }

  private mutating func watch(_ name: String, _ table: TOMLValue, stateDir: String) -> WatchSettings {
    var reader = TableReader("watches.\(name)", table)
    for key in ["path", "model", "sinks", "after", "on_failure"] {
      places["watches.\(name).\(key)"] = reader.place(of: key)
    }
    let afterPlace = reader.place(of: "after")
    let failurePlace = reader.place(of: "on_failure")
    var path = reader.requiredString("path")
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    let after = reader.string("after", default: "keep")
    let onFailure = reader.string("on_failure", default: "quarantine:\(stateDir)/quarantine/\(name)")
    if !onFailure.hasPrefix("quarantine:/") {
      reader.problem(failurePlace, "[watches.\(name)] on_failure must be \"quarantine:\" and an absolute folder")
    }
    let settings = WatchSettings(
      name: name, path: path, recursive: reader.boolean("recursive", default: true),
      include: reader.strings("include", default: []), exclude: reader.strings("exclude", default: []),
      model: reader.string("model", default: "default"), sinks: reader.strings("sinks", default: []),
      settleMilliseconds: reader.integer("settle_ms", default: 1000, in: 1...3_600_000),
      mode: reader.choice("mode", default: WatchSettings.Mode.auto),
      order: reader.choice("order", default: WatchSettings.Order.oldestFirst),
      after: Self.after(after) ?? .keep,
      onFailure: String(onFailure.dropFirst("quarantine:".count)),
      duplicates: reader.choice("duplicates", default: WatchSettings.Duplicates.answer),
      retryAttempts: reader.integer("retry_attempts", default: 3, in: 0...20))
    if Self.after(after) == nil {
      reader.problem(
        afterPlace,
        "[watches.\(name)] after must be \"keep\", \"delete\" or \"move:\" and an absolute folder, not \"\(after)\"")
    }
    problems += reader.finish()
    return settings
  }

  private static func after(_ text: String) -> WatchSettings.After? {
    switch text {
    case "keep": .keep
    case "delete": .delete
    default: text.hasPrefix("move:/") ? .move(String(text.dropFirst("move:".count))) : nil
    }
  }

  private mutating func problem(at place: String, _ reason: String) {
    problems.append(.init(position: places[place] ?? FilePosition(line: 1, column: 1), reason: reason))
  }

  private mutating func checkReferences(_ configuration: Configuration) {
    let sinks = configuration.sinks.map(\.name)
    for watch in configuration.watches {
      if !configuration.models.contains(where: { $0.name == watch.model }) {
        problem(
          at: "watches.\(watch.name).model",
          "[watches.\(watch.name)] model \"\(watch.model)\" is not there; there are: \(configuration.models.map(\.name).joined(separator: ", "))"
        )
      }
      if watch.sinks.isEmpty {
        problem(
          at: "watches.\(watch.name).sinks",
          "[watches.\(watch.name)] sinks must name at least one of: \(sinks.joined(separator: ", "))")
      }
      for sink in watch.sinks where !sinks.contains(sink) {
        problem(
          at: "watches.\(watch.name).sinks",
          "[watches.\(watch.name)] sink \"\(sink)\" is not there; there are: \(sinks.joined(separator: ", "))")
      }
    }
  }

  private mutating func checkFolders(_ configuration: Configuration) {
    var checks = FolderChecks(configuration)
    checks.run()
    for (place, reason) in checks.problems { problem(at: place, reason) }
  }
}
