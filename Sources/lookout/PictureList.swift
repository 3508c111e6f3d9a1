internal import Imaging
internal import Platform

/// The pictures that a command line names: files as given, folders with all that is in them.
enum PictureList {
  private static let suffixes: Set<String> = ["jpg", "jpeg", "jpe", "jfif", "png", "bmp"]

  /// Files stand as given, whatever they are.
  ///
  /// A folder gives its pictures, and those of the folders in it, sorted by
  /// name. Links to folders inside a folder are not followed.
  ///
  /// - Throws: `Failure` for a path that is not there or a folder that cannot be listed.
  static func files(of operands: [String]) throws(Failure) -> [Path] {
    var files: [Path] = []
    for operand in operands {
      guard !operand.isEmpty else { throw .usage("a path is empty") }
      let path = Path(operand)
      do throws(PlatformError) {
        if try FileStatus.of(path, followingLinks: true).kind == .directory {
          try add(folder: path, to: &files)
        } else {
          files.append(path)
        }
      } catch {
        throw .input("\(error)")
      }
    }
    return files
  }

  private static func add(folder: Path, to files: inout [Path]) throws(PlatformError) {
    let entries = try Directory.list(folder).sorted { $0.name.lexicographicallyPrecedes($1.name) }
    for entry in entries {
      let path = folder.appending(entry.name)
      switch entry.kind {
      case .directory: try add(folder: path, to: &files)
      case .regular where isPicture(path): files.append(path)
      case .link:
        let target = try? FileStatus.of(path, followingLinks: true)
        if target?.kind == .regular, isPicture(path) { files.append(path) }
      case .regular, .other: continue
      }
    }
  }

  /// By its name's suffix, else by its first bytes.
  private static func isPicture(_ path: Path) -> Bool {
    let name = path.lastComponent
    if let dot = name.lastIndex(of: UInt8(ascii: ".")) {
      let suffix = String(decoding: name[(dot + 1)...], as: UTF8.self)
      if suffixes.contains(suffix.lowercased()) { return true }
    }
    guard let file = try? FileDescriptor.open(path, flags: [.readOnly, .nonBlocking]),
      let head = try? file.read(upTo: 8, at: 0)
    else { return false }
    return head.withUnsafeBytes { ImageFormat.sniff($0) } != nil
  }
}
