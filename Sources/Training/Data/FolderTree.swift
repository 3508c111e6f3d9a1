internal import Imaging
internal import Platform

/// A folder a class: the class is the first folder's name, whatever lies below it.
enum FolderTree {
  private static let suffixes: Set<String> = ["jpg", "jpeg", "jpe", "jfif", "png", "bmp"]

  /// Classes in the order of their names' bytes, as torchvision's `ImageFolder` has them.
  ///
  /// `classes` given: those of a training set, so that a test set has the same numbers.
  static func read(_ root: Path, classes: [String]?) throws(TrainingError) -> Dataset {
    var folders: [(name: String, path: Path)] = []
    for entry in try list(root) {
      let path = root.appending(entry.name)
      guard entry.name.first != UInt8(ascii: "."), isFolder(entry, path) else { continue }
      folders.append((String(decoding: entry.name, as: UTF8.self), path))
    }
    guard !folders.isEmpty else {
      throw .dataset(path: root.displayed, place: "the folder", reason: "it holds no folder a class")
    }
    let names = classes ?? folders.map(\.name)
    var samples: [Dataset.Sample] = []
    for folder in folders {
      guard let label = names.firstIndex(of: folder.name) else {
        throw .dataset(
          path: folder.path.displayed, place: "the folder",
          reason: "no class of the training data has this name; there are \(names.joined(separator: ", "))")
      }
      var files: [Path] = []
      try collect(folder.path, into: &files)
      samples += files.map { Dataset.Sample(place: .file($0), label: label) }
    }
    return Dataset(classes: names, samples: samples)
  }

  private static func list(_ path: Path) throws(TrainingError) -> [Directory.Entry] {
    do throws(PlatformError) {
      return try Directory.list(path).sorted { $0.name.lexicographicallyPrecedes($1.name) }
    } catch {
      throw .platform(error)
    }
  }

  private static func isFolder(_ entry: Directory.Entry, _ path: Path) -> Bool {
    entry.kind == .directory
      || entry.kind == .link && (try? FileStatus.of(path, followingLinks: true))?.kind == .directory
  }

  private static func collect(_ folder: Path, into files: inout [Path]) throws(TrainingError) {
    for entry in try list(folder) where entry.name.first != UInt8(ascii: ".") {
      let path = folder.appending(entry.name)
      if entry.kind == .directory {
        try collect(path, into: &files)
      } else if isPicture(entry.name) {
        files.append(path)
      }
    }
  }

  /// By its suffix: what is named as a picture and is none shall be told of, not passed over.
  static func isPicture(_ name: [UInt8]) -> Bool {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")) else { return false }
    return suffixes.contains(String(decoding: name[(dot + 1)...], as: UTF8.self).lowercased())
  }
}
