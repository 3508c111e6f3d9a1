internal import Engine
internal import Glibc
internal import Platform
internal import SinkProtocol
internal import TOML

/// What `lookoutd --check` does: everything a start does short of taking files.
package struct ConfigurationCheck {
  private let path: String
  private let configuration: Configuration
  private var problems: [ConfigurationError.Problem] = []
  private var lines: [String] = []

  /// Loads configuration and models, looks at folders and their rights, and opens every plugin.
  ///
  /// Root checks as the user who owns `state_dir`, so that nothing is made that the service could not use. A plugin is
  /// opened only if no daemon runs on the state folder, since two owners of one output would hurt it.
  ///
  /// - Returns: one line for each thing that was checked.
  /// - Throws: `ConfigurationError` with everything that is wrong, each with its line and column; `EngineError` if the
  ///   matrix library computes wrong.
  package static func run(configurationPath: String, hostPath: String) throws -> [String] {
    var check = try ConfigurationCheck(
      path: configurationPath, configuration: Configuration.load(path: configurationPath))
    check.becomeTheService()
    check.checkModels()
    check.checkRights()
    check.checkSinks(hostPath: hostPath)
    guard check.problems.isEmpty else { throw ConfigurationError(file: configurationPath, problems: check.problems) }
    return check.lines
  }

  private init(path: String, configuration: Configuration) {
    self.path = path
    self.configuration = configuration
    lines = ["configuration \(path): valid"]
  }

  private mutating func problem(_ places: [String], _ reason: String) {
    let known = configuration.places
    let position = places.compactMap { known[$0] }.first
    problems.append(.init(position: position ?? FilePosition(line: 1, column: 1), reason: reason))
  }

  /// Gives up root for the owner of the state folder.
  private mutating func becomeTheService() {
    guard geteuid() == 0, let status = try? FileStatus.of(Path(configuration.daemon.stateDir), followingLinks: true),
      status.ownerUID != 0, let user = getpwuid(status.ownerUID)
    else { return }
    let name = String(cString: user.pointee.pw_name)
    guard initgroups(name, user.pointee.pw_gid) == 0, setgid(user.pointee.pw_gid) == 0, setuid(status.ownerUID) == 0
    else { return problem(["daemon.state_dir"], "[daemon] cannot check as the user \(name), who owns state_dir") }
    lines.append("checked as the user \(name), who owns \(configuration.daemon.stateDir)")
  }

  private mutating func checkModels() {
    var models: [LoadedModel] = []
    for settings in configuration.models {
      do throws(ServiceError) {
        let model = try LoadedModel(
          settings: settings, slotCount: settings.slotCount(workers: configuration.daemon.workers))
        models.append(model)
        lines.append("model \(settings.name): \(model.labels.count) labels, digest \(model.digest)")
      } catch {
        problem(["models.\(settings.name).file", "models.\(settings.name)"], "\(error)")
      }
    }
    if let line = LoadedModel.lackOfBF16(models) { lines.append(line) }
    guard models.count == configuration.models.count else { return }
    do throws(ServiceError) {
      let plan = try MemoryPlan(
        models: models.map(\.cost), workers: configuration.daemon.workers,
        limit: configuration.daemon.memoryLimitBytes)
      lines.append(plan.line)
      if let concession = plan.concession() { lines.append(concession) }
    } catch {
      problem(["daemon.memory_limit"], "[daemon] \(error)")
    }
  }

  /// What the service must be able to do with each folder, asked of the kernel (`access`).
  private mutating func checkRights() {
    for watch in configuration.watches {
      let path = "watches.\(watch.name).path"
      let letsGo = watch.after != .keep
      if let lack = Self.lack(of: R_OK | X_OK | (letsGo ? W_OK : 0), at: watch.path) {
        let purpose = letsGo ? "read it and take files out" : "read it"
        problem([path], "[watches.\(watch.name)] path \(watch.path): the service cannot \(purpose): \(lack)")
      } else {
        lines.append("watch \(watch.name): \(watch.path) can be watched")
      }
      if let lack = Self.lackOfFolder(watch.onFailure) {
        problem(
          ["watches.\(watch.name).on_failure", "watches.\(watch.name)"],
          "[watches.\(watch.name)] on_failure \(watch.onFailure): \(lack)")
      }
      if case .move(let directory) = watch.after, let lack = Self.lackOfFolder(directory) {
        problem(["watches.\(watch.name).after"], "[watches.\(watch.name)] after moves to \(directory): \(lack)")
      }
    }
    for (key, folder) in [
      ("state_dir", configuration.daemon.stateDir), ("runtime_dir", configuration.daemon.runtimeDir),
    ] {
      if let lack = Self.lackOfFolder(folder) { problem(["daemon.\(key)"], "[daemon] \(key) \(folder): \(lack)") }
    }
  }

  private static func lack(of rights: Int32, at path: String) -> String? {
    access(path, rights) == 0 ? nil : String(cString: strerror(errno))
  }

  /// Why a folder cannot be written to, or be made.
  private static func lackOfFolder(_ folder: String) -> String? {
    var path = Path(folder)
    while (try? FileStatus.of(path, followingLinks: true)) == nil, path.parent != path { path = path.parent }
    guard (try? FileStatus.of(path, followingLinks: true))?.kind == .directory else {
      return "\(path.displayed) is no folder"
    }
    return path.withCString { access($0, W_OK | X_OK) } == 0
      ? nil : "the service cannot write to \(path.displayed): \(String(cString: strerror(errno)))"
  }

  private mutating func checkSinks(hostPath: String) {
    let launch = SinkLaunch(hostPath: hostPath, pluginDirectories: configuration.daemon.pluginDirs)
    let state = Path(configuration.daemon.stateDir)
    guard (try? FileStatus.of(state, followingLinks: true))?.kind == .directory else {
      lines.append("\(state.displayed) is not there yet: the sinks were not opened")
      return
    }
    let lockPath = state.appending("lock")
    guard let lock = try? PosixLock(path: lockPath) else {
      lines.append("a daemon runs on \(state.displayed): its sinks are open already and were not opened again")
      return
    }
    defer { withExtendedLifetime(lock) {} }
    let ledgerPath = state.appending("ledger.db")
    var ledger: Ledger?
    if (try? FileStatus.of(ledgerPath, followingLinks: true)) != nil {
      do throws(LedgerError) {
        ledger = try Ledger(path: ledgerPath.displayed)
      } catch {
        return problem(["daemon.state_dir"], "\(error)")
      }
    }
    defer { ledger?.close() }
    for sink in configuration.sinks {
      do throws(SinkProcessError) {
        let position = (try? ledger?.sinkState(sink.name).position) ?? ""
        let process = try launch.open(sink, resumeAt: position)
        process.close()
        lines.append("sink \(sink.name): plugin \(sink.plugin) opens")
      } catch {
        problem(places(of: sink, in: "\(error)"), "[sinks.\(sink.name)] \(error)")
      }
    }
  }

  /// A plugin names the key that it refuses in quotes.
  private func places(of sink: SinkSettings, in reason: String) -> [String] {
    let quoted = reason.split(separator: "'", omittingEmptySubsequences: false)
    let keys = stride(from: 1, to: quoted.count, by: 2).map { "sinks.\(sink.name).\(quoted[$0])" }
    return keys + ["sinks.\(sink.name)"]
  }
}
