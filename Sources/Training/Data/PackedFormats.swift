internal import CZlib
internal import Platform

/// Reads whole files, packed with gzip or not.
enum WholeFile {
  /// More than any data set of small pictures takes.
  static let limit = 4 << 30

  /// All bytes of a file, unpacked if it is a gzip file (`gzread`).
  ///
  /// - Throws: `TrainingError.dataset` if it cannot be opened, ends early, or would pass `limit`.
  static func read(_ path: String) throws(TrainingError) -> [UInt8] {
    guard let file = gzopen(path, "rb") else {
      throw .dataset(path: path, place: "byte 0", reason: "the file cannot be opened; check its path and permissions")
    }
    defer { gzclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = gzread(file, &chunk, UInt32(chunk.count))
      guard count >= 0 else {
        throw .dataset(path: path, place: "byte \(bytes.count)", reason: "the packed data is damaged or cut short")
      }
      if count == 0 { break }
      bytes += chunk[..<Int(count)]
      guard bytes.count <= limit else {
        throw .dataset(path: path, place: "byte \(limit)", reason: "more than \(limit >> 30) GiB; use folders of files")
      }
    }
    return bytes
  }
}

/// MNIST's IDX files: pictures in one, labels in another.
enum IDXFiles {
  /// The usual beginnings of the names, training and test.
  static let stems = ["train", "t10k"]

  /// `images` ends in `-images-idx3-ubyte` or `.gz`; the labels stand beside it under the matching name.
  static func read(images path: String, classes: [String]?) throws(TrainingError) -> Dataset {
    let labelsPath = replacing("images-idx3", "labels-idx1", in: path)
    let images = try WholeFile.read(path)
    let (count, height, width) = try imageHeader(images, path)
    let labels = try WholeFile.read(labelsPath)
    guard labels.count >= 8, number(labels, 0) == 0x801 else {
      throw .dataset(path: labelsPath, place: "byte 0", reason: "no IDX file of labels")
    }
    guard number(labels, 4) == count, labels.count == 8 + count else {
      throw .dataset(
        path: labelsPath, place: "byte 4",
        reason: "\(number(labels, 4)) labels in \(labels.count) bytes, but \(count) pictures in \(path)")
    }
    let classCount = max(classes?.count ?? 0, Int(labels[8...].max() ?? 0) + 1)
    let names = classes ?? (0..<classCount).map { "\($0)" }
    guard names.count == classCount else {
      throw .dataset(
        path: labelsPath, place: "byte 8", reason: "a label of \(classCount - 1), but \(names.count) classes")
    }
    let samples = (0..<count).map { Dataset.Sample(place: .packed($0), label: Int(labels[8 + $0])) }
    let packed = PackedPictures(path: path, width: width, height: height, channels: 1, bytes: Array(images[16...]))
    return Dataset(classes: names, samples: samples, packed: packed)
  }

  private static func imageHeader(_ bytes: [UInt8], _ path: String) throws(TrainingError) -> (Int, Int, Int) {
    guard bytes.count >= 16, number(bytes, 0) == 0x803 else {
      throw .dataset(path: path, place: "byte 0", reason: "no IDX file of pictures")
    }
    let (count, height, width) = (number(bytes, 4), number(bytes, 8), number(bytes, 12))
    guard (1...4096).contains(height), (1...4096).contains(width), bytes.count == 16 + count * height * width else {
      throw .dataset(
        path: path, place: "byte 4", reason: "\(count) pictures of \(height)×\(width) do not fit \(bytes.count) bytes")
    }
    return (count, height, width)
  }

  private static func number(_ bytes: [UInt8], _ at: Int) -> Int {
    bytes[at..<(at + 4)].reduce(0) { $0 << 8 | Int($1) }
  }

  static func replacing(_ old: String, _ new: String, in text: String) -> String {
    guard let range = text.firstRange(of: old) else { return text }
    return text.replacingCharacters(range, new)
  }
}

extension String {
  fileprivate func replacingCharacters(_ range: Range<String.Index>, _ new: String) -> String {
    String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
  }
}

/// The binary versions of CIFAR-10 and CIFAR-100: a label or two and 3,072 bytes a picture, red, green, blue planes.
enum CIFARFiles {
  static let side = 32

  /// Reads all batches of a folder's training or test part.
  ///
  /// `names` is the text file of class names beside them.
  static func read(batches: [String], labelBytes: Int, namesFile: String) throws(TrainingError) -> Dataset {
    let record = labelBytes + 3 * side * side
    var labels: [Int] = []
    var pixels: [UInt8] = []
    for path in batches {
      let bytes = try WholeFile.read(path)
      guard !bytes.isEmpty, bytes.count % record == 0 else {
        throw .dataset(
          path: path, place: "byte \(bytes.count)", reason: "the size is no multiple of \(record), a record's")
      }
      for start in stride(from: 0, to: bytes.count, by: record) {
        labels.append(Int(bytes[start + labelBytes - 1]))
        let planes = start + labelBytes
        for p in 0..<(side * side) {
          for c in 0..<3 { pixels.append(bytes[planes + c * side * side + p]) }
        }
      }
    }
    let text = try WholeFile.read(namesFile)
    let names = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    if let index = labels.firstIndex(where: { $0 >= names.count }) {
      throw .dataset(
        path: batches[0], place: "byte \(index * record)", reason: "label \(labels[index]), but \(names.count) names")
    }
    let samples = labels.enumerated().map { Dataset.Sample(place: .packed($0.offset), label: $0.element) }
    let packed = PackedPictures(path: batches[0], width: side, height: side, channels: 3, bytes: pixels)
    return Dataset(classes: names, samples: samples, packed: packed)
  }
}
