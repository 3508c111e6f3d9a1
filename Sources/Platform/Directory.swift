internal import Glibc

/// Folders: listing, making, syncing.
package enum Directory {
  /// An entry of a folder; `kind` as the file system tells it for nothing.
  package struct Entry: Sendable {
    package let name: [UInt8]
    package let kind: FileStatus.Kind
  }

  /// What a folder held when it was listed; entries leave it in the folder's own order.
  ///
  /// Takes little more than the names, and outside the heap, where those of many files would leave holes that stay.
  package struct Listing: Sequence, IteratorProtocol, Sendable {
    /// Of each entry its kind, its name and a zero; those whose entries left are gone.
    private var pages: [Pages] = []
    /// In the first of them.
    private var position = 0

    /// A listing of nothing.
    package init() {}

    fileprivate mutating func append(
      _ name: UnsafeRawBufferPointer, _ kind: FileStatus.Kind
    ) throws(PlatformError) {
      let count = name.count + 2
      if pages.isEmpty || pages[pages.count - 1].left < count { pages.append(try Pages()) }
      let last = pages[pages.count - 1]
      last.append(kind.rawValue)
      for byte in name { last.append(byte) }
      last.append(0)
    }

    package var isAtEnd: Bool { pages.isEmpty }

    package mutating func next() -> Entry? {
      guard let first = pages.first, let kind = FileStatus.Kind(rawValue: first.bytes[position]) else { return nil }
      let name = first.bytes[(position + 1)..<first.used].prefix { $0 != 0 }
      position = name.endIndex + 1
      if position == first.used {
        pages.removeFirst()
        position = 0
      }
      return Entry(name: Array(name), kind: kind)
    }
  }

  /// Memory that comes from the kernel and goes back to it (`mmap`); filled by one thread, then only read.
  private final class Pages: @unchecked Sendable {
    private static let capacity = 256 << 10

    let bytes: UnsafeMutableRawBufferPointer
    private(set) var used = 0

    init() throws(PlatformError) {
      let start = mmap(nil, Self.capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard start != MAP_FAILED else { throw .system(call: "mmap", path: "", errno: errno) }
      bytes = UnsafeMutableRawBufferPointer(start: start, count: Self.capacity)
    }

    deinit { munmap(bytes.baseAddress, bytes.count) }

    var left: Int { bytes.count - used }

    func append(_ byte: UInt8) {
      bytes[used] = byte
      used += 1
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
      let type = Int32(entry.pointee.d_type)
      try withUnsafeBytes(of: &entry.pointee.d_name) { field throws(PlatformError) in
        let name = UnsafeRawBufferPointer(rebasing: field.prefix { $0 != 0 })
        if name.elementsEqual([46]) || name.elementsEqual([46, 46]) { return }
        try listing.append(name, kind(of: name, told: type, in: path))
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
