internal import Platform

/// Finds folders of a configuration that are in each other's way, whatever links, `..` and bind mounts lead to them.
///
/// What the service writes must lie below no inbox, or it would take it for an arrival; and no inbox below a folder into
/// which files are moved, or what left would arrive again. Of a folder whose file system does not answer nothing is said:
/// its watch waits for it, and others go on.
struct FolderChecks {
  private let configuration: Configuration
  private let table = MountTable()
  private let silent: Set<Path>
  private var inboxes: [(watch: WatchSettings, place: Place)] = []
  private(set) var problems: [(place: String, reason: String)] = []

  init(_ configuration: Configuration) {
    self.configuration = configuration
    let silent = Path.silent(among: Self.paths(in: configuration), within: .seconds(2))
    self.silent = silent
    inboxes = configuration.watches.filter { $0.path.hasPrefix("/") && !silent.contains(Path($0.path)) }
      .map { ($0, table.place(of: Path($0.path))) }
  }

  /// Every file and folder that is looked at, each once.
  private static func paths(in configuration: Configuration) -> [Path] {
    var paths = [configuration.daemon.stateDir, configuration.daemon.runtimeDir] + configuration.models.map(\.file)
    for watch in configuration.watches {
      paths += [watch.path, watch.onFailure]
      if case .move(let directory) = watch.after { paths.append(directory) }
    }
    for sink in configuration.sinks { paths += sink.paths.map(\.value) }
    return Set(paths.filter { $0.hasPrefix("/") }).sorted().map { Path($0) }
  }

  private mutating func problem(_ place: String, _ reason: String) { problems.append((place, reason)) }

  mutating func run() {
    checkInboxes()
    checkOutputs()
    for watch in configuration.watches {
      if case .move(let directory) = watch.after {
        checkTarget(directory, of: watch, key: "after", "after moves to \(directory)")
      }
      checkTarget(watch.onFailure, of: watch, key: "on_failure", "on_failure \(watch.onFailure)")
    }
    for (key, folder) in [
      ("state_dir", configuration.daemon.stateDir), ("runtime_dir", configuration.daemon.runtimeDir),
    ] {
      if silent.contains(Path(folder)) {
        problem("daemon.\(key)", "[daemon] \(key) \(folder) lies on a file system that does not answer")
      }
      refuse(folder, at: "daemon.\(key)", "[daemon] \(key) \(folder)")
    }
    for model in configuration.models {
      let place = "models.\(model.name).file"
      if silent.contains(Path(model.file)) {
        problem(place, "[models.\(model.name)] file \(model.file) lies on a file system that does not answer")
      } else if (try? FileStatus.of(Path(model.file), followingLinks: true))?.kind != .regular {
        problem(place, "[models.\(model.name)] file \(model.file) is not there")
      }
    }
  }

  private mutating func checkInboxes() {
    for watch in configuration.watches {
      let place = "watches.\(watch.name).path"
      guard watch.path.hasPrefix("/") else {
        problem(place, "[watches.\(watch.name)] path must be absolute, not \"\(watch.path)\"")
        continue
      }
      if !silent.contains(Path(watch.path)),
        (try? FileStatus.of(Path(watch.path), followingLinks: true))?.kind != .directory
      {
        problem(place, "[watches.\(watch.name)] path \(watch.path) is no folder; make it, or correct the path")
      }
    }
    for (index, (watch, place)) in inboxes.enumerated() {
      for (other, otherPlace) in inboxes[..<index] where place.isWithin(otherPlace) || otherPlace.isWithin(place) {
        problem(
          "watches.\(watch.name).path",
          "[watches.\(watch.name)] path \(watch.path) overlaps [watches.\(other.name)] \(other.path)")
      }
    }
  }

  private mutating func checkOutputs() {
    var outputs: [(sink: String, place: Place)] = []
    for sink in configuration.sinks {
      for option in sink.paths {
        let (key, path) = (option.key, option.value)
        refuse(path, at: "sinks.\(sink.name).\(key)", "[sinks.\(sink.name)] writes to \(path), which")
        guard key == "path", !silent.contains(Path(path)) else { continue }
        let place = table.place(of: Path(path))
        if let other = outputs.first(where: { $0.place == place }) {
          problem(
            "sinks.\(sink.name).path", "[sinks.\(sink.name)] writes to \(path), and so does [sinks.\(other.sink)]")
        }
        outputs.append((sink.name, place))
      }
    }
  }

  private mutating func checkTarget(_ folder: String, of watch: WatchSettings, key: String, _ what: String) {
    guard folder.hasPrefix("/"), !silent.contains(Path(folder)) else { return }
    let at = "watches.\(watch.name).\(key)"
    refuse(folder, at: at, "[watches.\(watch.name)] \(what), which")
    let place = table.place(of: Path(folder))
    for (other, inbox) in inboxes where inbox.isWithin(place) && inbox != place {
      problem(at, "[watches.\(watch.name)] \(what), which holds the inbox \(other.path)")
    }
  }

  /// Reports a folder or file that lies below an inbox.
  private mutating func refuse(_ path: String, at place: String, _ what: String) {
    guard path.hasPrefix("/"), !silent.contains(Path(path)) else { return }
    let found = table.place(of: Path(path))
    for (watch, inbox) in inboxes where found.isWithin(inbox) {
      problem(place, "\(what) is below the inbox \(watch.path)")
    }
  }
}
