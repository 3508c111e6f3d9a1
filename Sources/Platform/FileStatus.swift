internal import CShims
internal import Glibc

/// What the kernel says of a file (`stat`).
package struct FileStatus: Equatable, Sendable {
  package enum Kind: UInt8, Sendable {
    case regular
    case directory
    case link
    case other
  }

  package var device: UInt64
  package var inode: UInt64
  package var size: Int64
  package var mtimeNanoseconds: Int64
  package var ctimeNanoseconds: Int64
  package var kind: Kind
  package var permissions: UInt32
  package var ownerUID: UInt32

  init(_ raw: lookout_status) {
    device = raw.device
    inode = raw.inode
    size = raw.size
    mtimeNanoseconds = raw.mtime_ns
    ctimeNanoseconds = raw.ctime_ns
    permissions = raw.mode & 0o7777
    ownerUID = raw.uid
    kind =
      switch raw.mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFLNK: .link
      default: .other
      }
  }

  /// Looks without opening (`fstatat`).
  package static func of(_ path: Path, followingLinks: Bool) throws(PlatformError) -> FileStatus {
    var raw = lookout_status()
    try checked("stat", path) { path.withCString { lookout_status_of($0, followingLinks ? 1 : 0, &raw) } }
    return FileStatus(raw)
  }
}
