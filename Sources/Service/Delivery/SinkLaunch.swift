internal import Platform
internal import SinkProtocol

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
      sandbox: settings.sandbox, resumePosition: position)
  }
}
