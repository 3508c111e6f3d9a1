internal import Platform
internal import SinkProtocol

/// What `lookoutd --check` does: everything a start does short of taking files.
package enum ConfigurationCheck {
  /// Loads configuration and models and opens every plugin.
  ///
  /// A plugin is opened only if no daemon runs on the state folder, since two owners of one output would hurt it.
  ///
  /// - Returns: one line for each thing that was checked.
  /// - Throws: the first error of a start.
  package static func run(configurationPath: String, hostPath: String) throws -> [String] {
    let configuration = try Configuration.load(path: configurationPath)
    var lines = ["configuration \(configurationPath): valid"]
    for settings in configuration.models {
      let model = try LoadedModel(settings: settings, slotCount: 1)
      lines.append("model \(settings.name): \(model.labels.count) labels, digest \(model.digest)")
    }
    let launch = SinkLaunch(hostPath: hostPath, pluginDirectories: configuration.daemon.pluginDirs)
    let state = Path(configuration.daemon.stateDir)
    try Directory.create(state, mode: 0o750)
    guard let lock = try? PosixLock(path: state.appending(Array("lock".utf8))) else {
      lines.append("a daemon runs on \(state.displayed): its sinks are open already and were not opened again")
      return lines
    }
    defer { withExtendedLifetime(lock) {} }
    let ledger = try Ledger(path: state.appending(Array("ledger.db".utf8)).displayed)
    defer { ledger.close() }
    for sink in configuration.sinks {
      do throws(SinkProcessError) {
        let position = (try? ledger.sinkState(sink.name).position ?? "") ?? ""
        let process = try launch.open(sink, resumeAt: position)
        process.close()
        lines.append("sink \(sink.name): plugin \(sink.plugin) opens")
      } catch {
        throw ServiceError.sink(name: sink.name, reason: "\(error)")
      }
    }
    return lines
  }
}
