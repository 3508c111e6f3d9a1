internal import Platform
internal import SinkProtocol
internal import Synchronization

/// Knows where plugins and the sink host are, and starts a host for a sink.
package struct SinkLaunch: Sendable {
  let hostPath: String
  let pluginDirectories: [String]

  package init(hostPath: String, pluginDirectories: [String]) {
    self.hostPath = hostPath
    self.pluginDirectories = pluginDirectories
  }

  /// The first folder's `lookout-sink-<plugin>.so`, in the order of the configuration.
  func pluginPath(for plugin: String) -> String? {
    for directory in pluginDirectories {
      let path = Path(directory).appending(Array("lookout-sink-\(plugin).so".utf8))
      if (try? FileStatus.of(path, followingLinks: true))?.kind == .regular {
        return String(decoding: path.bytes, as: UTF8.self)
      }
    }
    return nil
  }

  /// Starts a host process with the sink's plugin and opens it at a position.
  ///
  /// Blocks up to the open deadline.
  func open(_ settings: SinkSettings, resumeAt position: String) throws(SinkProcessError) -> SinkProcess {
    guard let plugin = pluginPath(for: settings.plugin) else {
      throw .fatal(
        call: "open",
        reason: "there is no lookout-sink-\(settings.plugin).so in \(pluginDirectories.joined(separator: ", "))")
    }
    return try SinkProcess(
      hostPath: hostPath, pluginPath: plugin, name: settings.name, config: settings.optionsJSON,
      sandbox: settings.sandbox, resumePosition: position
    ) { level, message in Self.log(level, message, sink: settings.name) }
  }

  /// What this kernel cannot forbid, as far as it was told: it is the same for every sink and each time one is opened.
  private static let toldGaps = Mutex<Set<String>>([])

  /// Passes on what a plugin, or its host before it, says; a plugin's debug lines are its author's alone.
  private static func log(_ level: LogLevel, _ message: String, sink: String) {
    let severity: Journal.Level
    switch level {
    case .error: severity = .error
    case .warning: severity = .warning
    case .info: severity = .info
    case .debug: return
    }
    if message.hasPrefix(SinkSandbox.gapMark) {
      guard toldGaps.withLock({ $0.insert(message).inserted }) else { return }
      Journal.log(.warning, message, id: .sinkSays)
    } else {
      Journal.log(severity, "sink \(sink): \(message)", id: .sinkSays, fields: [("LOOKOUT_SINK", sink)])
    }
  }
}
