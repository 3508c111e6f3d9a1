internal import Glibc

/// A file that is written beside another and takes its place when whole; dropped without `commit` it vanishes.
package struct ReplacementFile: ~Copyable {
  private let path: String
  private let temporary: String
  private let descriptor: Int32

  /// Creates the temporary file beside `path`.
  package init(for path: String) throws(EngineError) {
    self.path = path
    temporary = "\(path).\(getpid()).tmp"
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw .file(path: temporary, operation: "create", errno: errno) }
  }

  deinit {
    close(descriptor)
    unlink(temporary)
  }

  /// Writes bytes behind those that are there.
  package mutating func append(_ bytes: [UInt8]) throws(EngineError) {
    try bytes.withUnsafeBufferPointer { bytes throws(EngineError) in try append(UnsafeRawBufferPointer(bytes)) }
  }

  /// Writes bytes behind those that are there.
  package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(EngineError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if written < 0 {
        guard errno == EINTR else { throw .file(path: temporary, operation: "write", errno: errno) }
      } else {
        done += written
      }
    }
  }

  /// Writes bytes over those that stand at `offset`.
  mutating func overwrite(_ bytes: [UInt8], at offset: Int) throws(EngineError) {
    guard pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count else {
      throw .file(path: temporary, operation: "write", errno: errno)
    }
  }

  /// Makes the bytes durable and renames (`fsync`, `rename`, `fsync` of the folder).
  package mutating func commit() throws(EngineError) {
    guard fsync(descriptor) == 0 else { throw .file(path: temporary, operation: "fsync", errno: errno) }
    guard rename(temporary, path) == 0 else { throw .file(path: path, operation: "rename", errno: errno) }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw .file(path: folder, operation: "open", errno: errno) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw .file(path: folder, operation: "fsync", errno: errno) }
  }
}
