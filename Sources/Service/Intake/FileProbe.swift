internal import Imaging
internal import Platform

/// One cautious look at a file: what it is, and whether its bytes end as their format ends.
///
/// Only regular files are opened, never through a symbolic link and never so that the open could block (a FIFO).
struct FileProbe {
  enum Finding {
    case file(status: FileStatus, format: ImageFormat?, isComplete: Bool)
    /// No regular file: a directory, link, FIFO, socket or device.
    case notAFile
    case gone
    case unreadable(PlatformError)
  }

  static func look(at path: Path) -> Finding {
    do throws(PlatformError) {
      let before = try FileStatus.of(path, followingLinks: false)
      guard before.kind == .regular else { return .notAFile }
      let file = try FileDescriptor.open(path, flags: [.readOnly, .noFollow, .nonBlocking])
      let status = try file.status()
      guard status.kind == .regular else { return .notAFile }
      let head = try file.read(upTo: 64, at: 0)
      let tail = try file.read(upTo: 64, at: max(0, status.size - 64))
      return .file(
        status: status, format: head.withUnsafeBytes { ImageFormat.sniff($0) },
        isComplete: head.withUnsafeBytes { head in
          tail.withUnsafeBytes { ImageFormat.endsComplete(head: head, tail: $0, size: Int(status.size)) }
        })
    } catch {
      return error.isNotFound ? .gone : .unreadable(error)
    }
  }
}

extension FileStatus {
  /// What tells this file from every other and from its own later contents.
  var identity: FileIdentity {
    FileIdentity(
      device: device, inode: inode, ctimeNanoseconds: ctimeNanoseconds, mtimeNanoseconds: mtimeNanoseconds, size: size)
  }
}
