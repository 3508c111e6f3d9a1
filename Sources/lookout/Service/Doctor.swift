internal import Engine
internal import Glibc
internal import Platform
internal import Service
internal import SinkProtocol
internal import TOML

/// Looks at everything that the service needs from its machine.
struct Doctor {
  let configurationPath: String
  /// Who the service runs as.
  let user: String
  let unit: String

  func findings() -> [Finding] {
    let configuration: Configuration
    do throws(ConfigurationError) {
      configuration = try Configuration.load(path: configurationPath)
    } catch {
      return error.problems.map { problem in
        .bad(
          "configuration",
          "\(configurationPath):\(problem.position.line):\(problem.position.column): \(problem.reason)",
          "mend this place, then: lookoutd --check --config \(configurationPath)")
      }
    }
    var findings = [Finding.good("configuration", "\(configurationPath) is valid")]
    findings += models(configuration)
    findings += plugins(configuration)
    let folders = Folders(configuration)
    let access = ServiceAccess(user: user)
    findings += access.findings(folders)
    for watch in configuration.watches { findings += mount(watch) }
    findings += watchBudget(configuration)
    findings += space(folders)
    findings += Sandbox(unit: unit).findings(configuration, folders)
    return findings
  }

  private func models(_ configuration: Configuration) -> [Finding] {
    var findings: [Finding] = []
    do throws(EngineError) {
      try MatrixLibrary.prove()
    } catch {
      findings.append(
        .bad("processor", "\(error)", "apt install libopenblas0-pthread; or set OPENBLAS_CORETYPE for the service"))
    }
    for settings in configuration.models {
      do throws(ServiceError) {
        let model = try LoadedModel(settings: settings, slotCount: 1)
        findings.append(
          .good("model \(settings.name)", "\(model.labels.count) labels, digest \(model.digest.prefix(12))"))
      } catch {
        findings.append(.bad("model \(settings.name)", "\(error)", "lookout inspect \(settings.file)"))
      }
    }
    return findings
  }

  private func plugins(_ configuration: Configuration) -> [Finding] {
    let userID = getpwnam(user).map { $0.pointee.pw_uid } ?? geteuid()
    let installed = PluginCommand.plugins(in: configuration.daemon.pluginDirs)
    return configuration.sinks.map { sink in
      guard let plugin = installed.first(where: { $0.name == sink.plugin }) else {
        return .bad(
          "sink \(sink.name)",
          "there is no lookout-sink-\(sink.plugin).so in \(configuration.daemon.pluginDirs.joined(separator: ", "))",
          "install it there, or correct plugin = \"\(sink.plugin)\"; lookout plugin list shows what there is")
      }
      if let problem = pluginFileProblem(plugin.path.displayed, userID: userID) {
        return .bad(
          "sink \(sink.name)", problem, "chown root: \(plugin.path.displayed) && chmod 644 \(plugin.path.displayed)")
      }
      return .good("sink \(sink.name)", "plugin \(plugin.path.displayed)")
    }
  }

  private func mount(_ watch: WatchSettings) -> [Finding] {
    let kind = MountTable.fileSystem(of: watch.path)
    let subject = "watch \(watch.name)"
    if MountKind.givesEvents(Path(watch.path)) || watch.mode == .poll {
      return [.good(subject, "\(watch.path) is on \(kind)\(watch.mode == .poll ? ", polled as configured" : "")")]
    }
    if watch.mode == .events {
      return [
        .bad(
          subject, "\(watch.path) is on \(kind), which tells of no file that another machine writes",
          "set mode = \"auto\" or \"poll\" in [watches.\(watch.name)]")
      ]
    }
    return [
      .note(
        subject, "\(watch.path) is on \(kind), so it is listed each second instead of watched",
        "nothing needs to be done; a local folder is noticed sooner and costs less")
    ]
  }

