/// What a fuzzer cannot keep in order while it changes bytes: lengths, offsets and checksums of a ZIP archive.
enum Archived {
  /// Before each part: `mark`, the name of the entry, a line feed, and the bytes up to the next mark.
  private static let mark: [UInt8] = [1, 1]

  /// An input that begins with a mark as the archive of its parts, any other as it is.
  static func archive(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    guard bytes.starts(with: mark) else { return Array(bytes) }
    var archive: [UInt8] = []
    var directory: [UInt8] = []
    var count = 0
    for part in parts(Array(bytes)) {
      let name = part.prefix { $0 != 0x0A }
      let contents = part.dropFirst(name.count + 1)
      // Stored, without a checksum.
      let facts = number(0, 12) + number(contents.count, 4) + number(contents.count, 4)
      let names = number(name.count, 2) + number(0, 2)
      directory += number(0x0201_4B50, 4) + number(20, 2) + number(20, 2) + facts + names + number(0, 2)
      directory += number(0, 2) + number(0, 2) + number(0, 4) + number(archive.count, 4) + name
      archive += number(0x0403_4B50, 4) + number(20, 2) + facts + names + name + contents
      count += 1
    }
    let start = archive.count
    archive += directory + number(0x0605_4B50, 4) + number(0, 4) + number(count, 2) + number(count, 2)
    return archive + number(directory.count, 4) + number(start, 4) + number(0, 2)
  }

  private static func parts(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var start = mark.count
    for place in start..<max(start, bytes.count - 1) where bytes[place...].starts(with: mark) {
      parts.append(bytes[min(start, place)..<place])
      start = place + mark.count
    }
    parts.append(bytes[min(start, bytes.count)...])
    return parts
  }

  private static func number(_ value: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
