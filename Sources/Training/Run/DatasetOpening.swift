internal import Platform

/// Finds out what a path is and reads it.
package enum DatasetSource {
  /// Which part of a data set is wanted, where the path holds several.
  package enum Part: String, CaseIterable, Sendable {
    case train
    case validation
    case test
  }

  /// Reads a data set.
  ///
  /// - Parameters:
  ///   - path: a folder a class (also with `train` and `val` or `test` below it), a folder of CIFAR batches or IDX
  ///     files, a labels file, an IDX file of pictures, or a results database.
  ///   - part: which part of it; what has no pictures for validation gives those for the test, and the other way round.
  ///   - images: what a labels file's names are relative to; empty is its own folder.
  ///   - classes: names that are known already, in their order.
  /// - Returns: samples and classes.
  /// - Throws: `TrainingError.dataset` naming file and place, `.platform` if a folder cannot be listed.
  package static func read(
    _ path: String, part: Part, images: String = "", classes: [String]? = nil
  ) throws(TrainingError) -> Dataset {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw .settings(reason: "the path of the data is empty") }
    try requireUnique(classes ?? [], path)
    let dataset = try open(path, part, images, classes)
    try requireUnique(dataset.classes, path)
    return dataset
  }

  private static func requireUnique(_ classes: [String], _ path: String) throws(TrainingError) {
    if let name = classes.repeated {
      throw .dataset(path: path, place: "its classes", reason: "they have the name '\(name)' twice")
    }
  }

  private static func open(
    _ path: String, _ part: Part, _ images: String, _ classes: [String]?
  ) throws(TrainingError) -> Dataset {
    let root = Path(path)
    let status: FileStatus
    do throws(PlatformError) {
      status = try FileStatus.of(root, followingLinks: true)
    } catch {
      throw .platform(error)
    }
    if status.kind == .directory { return try folder(root, path, part, classes) }
    let name = String(decoding: root.lastComponent, as: UTF8.self)
    if name.contains("images-idx3") { return try IDXFiles.read(images: path, classes: classes) }
    if name.hasSuffix(".db") || name.hasSuffix(".sqlite") {
      return try ResultsDatabase.read(path, classes: classes)
    }
    return try LabelsFile.read(path, folder: images.isEmpty ? root.parent : Path(images), classes: classes)
  }

  private static func folder(
    _ root: Path, _ path: String, _ part: Part, _ classes: [String]?
  ) throws(TrainingError) -> Dataset {
    func exists(_ name: String) -> Bool { (try? FileStatus.of(root.appending(name), followingLinks: true)) != nil }
    if exists("batches.meta.txt") {
      let batches = part == .train ? (1...5).map { "data_batch_\($0).bin" } : ["test_batch.bin"]
      return try CIFARFiles.read(
        batches: batches.map { "\(path)/\($0)" }, labelBytes: 1, namesFile: "\(path)/batches.meta.txt")
    }
    if exists("fine_label_names.txt") {
      return try CIFARFiles.read(
        batches: ["\(path)/\(part == .train ? "train" : "test").bin"], labelBytes: 2,
        namesFile: "\(path)/fine_label_names.txt")
    }
    for ending in ["", ".gz"] {
      let name = "\(part == .train ? "train" : "t10k")-images-idx3-ubyte\(ending)"
      if exists(name) { return try IDXFiles.read(images: "\(path)/\(name)", classes: classes) }
    }
    let parts = treeParts(root)
    guard parts.count > 1 else { return try FolderTree.read(root, classes: classes) }
    let kept = parts.contains(part) ? part : part == .test ? .validation : .test
    return try FolderTree.read(root.appending(folderName(kept)), classes: classes)
  }

  private static func folderName(_ part: Part) -> String { part == .validation ? "val" : part.rawValue }

  /// What a folder of folders a class is divided into: by `train` and others below it, or not at all.
  private static func treeParts(_ root: Path) -> [Part] {
    let parts = Part.allCases.filter {
      (try? FileStatus.of(root.appending(folderName($0)), followingLinks: true))?.kind == .directory
    }
    return parts.first == .train && parts.count > 1 ? parts : [.train]
  }

  /// The parts that the path itself tells apart.
  package static func parts(of path: String) -> [Part] {
    let root = Path(path)
    let packed = ["batches.meta.txt", "fine_label_names.txt", "t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"]
    let isPacked = packed.contains { (try? FileStatus.of(root.appending($0), followingLinks: true)) != nil }
    return isPacked ? [.train, .test] : treeParts(root)
  }
}

extension [String] {
  /// The first that stands in the list twice.
  var repeated: String? {
    var seen: Set<String> = []
    return first { !seen.insert($0).inserted }
  }
}
