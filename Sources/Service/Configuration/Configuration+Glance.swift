internal import HTTPServer
internal import Platform
internal import TOML

// For tools that must work while the file is wrong elsewhere: a reload that is refused, for example, is asked for over a
// socket that the refused file names.
extension Configuration {
  /// The paths of the Unix sockets that `listen` names or implies, and then of those that a service with this runtime
  /// folder listens on so far; none if the file cannot be read as TOML.
  package static func sockets(namedIn path: String) -> [String] {
    guard let daemon = glance(path) else { return [] }
    var reader = TableReader("daemon", daemon)
    let runtime = reader.string("runtime_dir", default: DaemonSettings().runtimeDir)
    let texts = reader.placedStrings("listen")?.map(\.text) ?? ["unix:\(runtime)/http.sock"]
    let named = texts.compactMap { text -> String? in
      if case .unix(let path) = try? ListenAddress(text) { path } else { nil }
    }
    return named + ServedSockets.noted(in: runtime).filter { !named.contains($0) }
  }

  /// The folders that plugins are looked for in; the default ones if the file says nothing of them.
  package static func pluginDirectories(namedIn path: String) -> [String] {
    let fallback = DaemonSettings().pluginDirs
    guard let daemon = glance(path) else { return fallback }
    var reader = TableReader("daemon", daemon)
    return reader.strings("plugin_dirs", default: fallback)
  }

  /// The table `[daemon]`, empty if the file has none.
  private static func glance(_ path: String) -> TOMLValue? {
    guard let text = try? AtomicFile.read(Path(path), limit: 1 << 20), case .success(let root) = TOMLValue.parse(text)
    else { return nil }
    var reader = TableReader("", root)
    return reader.table("daemon") ?? TOMLValue(content: .table([]), position: FilePosition(line: 1, column: 1))
  }
}
