internal import Glibc

/// A private folder for one test, removed with everything in it when the owner goes.
package final class Scratch: Sendable {
  /// Absolute path without a slash at the end.
  package let path: String

  package init() {
    var template = Array("/tmp/lookout-test-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil, "mkdtemp failed")
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path) }

  /// The path of something inside.
  package func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Makes a folder inside and gives its path.
  @discardableResult
  package func folder(_ name: String) -> String {
    let folder = "\(path)/\(name)"
    mkdir(folder, 0o755)
    return folder
  }

  private static func remove(_ path: String) {
    for name in Files.names(in: path) {
      let child = "\(path)/\(name)"
      if unlink(child) != 0 { remove(child) }
    }
    rmdir(path)
  }
}

/// Plain file access for tests.
package enum Files {
  /// The names in a folder, sorted; empty if it is not there.
  package static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package static func read(_ path: String) -> [UInt8]? { read(Array(path.utf8)) }

  /// The whole file, nil if it cannot be opened; `path` may hold any bytes.
  package static func read(_ path: [UInt8]) -> [UInt8]? {
    let file = open(path.map { CChar(bitPattern: $0) } + [0], O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(file, &chunk, chunk.count)
      guard count > 0 else { return bytes }
      bytes += chunk[..<count]
    }
  }

  package static func text(_ path: String) -> String { String(decoding: read(path) ?? [], as: UTF8.self) }

  /// Writes a file in one go; `path` may hold any bytes.
  package static func write(_ bytes: [UInt8], to path: String) { write(bytes, to: Array(path.utf8)) }

  package static func write(_ bytes: [UInt8], to path: [UInt8]) {
    let file = path.map { CChar(bitPattern: $0) } + [0]
    let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    precondition(descriptor >= 0, "cannot write the file of a test")
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      precondition(count > 0, "cannot write the file of a test")
      done += count
    }
  }

  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
