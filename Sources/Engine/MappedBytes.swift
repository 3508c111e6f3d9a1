internal import Glibc

/// A regular file's bytes, mapped read-only for as long as the owner lives.
///
/// The mapping is private and never written, so any thread may read it. Files are replaced by renaming; one that is
/// shortened in place while mapped ends the process (`SIGBUS`), as with every mapped file.
package final class MappedBytes: Sendable {
  package let path: String
  nonisolated(unsafe) private let mapping: UnsafeRawBufferPointer

  /// Maps the whole file.
  ///
  /// (`open`, `fstat`, `mmap`.) FIFOs, sockets and devices are refused without waiting on them.
  ///
  /// - Throws: `EngineError.file` naming the call that was refused; `EngineError.damaged` if the file is empty.
  package init(path: String) throws(EngineError) {
    self.path = path
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .file(path: path, operation: "fstat", errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let code = status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL
      throw .file(path: path, operation: "open as a regular file", errno: code)
    }
    guard status.st_size > 0 else { throw .damaged(path: path, offset: 0, reason: "the file is empty") }
    let size = Int(status.st_size)
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw .file(path: path, operation: "mmap", errno: errno)
    }
    mapping = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: mapping.baseAddress), mapping.count) }

  package var count: Int { mapping.count }

  /// Lets the kernel take back the memory of a part that was read and is not soon read again; it is read anew when it is
  /// (`madvise`).
  package func release(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound == mapping.count ? mapping.count : range.upperBound / page * page
    guard first < end, let base = mapping.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + first), end - first, MADV_DONTNEED)
  }

  /// Lends the bytes; the pointer must not leave the closure.
  package func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(mapping)
  }
}
