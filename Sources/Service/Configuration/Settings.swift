package import Engine
package import HTTPServer
package import SinkProtocol

/// `[daemon]`: what belongs to the whole process.
package struct DaemonSettings: Equatable, Sendable {
  package var stateDir = "/var/lib/lookout"
  package var runtimeDir = "/run/lookout"
  package var pluginDirs = ["/usr/lib/lookout/plugins"]
  /// Decoder threads, and as many classifier threads.
  package var workers = 2
  package var stopTimeoutSeconds = 60
  /// The most memory that may be planned for, in bytes; 0 for no limit.
  package var memoryLimitBytes = 0
  /// How long the ledger remembers a file that is gone, in seconds.
  package var retentionSeconds = 30 * 86_400
  /// Where HTTP is served; empty for nowhere.
  package var listen: [ListenAddress] = []

  func isSame(exceptListen other: DaemonSettings) -> Bool {
    var other = other
    other.listen = listen
    return self == other
  }
}

/// `[models.NAME]`: a weights file and how it is used.
package struct ModelSettings: Equatable, Sendable {
  package var name: String
  package var file: String
  package var topK: Int
  package var maxBatch: Int
  package var maxDelayMilliseconds: Int
  package var precision = Precision.automatic
  package var products = EngineOptions.Products.automatic
  package var isExact = false
  package var algorithm = Algorithm.automatic

  /// How convolutions of 3×3 are computed.
  package enum Algorithm: String, CaseIterable, Sendable {
    /// By what was the fastest on this machine, else by rules.
    case automatic = "auto"
    case rules
    case product, winograd2, winograd4
  }

  /// How the model's network is to be computed; `measured`: what this machine knows of algorithms.
  package func engineOptions(measured: [String: ConvolutionAlgorithm] = [:]) -> EngineOptions {
    EngineOptions(
      products: products, isExact: isExact, expectedBatch: maxBatch,
      measured: algorithm == .automatic ? measured : [:],
      forcedAlgorithm: ConvolutionAlgorithm(rawValue: algorithm.rawValue))
  }

  /// How many decoded pictures may be in memory: a batch for each classifier, and two for each decoder beside it.
  package func slotCount(workers: Int) -> Int { (maxBatch + 2) * workers }
}

/// `[watches.NAME]`: a folder, its model and its sinks.
package struct WatchSettings: Equatable, Sendable {
  /// How arrivals are noticed.
  package enum Mode: String, CaseIterable, Sendable {
    /// Events where the file system gives them, else polling.
    case auto
    case events
    case poll
  }

  /// In which order files are taken that a listing finds: at a start, after a pause or after lost events.
  package enum Order: String, CaseIterable, Sendable {
    /// By the time at which they arrived, as the change of their inode tells.
    case oldestFirst = "oldest-first"
    case newestFirst = "newest-first"
    /// As the folder gives them, which needs no listing to its end before the first is taken.
    case asFound = "as-found"
  }

  /// What becomes of a file once every sink has its result.
  package enum After: Equatable, Sendable {
    case keep
    case delete
    case move(String)
  }

  /// What is done about bytes that were answered before.
  package enum Duplicates: String, CaseIterable, Sendable {
    case answer
    case ignore
  }

  package var name: String
  package var path: String
  package var recursive: Bool
  package var include: [String]
  package var exclude: [String]
  package var model: String
  package var sinks: [String]
  package var settleMilliseconds: Int
  package var mode: Mode
  package var order: Order
  package var after: After
  /// The quarantine folder.
  package var onFailure: String
  package var duplicates: Duplicates
  /// How many further rests a truncated file gets, each twice as long as the one before.
  package var retryAttempts: Int
}

/// `[sinks.NAME]`: a plugin and its own options.
package struct SinkSettings: Equatable, Sendable {
  /// A key and its text.
  package struct Option: Equatable, Sendable {
    package var key: String
    package var value: String
  }

  package var name: String
  package var plugin: String
  package var sandbox: SinkSandbox
  /// The plugin's options that are absolute paths, in the order of the file.
  package var paths: [Option]
  /// The rest of the table as a JSON object; the plugin reads it strictly.
  package var optionsJSON: String
}
