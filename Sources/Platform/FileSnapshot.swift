internal import CShims
internal import Glibc

/// A file's bytes as they were at one moment, in memory of their own (`memfd_create`): whoever maps them cannot be hurt
/// by a writer that cuts the file short.
package final class FileSnapshot: Sendable {
  /// What the file was when it was read.
  package let status: FileStatus
  private let raw: Int32

  /// A path at which this process can open the bytes for as long as the snapshot lives.
  package var path: String { "/proc/self/fd/\(raw)" }

  /// Copies a regular file.
  ///
  /// - Throws: `PlatformError.system`; EAGAIN if the file changed meanwhile.
  package init(of path: Path) throws(PlatformError) {
    let file = try FileDescriptor.open(path, flags: [.readOnly, .nonBlocking])
    status = try file.status()
    guard status.kind == .regular else {
      throw .system(call: "read a regular file", path: path.displayed, errno: EINVAL)
    }
    raw = try checked("memfd_create") { lookout_memfd("lookout") }
    do throws(PlatformError) {
      var offset: Int64 = 0
      while true {
        let chunk = try file.read(upTo: 1 << 20, at: offset)
        if chunk.isEmpty { break }
        var done = 0
        let raw = raw
        while done < chunk.count {
          done += try checked("write", path) {
            chunk.withUnsafeBytes { write(raw, $0.baseAddress?.advanced(by: done), chunk.count - done) }
          }
        }
        offset += Int64(chunk.count)
      }
      guard offset == status.size, try file.status() == status else {
        throw .system(call: "read: the file changed meanwhile", path: path.displayed, errno: EAGAIN)
      }
    } catch {
      close(raw)
      throw error
    }
  }

  deinit { close(raw) }
}
