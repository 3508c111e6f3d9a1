internal import Glibc
internal import Platform
package import TOML

/// The whole of `lookout.toml`, read strictly and checked against itself and the folders it names.
package struct Configuration: Equatable, Sendable {
  package var daemon = DaemonSettings()
  package var models: [ModelSettings] = []
  package var watches: [WatchSettings] = []
  package var sinks: [SinkSettings] = []
  /// Where tables and keys stand in the file, such as `watches.inbox.path`, for what is found wrong later.
  package var places: [String: FilePosition] = [:]

  /// The largest batch of any model.
  package var maxBatch: Int { models.map(\.maxBatch).max() ?? 1 }

  /// How many things the decoders, as many in reserve, and the classifiers have in hand at once.
  package var slotsInHand: Int { daemon.workers * (2 + maxBatch) }

  /// Whether only models and the addresses listened on differ, so that they can be swapped without a break.
  package func isSame(exceptModels other: Configuration) -> Bool {
    daemon.isSame(exceptListen: other.daemon) && watches == other.watches && sinks == other.sinks
      && models.map(\.name) == other.models.map(\.name) && models.map(\.maxBatch) == other.models.map(\.maxBatch)
  }

  /// Reads and checks a file.
  ///
  /// - Throws: `ConfigurationError` with every problem, each with line, column and what is allowed.
  package static func load(path: String) throws(ConfigurationError) -> Configuration {
    let text: [UInt8]
    do throws(PlatformError) {
      text = try AtomicFile.read(Path(path), limit: 1 << 20)
    } catch {
      throw ConfigurationError(
        file: path, problems: [.init(position: FilePosition(line: 0, column: 0), reason: "cannot be read: \(error)")])
    }
    return try parse(text, file: path)
  }

  /// Checks a document that is in memory already.
  package static func parse(_ text: [UInt8], file: String) throws(ConfigurationError) -> Configuration {
    let root: TOMLValue
    switch TOMLValue.parse(text) {
    case .success(let value): root = value
    case .failure(let error):
      throw ConfigurationError(file: file, problems: [.init(position: error.position, reason: error.reason)])
    }
    var reader = ConfigurationReader(root)
    let configuration = reader.read()
    guard reader.problems.isEmpty else {
      let sorted = reader.problems.sorted {
        ($0.position.line, $0.position.column) < ($1.position.line, $1.position.column)
      }
      throw ConfigurationError(file: file, problems: sorted)
    }
    return configuration
  }
}
