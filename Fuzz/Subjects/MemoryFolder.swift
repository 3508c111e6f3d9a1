internal import Glibc

/// A folder in shared memory with the files of one input, for readers that look beside a file.
final class MemoryFolder {
  let path: String
  private var names: Set<String> = []

  init() {
    var template = Array("/dev/shm/lookout-fuzz-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil, "/dev/shm takes no folder")
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in names { remove(name) }
    rmdir(path)
  }

  /// Replaces a file.
  func write(_ bytes: UnsafeRawBufferPointer, to name: String) {
    names.insert(name)
    let file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    precondition(file >= 0, "cannot write the input")
    defer { close(file) }
    guard bytes.count > 0 else { return }
    precondition(Glibc.write(file, bytes.baseAddress, bytes.count) == bytes.count, "cannot write the input")
  }

  /// Removes a file, whether it is there or not.
  func remove(_ name: String) { unlink("\(path)/\(name)") }
}
