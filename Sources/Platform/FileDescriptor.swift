internal import CShims
internal import Glibc

/// The owner of an open file; closes it when it goes.
package struct FileDescriptor: ~Copyable {
  /// How a file is opened (`open`); close-on-exec is always set.
  package struct Flags: OptionSet, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
    package static let readOnly = Flags(rawValue: O_RDONLY)
    package static let readWrite = Flags(rawValue: O_RDWR)
    package static let writeOnly = Flags(rawValue: O_WRONLY)
    package static let create = Flags(rawValue: O_CREAT)
    package static let exclusive = Flags(rawValue: O_EXCL)
    package static let truncate = Flags(rawValue: O_TRUNC)
    package static let noFollow = Flags(rawValue: O_NOFOLLOW)
    package static let nonBlocking = Flags(rawValue: O_NONBLOCK)
    package static let directory = Flags(rawValue: O_DIRECTORY)
  }

  package let raw: Int32
  private let path: Path?

  /// Takes over a descriptor.
  package init(owning raw: Int32, path: Path? = nil) {
    self.raw = raw
    self.path = path
  }

  deinit { close(raw) }

  /// Opens a file (`open`).
  package static func open(
    _ path: Path, flags: Flags, mode: UInt32 = 0o640
  ) throws(PlatformError) -> FileDescriptor {
    let raw = try checked("open", path) { path.withCString { Glibc.open($0, flags.rawValue | O_CLOEXEC, mode) } }
    return FileDescriptor(owning: raw, path: path)
  }

  /// What the open file is now (`fstat`).
  package borrowing func status() throws(PlatformError) -> FileStatus {
    var status = lookout_status()
    let raw = raw
    try checked("fstat", path) { lookout_status_of_fd(raw, &status) }
    return FileStatus(status)
  }

  /// At most so many bytes from a place, fewer at the end (`pread`).
  package borrowing func read(upTo count: Int, at offset: Int64) throws(PlatformError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    let raw = raw
    while done < count {
      let got = try checked("pread", path) {
        bytes.withUnsafeMutableBytes {
          pread(raw, $0.baseAddress?.advanced(by: done), count - done, off_t(offset) + done)
        }
      }
      if got == 0 { break }
      done += got
    }
    bytes.removeLast(count - done)
    return bytes
  }

  /// Everything from the start, into a buffer whose memory is used again.
  ///
  /// `expected`: the size to read; a file that grew is read no further than one byte beyond, so that the
  /// caller sees that it grew.
  package borrowing func readAll(into bytes: inout [UInt8], expecting expected: Int) throws(PlatformError) {
    let limit = expected + 1
    if bytes.count < limit { bytes += [UInt8](repeating: 0, count: limit - bytes.count) }
    var done = 0
    let raw = raw
    while done < limit {
      let got = try checked("pread", path) {
        bytes.withUnsafeMutableBytes { pread(raw, $0.baseAddress?.advanced(by: done), limit - done, off_t(done)) }
      }
      done += got
      // As much as was expected and less than was asked for: the file ends here, and nobody need ask again.
      if got == 0 || done == expected { break }
    }
    bytes.removeLast(bytes.count - done)
  }

  /// All bytes, in order (`write`).
  package borrowing func writeAll(_ bytes: [UInt8]) throws(PlatformError) {
    var done = 0
    let raw = raw
    while done < bytes.count {
      done += try checked("write", path) {
        bytes.withUnsafeBytes { write(raw, $0.baseAddress?.advanced(by: done), bytes.count - done) }
      }
    }
  }

  /// Returns when the bytes are on the medium (`fsync`).
  package borrowing func sync() throws(PlatformError) {
    let raw = raw
    try checked("fsync", path) { fsync(raw) }
  }
}
