internal import CConfine
internal import Glibc

/// Which files a confined process may still touch (Landlock).
struct FileRules {
  /// Rights by their bit in `linux/landlock.h`, as far as a version knows them.
  private enum Right {
    static let execute: UInt64 = 1 << 0
    static let writeFile: UInt64 = 1 << 1
    static let readFile: UInt64 = 1 << 2
    static let readFolder: UInt64 = 1 << 3
    static let refer: UInt64 = 1 << 13
    static let truncate: UInt64 = 1 << 14
    static let device: UInt64 = 1 << 15
    static let reading = execute | readFile | readFolder
    /// What can be said of a single file.
    static let ofFile = execute | writeFile | readFile | truncate | device
    /// Making devices is nobody's business: bits 6 and 11.
    static let devices: UInt64 = 1 << 6 | 1 << 11
  }

  /// Folders of the root that hold people's and services' data, not the system's.
  private static let closed: Set<String> = [
    "home", "lost+found", "media", "mnt", "root", "run", "srv", "tmp", "var",
  ]

  let version: Int32
  private let handled: UInt64

  init(version: Int32) {
    self.version = version
    var rights: UInt64 = (1 << 13) - 1
    if version >= 2 { rights |= Right.refer }
    if version >= 3 { rights |= Right.truncate }
    if version >= 5 { rights |= Right.device }
    handled = rights
  }

  /// Puts the calling thread under the rules; nil, or what failed.
  func enter(readable: [String], writable: [String], allowingNetwork: Bool) -> Confinement.Gap? {
    // Bind and connect of TCP; abstract sockets and signals to processes outside.
    let network: UInt64 = version >= 4 && !allowingNetwork ? 0b11 : 0
    let scopes: UInt64 = version >= 6 ? (allowingNetwork ? 0b10 : 0b11) : 0
    let rules = lookout_landlock_create(version, handled, network, scopes)
    guard rules >= 0 else { return Confinement.gap("files are not guarded by Landlock", errno) }
    defer { close(rules) }
    for name in Self.names(in: "/") where !Self.closed.contains(name) {
      // Another sink's options may hold a secret.
      if name == "etc" {
        for name in Self.names(in: "/etc") where name != "lookout" { allow(Right.reading, "/etc/\(name)", rules) }
      } else {
        allow(Right.reading, "/\(name)", rules)
      }
    }
    for path in readable { allow(Right.reading, path, rules) }
    for path in writable { allow(handled & ~(Right.devices | Right.execute), path, rules) }
    allow(Right.writeFile, "/dev/null", rules)
    guard lookout_landlock_enter(rules) == 0 else { return Confinement.gap("files are not guarded by Landlock", errno) }
    return nil
  }

  /// Allows what exists; what does not cannot be allowed, and stays closed.
  private func allow(_ rights: UInt64, _ path: String, _ rules: Int32) {
    // O_PATH, which the Glibc module lacks: neither reads the file nor waits on it.
    let descriptor = open(path, 0x20_0000 | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return }
    let isFolder = status.st_mode & S_IFMT == S_IFDIR
    _ = lookout_landlock_allow(rules, rights & handled & (isFolder ? ~0 : Right.ofFile), descriptor)
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
