internal import Glibc
internal import TestSupport

/// One installation of Lookout for one scenario: folders, configuration, model, daemon, hooks, and the oracle's books.
package final class Site {
  package struct Watch: Sendable {
    package var name: String
    package var path: String
    package var sinks: [String]
    package var after = "keep"
    package var settleMilliseconds = 100
    package var retryAttempts = 1
    package var mode = "auto"
    package var onFailure: String

    package init(name: String, path: String, sinks: [String], onFailure: String) {
      self.name = name
      self.path = path
      self.sinks = sinks
      self.onFailure = onFailure
    }
  }

  package struct Sink: Sendable {
    package var name: String
    package var plugin: String
    package var path: String
    /// Further lines of the table.
    package var extra = ""

    package init(name: String, plugin: String, path: String, extra: String = "") {
      self.name = name
      self.plugin = plugin
      self.path = path
      self.extra = extra
    }
  }

  /// Everything the daemon may write to lies below.
  package let root: String
  /// The suite's own: configuration, model, plugins, log, control page.
  package let base: String
  package let oracle: Oracle
  package let control: FaultControl
  package var watches: [Watch]
  package var sinks: [Sink]
  package var modelFile: String
  package var workers = 2
  package var stopTimeoutSeconds = 60
  package var maxBatch = 8
  package let service: Supervised
  private let scratch = Scratch()
  private var nextNumber: Int

  package var inbox: String { watches[0].path }
  package var state: String { "\(root)/state" }
  package var out: String { "\(root)/out" }
  package var quarantine: String { "\(root)/quarantine" }
  package var done: String { "\(root)/done" }

  /// Makes the folders below `root`, or in a folder of its own that vanishes with this object.
  ///
  /// `firstNumber`: pictures are numbered from there on.
  package init(root chosen: String? = nil, after: String = "keep", firstNumber: Int = 1) throws {
    base = scratch.path
    let (base, root) = (base, chosen ?? "\(base)/work")
    self.root = root
    for folder in [root, "\(base)/plugins"] { mkdir(folder, 0o755) }
    for name in ["inbox", "out", "state", "run", "quarantine", "done"] { mkdir("\(root)/\(name)", 0o777) }
    chmod(base, 0o755)
    for sink in ["csv", "json", "sqlite", "faults-hostile-sink"] {
      guard
        let bytes = Files.read("\(Bench.products)/liblookout-\(sink == "faults-hostile-sink" ? "" : "sink-")\(sink).so")
      else { throw SiteError("lookout is not built: \(Bench.products) has no sink \(sink); run make build") }
      Files.write(bytes, to: "\(base)/plugins/lookout-sink-\(sink == "faults-hostile-sink" ? "hostile" : sink).so")
    }
    control = FaultControl(path: "\(base)/control")
    nextNumber = firstNumber
    sinks = [
      Sink(name: "table", plugin: "csv", path: "\(root)/out/results.csv"),
      Sink(name: "lines", plugin: "json", path: "\(root)/out/results.jsonl"),
      Sink(name: "archive", plugin: "sqlite", path: "\(root)/out/results.db"),
    ]
    var watch = Watch(
      name: "inbox", path: "\(root)/inbox", sinks: ["table", "lines", "archive"], onFailure: "\(root)/quarantine")
    watch.after = after == "move" ? "move:\(root)/done" : after
    watches = [watch]
    oracle = Oracle(sinks: [
      SinkOutput(name: "table", form: .csv, path: "\(root)/out/results.csv"),
      SinkOutput(name: "lines", form: .json, path: "\(root)/out/results.jsonl"),
      SinkOutput(name: "archive", form: .sqlite, path: "\(root)/out/results.db"),
    ])
    oracle.quarantines = ["\(root)/quarantine"]
    oracle.doneFolders = ["\(root)/done"]
    oracle.isDeletedWhenDone = after == "delete"
    modelFile = "\(base)/model.swiftweights"
    oracle.models[try NumberModel.write(to: modelFile, tag: "a")] = "a"
    service = Supervised(
      configuration: "\(base)/lookout.toml", log: "\(base)/log", notifyPath: "\(base)/notify",
      environment: ["LOOKOUT_FAULTS_CONTROL=\(control.path)"])
    configure()
  }

  /// The configuration as it stands, with further lines at its end.
  package func configure(adding extra: String = "") {
    var text = """
      [daemon]
      state_dir = "\(state)"
      runtime_dir = "\(root)/run"
      plugin_dirs = ["\(base)/plugins"]
      workers = \(workers)
      stop_timeout_s = \(stopTimeoutSeconds)
      listen = ["unix:\(base)/http.sock"]
      [models.default]
      file = "\(modelFile)"
      top_k = \(NumberPicture.digits)
      max_batch = \(maxBatch)

      """
    for watch in watches {
      text += """
        [watches.\(watch.name)]
        path = "\(watch.path)"
        sinks = [\(watch.sinks.map { "\"\($0)\"" }.joined(separator: ", "))]
        after = "\(watch.after)"
        on_failure = "quarantine:\(watch.onFailure)"
        settle_ms = \(watch.settleMilliseconds)
        retry_attempts = \(watch.retryAttempts)
        mode = "\(watch.mode)"

        """
    }
    for sink in sinks {
      text += "[sinks.\(sink.name)]\nplugin = \"\(sink.plugin)\"\n"
      if !sink.path.isEmpty { text += "path = \"\(sink.path)\"\n" }
      if ["csv", "json", "sqlite"].contains(sink.plugin) { text += "top_k = \(NumberPicture.digits)\n" }
      text += sink.extra.isEmpty ? "" : "\(sink.extra)\n"
    }
    Files.write(Array((text + extra).utf8), to: "\(base)/lookout.toml")
  }

  /// A counter or gauge of the daemon's metrics, the sum over its labels; nil if it is not told.
  package func metric(_ name: String) -> Double? {
    let page = "\(base)/metrics"
    unlink(page)
    guard
      Bench.shell("curl -sf --max-time 5 --unix-socket '\(base)/http.sock' http://localhost/metrics", log: page) == 0
    else { return nil }
    let values = Files.text(page).split(separator: "\n").compactMap { line -> Double? in
      guard line.hasPrefix("\(name) ") || line.hasPrefix("\(name){") else { return nil }
      return line.split(separator: " ").last.flatMap { Double($0) }
    }
    return values.isEmpty ? nil : values.reduce(0, +)
  }

  // MARK: Handing over

  /// A new picture, each with a number of its own.
  package func picture() -> NumberPicture.File {
    defer { nextNumber += 1 }
    return NumberPicture.varied(nextNumber)
  }

  /// Writes pictures durably into a folder (the inbox if none is named) and notes what must come of them.
  @discardableResult
  package func handOver(_ count: Int, into folder: String? = nil) -> [String] {
    let folder = folder ?? inbox
    let paths = (0..<count).map { _ -> String in
      let file = picture()
      let path = "\(folder)/\(file.number)\(file.suffix)"
      Self.writeDurably(file.bytes, to: path)
      oracle.expect(file, at: Array(path.utf8))
      return path
    }
    Self.sync(folder)
    return paths
  }

  /// A file that ends too early, which is to be refused.
  package func handOverCutShort() {
    let file = picture()
    let cut = NumberPicture.File(
      number: file.number, bytes: Array(file.bytes.prefix(file.bytes.count / 2)), suffix: file.suffix)
    let path = "\(inbox)/cut-\(file.number)\(file.suffix)"
    Self.writeDurably(cut.bytes, to: path)
    oracle.expect(cut, at: Array(path.utf8), fate: .refused)
    Self.sync(inbox)
  }

  package static func writeDurably(_ bytes: [UInt8], to path: String) {
    Files.write(bytes, to: path)
    sync(path)
  }

  package static func sync(_ path: String) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    fsync(file)
    close(file)
  }

  // MARK: Waiting

  /// Tends the service until the oracle finds nothing amiss; the seconds that took, or nil with what is amiss after `seconds`.
  package func settled(within seconds: Double) -> (seconds: Double?, amiss: [String]) {
    let start = Bench.seconds()
    var pause: Double = 0.02
    while true {
      service.tend(for: pause)
      let began = Bench.seconds()
      let amiss = oracle.violations()
      let now = Bench.seconds()
      if amiss.isEmpty { return (now - start, []) }
      if now - start > seconds { return (nil, amiss) }
      pause = max(0.02, 2 * (now - began))
    }
  }
}

/// Why a scenario cannot go on; not a fault of the product.
package struct SiteError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
