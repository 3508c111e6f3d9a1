internal import Glibc

/// A file without a name in shared memory, opened anew by a path for readers that want one.
final class MemoryFile {
  private let descriptor: Int32
  /// Opens the file for as long as this object lives.
  let path: String

  init() {
    var template = Array("/dev/shm/lookout-fuzz-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    precondition(descriptor >= 0, "/dev/shm takes no file")
    unlink(template)
    path = "/proc/self/fd/\(descriptor)"
  }

  deinit { close(descriptor) }

  /// Replaces the contents.
  func fill(_ bytes: UnsafeRawBufferPointer) {
    precondition(ftruncate(descriptor, 0) == 0, "cannot empty the file")
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(done))
      precondition(count > 0, "cannot fill the file")
      done += count
    }
  }
}
