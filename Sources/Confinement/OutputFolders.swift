internal import Glibc

/// Where a plugin writes, told by its own configuration.
package enum OutputFolders {
  /// The folders that absolute paths among a JSON object's texts name: the path itself if it is a folder, else the one
  /// that holds it.
  ///
  /// A text that begins with `/` counts wherever it stands. Folders that do not exist are left out.
  package static func named(in json: String) -> [String] {
    var folders: [String] = []
    for text in texts(in: json) where text.utf8.first == UInt8(ascii: "/") {
      var folder = text
      if !isFolder(folder) {
        guard let slash = folder.lastIndex(of: "/") else { continue }
        folder = slash == folder.startIndex ? "/" : String(folder[..<slash])
      }
      // The root is nobody's output folder.
      if isFolder(folder), folder.contains(where: { $0 != "/" }), !folders.contains(folder) { folders.append(folder) }
    }
    return folders
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Every text of a JSON document, keys included; the daemon wrote it, so it is well formed.
  private static func texts(in json: String) -> [String] {
    var found: [String] = []
    var scalars = json.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "\"" else { continue }
      var text = String.UnicodeScalarView()
      while let next = scalars.next(), next != "\"" {
        guard next == "\\" else {
          text.append(next)
          continue
        }
        switch scalars.next() {
        case "u":
          var digits = ""
          for _ in 0..<4 { if let digit = scalars.next() { digits.unicodeScalars.append(digit) } }
          if let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) { text.append(scalar) }
        case "n": text.append("\n")
        case "t": text.append("\t")
        case "r": text.append("\r")
        case let other?: text.append(other)
        case nil: break
        }
      }
      found.append(String(text))
    }
    return found
  }
}
