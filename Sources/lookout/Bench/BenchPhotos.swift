internal import FoundationEssentials
internal import Platform

/// Photos to measure with, each made a file of its own.
///
/// The daemon answers bytes it has answered before without computing. So every copy carries a number in a comment
/// segment behind its first marker, which changes the bytes and their hash but no pixel.
struct BenchPhotos {
  /// The files' bytes; JPEG all.
  let photos: [[UInt8]]

  /// Reads the JPEG files of folders, or files named.
  init(_ operands: [String]) throws(Failure) {
    var photos: [[UInt8]] = []
    for path in try PictureList.files(of: operands) {
      guard let bytes = FileManager.default.contents(atPath: path.displayed) else {
        throw .input("\(path.displayed): cannot be read")
      }
      if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { photos.append([UInt8](bytes)) }
    }
    guard !photos.isEmpty else {
      throw .usage("\(operands.joined(separator: ", ")): no JPEG photo to measure with")
    }
    self.photos = photos
  }

  /// A photo whose bytes no other number gives.
  func copy(_ number: Int) -> [UInt8] {
    let photo = photos[number % photos.count]
    let text = String(number)
    let digits = Array(String(repeating: "0", count: 10 - text.count).utf8) + Array(text.utf8)
    return photo[..<2] + [0xFF, 0xFE, 0, 12] + digits + photo[2...]
  }

  /// Writes copies into a folder, outside any measurement.
  /// - Returns: their names in order.
  func write(_ numbers: Range<Int>, to folder: Path) throws(Failure) -> [String] {
    var names: [String] = []
    for number in numbers {
      let name = "photo-\(number).jpg"
      do throws(PlatformError) {
        try FileDescriptor.open(folder.appending(name), flags: [.writeOnly, .create, .truncate], mode: 0o644)
          .writeAll(copy(number))
      } catch {
        throw .output("\(error)")
      }
      names.append(name)
    }
    return names
  }
}
