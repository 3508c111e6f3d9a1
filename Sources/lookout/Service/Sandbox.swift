internal import HTTPServer
internal import Platform
internal import Service

/// What the unit lets the service reach (systemd.exec(5)).
struct Sandbox {
  let unit: String

  func findings(_ configuration: Configuration, _ folders: Folders) -> [Finding] {
    guard let shown = ChildProcess.run(["systemctl", "show", unit]), shown.status == 0 else {
      return [.note("sandbox", "systemd cannot be asked about \(unit)", "run doctor where the service runs")]
    }
    let properties = Self.properties(shown.output)
    guard properties["LoadState"] == "loaded" else {
      return [.note("sandbox", "there is no unit \(unit)", "name it with --unit, or install the package")]
    }
    var findings: [Finding] = []
    for folder in folders.written { findings += closed(folder, properties) }
    findings += network(configuration, properties)
    return findings.isEmpty ? [.good("sandbox", "\(unit) opens every folder that the configuration names")] : findings
  }

  static func properties(_ text: String) -> [String: String] {
    var properties: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { properties[String(parts[0])] = String(parts[1]) }
    }
    return properties
  }

  private func closed(_ folder: Folders.Folder, _ properties: [String: String]) -> [Finding] {
    func list(_ name: String) -> [String] {
      (properties[name] ?? "").split(separator: " ").map { word in
        String(word.drop { $0 == "-" || $0 == "+" })
      }
    }
    let remedy = dropIn("folders", ["ReadWritePaths=\(folder.path)"])
    let isHome = ["/home", "/root", "/run/user"].contains { Self.isBelow(folder.path, $0) }
    if isHome, let protection = properties["ProtectHome"], protection != "no" {
      return [
        .bad(
          "sandbox", "\(folder.path) (\(folder.purpose)) is closed by ProtectHome=\(protection)",
          dropIn("home", ["ProtectHome=no", "ReadWritePaths=\(folder.path)"]))
      ]
    }
    if list("InaccessiblePaths").contains(where: { Self.isBelow(folder.path, $0) }) {
      return [
        .bad("sandbox", "\(folder.path) (\(folder.purpose)) is below InaccessiblePaths", "systemctl edit \(unit)")
      ]
    }
    guard properties["ProtectSystem"] == "strict" else { return [] }
    var open = list("ReadWritePaths")
    open += list("StateDirectory").map { "/var/lib/\($0)" } + list("RuntimeDirectory").map { "/run/\($0)" }
    open += list("CacheDirectory").map { "/var/cache/\($0)" } + list("LogsDirectory").map { "/var/log/\($0)" }
    if properties["PrivateTmp"] == "yes", ["/tmp", "/var/tmp"].contains(where: { Self.isBelow(folder.path, $0) }) {
      return [
        .bad(
          "sandbox", "\(folder.path) (\(folder.purpose)) is another folder inside the unit (PrivateTmp=yes)",
          "use a folder that is not below /tmp")
      ]
    }
    if open.contains(where: { Self.isBelow(folder.path, $0) }) { return [] }
    return [.bad("sandbox", "\(folder.path) (\(folder.purpose)) is read-only inside the unit", remedy)]
  }

  private func network(_ configuration: Configuration, _ properties: [String: String]) -> [Finding] {
    let ports = configuration.daemon.listen.filter { if case .loopback = $0 { true } else { false } }
    guard let port = ports.first else { return [] }
    let families = properties["RestrictAddressFamilies"] ?? ""
    let isClosed =
      properties["PrivateNetwork"] == "yes"
      || (!families.isEmpty && !families.hasPrefix("~") && !families.contains("AF_INET"))
    guard isClosed else { return [] }
    return [
      .bad(
        "sandbox", "listen has \(port), but the unit has no network",
        dropIn(
          "network",
          ["PrivateNetwork=no", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "IPAddressAllow=localhost"]))
    ]
  }

  /// The command that adds lines to the unit's `[Service]`; run again with other lines, it adds those too.
  private func dropIn(_ name: String, _ lines: [String]) -> String {
    let folder = "/etc/systemd/system/\(unit).d"
    let text = (["[Service]"] + lines).map { "'\($0.replacing("'", with: "'\\''"))'" }.joined(separator: " ")
    return "mkdir -p \(folder) && printf '%s\\n' \(text) >> \(folder)/\(name).conf && systemctl daemon-reload && "
      + "systemctl restart \(unit)"
  }

  private static func isBelow(_ path: String, _ folder: String) -> Bool {
    path == folder || path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
  }
}

/// What is mounted where (proc(5), mountinfo).
enum MountTable {
  /// The kind of file system that holds a path, for people.
  static func fileSystem(of path: String) -> String {
    let bytes = (try? AtomicFile.read(Path("/proc/self/mountinfo"), limit: 4 << 20)) ?? []
    var best = (length: -1, kind: "an unknown file system")
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count > 4, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { continue }
      let point = String(fields[4])
      let isAbove = point == "/" || path == point || path.hasPrefix(point + "/")
      if isAbove, point.utf8.count >= best.length { best = (point.utf8.count, String(fields[dash + 1])) }
    }
    return best.kind
  }
}
