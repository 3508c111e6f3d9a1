internal import Glibc

/// Folders: listing, making, syncing.
package enum Directory {
  /// An entry of a folder; `kind` as the file system tells it for nothing.
  package struct Entry: Sendable {
    package let name: [UInt8]
    package let kind: FileStatus.Kind
  }

  /// Everything in a folder but `.` and `..`, in the folder's own order (`readdir`).
  ///
  /// - Throws: `PlatformError.system` also when the listing breaks off: half a listing would pass for vanished files.
  package static func list(_ path: Path) throws(PlatformError) -> [Entry] {
    guard let stream = path.withCString({ opendir($0) }) else {
      throw .system(call: "opendir", path: path.displayed, errno: errno)
    }
    defer { closedir(stream) }
    var entries: [Entry] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name == [46] || name == [46, 46] { continue }
      var kind: FileStatus.Kind
      switch Int32(entry.pointee.d_type) {
      case Int32(DT_REG): kind = .regular
      case Int32(DT_DIR): kind = .directory
      case Int32(DT_LNK): kind = .link
      case Int32(DT_UNKNOWN): kind = (try? FileStatus.of(path.appending(name), followingLinks: false))?.kind ?? .other
      default: kind = .other
      }
      entries.append(Entry(name: name, kind: kind))
    }
    if errno != 0 { throw .system(call: "readdir", path: path.displayed, errno: errno) }
    return entries
  }

  /// Makes a folder and those above it that are missing; one that is there is left as it is (`mkdir`).
  package static func create(_ path: Path, mode: UInt32) throws(PlatformError) {
    if path.withCString({ mkdir($0, mode) }) == 0 { return }
    if errno == ENOENT, path.parent != path {
      try create(path.parent, mode: mode)
      if path.withCString({ mkdir($0, mode) }) == 0 { return }
    }
    let number = errno
    let status = try? FileStatus.of(path, followingLinks: true)
    if number == EEXIST, status?.kind == .directory { return }
    throw .system(call: "mkdir", path: path.displayed, errno: number)
  }

  /// Returns when the folder's entries are on the medium (`fsync`).
  package static func sync(_ path: Path) throws(PlatformError) {
    try FileDescriptor.open(path, flags: [.readOnly, .directory]).sync()
  }
}