  private func watchBudget(_ configuration: Configuration) -> [Finding] {
    let limit = Self.number(in: "/proc/sys/fs/inotify/max_user_watches")
    var needed = 0
    for watch in configuration.watches where watch.mode != .poll {
      needed += watch.recursive ? Self.folders(below: Path(watch.path), atMost: 2_000_000) : 1
    }
    if limit > 0, needed * 10 > limit * 8 {
      let wanted = max(524_288, needed * 2)
      return [
        .bad(
          "watches", "\(needed) folders are to be watched, fs.inotify.max_user_watches allows \(limit) for the user",
          "echo fs.inotify.max_user_watches=\(wanted) > /etc/sysctl.d/60-lookout.conf && sysctl --system")
      ]
    }
    return [.good("watches", "\(needed) folders of \(limit) that the kernel allows")]
  }

  private static func folders(below root: Path, atMost limit: Int) -> Int {
    var count = 0
    var open = [root]
    while let folder = open.popLast(), count < limit {
      count += 1
      for entry in (try? Directory.list(folder)) ?? [] where entry.kind == .directory {
        if !IgnoredNames.contains(entry.name) { open.append(folder.appending(entry.name)) }
      }
    }
    return count
  }

  private static func number(in path: String) -> Int {
    let bytes = (try? AtomicFile.read(Path(path), limit: 100)) ?? []
    return Int(String(decoding: bytes, as: UTF8.self).filter(\.isNumber)) ?? 0
  }

  private func space(_ folders: Folders) -> [Finding] {
    var seen: Set<UInt64> = []
    return folders.written.compactMap { folder -> Finding? in
      var space = statvfs()
      var status = stat()
      guard statvfs(folder.path, &space) == 0, stat(folder.path, &status) == 0,
        seen.insert(UInt64(status.st_dev)).inserted
      else { return nil }
      let free = Int(space.f_bavail) * Int(space.f_frsize)
      let share = space.f_blocks > 0 ? Double(space.f_bavail) / Double(space.f_blocks) : 1
      let text = "\(free >> 20) MiB free (\(Int(share * 100)) %) where \(folder.path) is"
      if free < 64 << 20 || (space.f_files > 0 && space.f_favail < 1000) {
        return .bad(
          "disk", text + ", \(space.f_favail) inodes", "free space there, or move \(folder.purpose) elsewhere")
      }
      if share < 0.05 { return .note("disk", text, "free space there before it runs out; the service then pauses") }
      return .good("disk", text)
    }
  }
}

/// The folders that a configuration names, and what for.
struct Folders {
  struct Folder {
    let path: String
    let purpose: String
  }

  /// Read by the service.
  var read: [Folder] = []
  /// Written by the service, inboxes that files leave from among them.
  var written: [Folder] = []

  init(_ configuration: Configuration) {
    written.append(Folder(path: configuration.daemon.stateDir, purpose: "state_dir"))
    for watch in configuration.watches {
      read.append(Folder(path: watch.path, purpose: "watch \(watch.name)"))
      // Even with after = "keep" a refused file goes to quarantine.
      written.append(Folder(path: watch.path, purpose: "watch \(watch.name)"))
      written.append(Folder(path: watch.onFailure, purpose: "quarantine of watch \(watch.name)"))
      if case .move(let target) = watch.after {
        written.append(Folder(path: target, purpose: "after of watch \(watch.name)"))
      }
    }
    for sink in configuration.sinks {
      guard let options = try? JSON(parsing: sink.optionsJSON), let path = options["path"]?.asText else { continue }
      written.append(Folder(path: Path(path).parent.displayed, purpose: "output of sink \(sink.name)"))
    }
    for index in written.indices {
      // What is not there yet is made below the nearest folder that is.
      var path = Path(written[index].path)
      while (try? FileStatus.of(path, followingLinks: true)) == nil, path.parent != path { path = path.parent }
      written[index] = Folder(path: path.displayed, purpose: written[index].purpose)
    }
  }
}
