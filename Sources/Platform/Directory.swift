internal import Glibc

/// Folders: listing, making, syncing.
package enum Directory {
  /// An entry of a folder; `kind` as the file system tells it for nothing.
  package struct Entry: Sendable {
    package let name: [UInt8]
    package let kind: FileStatus.Kind
  }

  /// What a folder held when it was listed, in one piece of memory of little more than the names; entries leave it in the
  /// folder's own order.
  package struct Listing: Sequence, IteratorProtocol, Sendable {
    /// Of each entry its kind, its name and a zero.
    private var bytes: [UInt8] = []
    private var position = 0

    /// A listing of nothing.
    package init() {}

    fileprivate mutating func append(_ name: UnsafeRawBufferPointer, _ kind: FileStatus.Kind) {
      bytes.append(kind.rawValue)
      bytes.append(contentsOf: name)
      bytes.append(0)
    }

    package var isAtEnd: Bool { position == bytes.count }

    /// Of all entries, those included that left.
    package var byteCount: Int { bytes.count }

    package mutating func next() -> Entry? {
      guard !isAtEnd, let kind = FileStatus.Kind(rawValue: bytes[position]) else { return nil }
      let name = bytes[(position + 1)...].prefix { $0 != 0 }
      position = name.endIndex + 1
      return Entry(name: Array(name), kind: kind)
    }
  }

  /// Everything in a folder but `.` and `..`, in the folder's own order (`readdir`).
  ///
  /// - Throws: `PlatformError.system` also when the listing breaks off: half a listing would pass for vanished files.
  package static func listing(_ path: Path) throws(PlatformError) -> Listing {
    guard let stream = path.withCString({ opendir($0) }) else {
      throw .system(call: "opendir", path: path.displayed, errno: errno)
    }
    defer { closedir(stream) }
    var listing = Listing()
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      withUnsafeBytes(of: &entry.pointee.d_name) { field in
        let name = UnsafeRawBufferPointer(rebasing: field.prefix { $0 != 0 })
        if name.elementsEqual([46]) || name.elementsEqual([46, 46]) { return }
        listing.append(name, kind(of: name, told: Int32(entry.pointee.d_type), in: path))
      }
    }
    if errno != 0 { throw .system(call: "readdir", path: path.displayed, errno: errno) }
    return listing
  }

  /// Not every file system tells with an entry what it is.
  private static func kind(of name: UnsafeRawBufferPointer, told type: Int32, in folder: Path) -> FileStatus.Kind {
    switch type {
    case Int32(DT_REG): .regular
    case Int32(DT_DIR): .directory
    case Int32(DT_LNK): .link
    case Int32(DT_UNKNOWN):
      (try? FileStatus.of(folder.appending(Array(name)), followingLinks: false))?.kind ?? .other
    default: .other
    }
  }

  /// The entries of `listing` at once.
  package static func list(_ path: Path) throws(PlatformError) -> [Entry] { Array(try listing(path)) }

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
