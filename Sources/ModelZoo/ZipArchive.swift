/// The table of a ZIP file (APPNOTE 6.3, with ZIP64), as far as PyTorch's writers use it: one disk, no encryption.
///
/// Every range has been checked against the file. Names are kept as they stand; nothing is ever written to disk.
struct ZipArchive {
  struct Entry {
    let name: String
    let isDeflated: Bool
    /// The entry's bytes inside the file, compressed or not.
    let range: Range<Int>
    let size: Int
    let checksum: UInt32
  }

  /// More entries than any network has tensors.
  static let maximumEntries = 1 << 18

  let entries: [Entry]
  private let indices: [String: Int]

  subscript(name: String) -> Entry? { indices[name].map { entries[$0] } }

  init(_ file: UnsafeRawBufferPointer) throws(FormatFault) {
    let directory = try ZipArchive.directory(of: file)
    var position = directory.range.lowerBound
    var entries: [Entry] = []
    var indices: [String: Int] = [:]
    for _ in 0..<directory.count {
      let entry = try ZipArchive.entry(file, at: &position, end: directory.range.upperBound)
      guard indices.updateValue(entries.count, forKey: entry.name) == nil else {
        throw FormatFault(offset: position, reason: "the archive holds '\(entry.name)' twice")
      }
      entries.append(entry)
    }
    self.entries = entries
    self.indices = indices
  }

  /// An entry's bytes, unpacked if need be, and compared with their CRC-32.
  func contents(of entry: Entry, in file: UnsafeRawBufferPointer) throws(FormatFault) -> [UInt8] {
    let packed = UnsafeRawBufferPointer(rebasing: file[entry.range])
    let bytes: [UInt8]
    if entry.isDeflated {
      do throws(InflateFault) {
        bytes = try inflate(packed, size: entry.size)
      } catch {
        throw FormatFault(offset: entry.range.lowerBound, reason: "'\(entry.name)' cannot be unpacked: \(error.reason)")
      }
    } else {
      bytes = Array(packed)
    }
    try check(bytes.withUnsafeBytes { CRC32.checksum(of: $0) }, entry)
    return bytes
  }

  /// Compares an entry that is not packed with its CRC-32, where it lies; `done` hears which bytes were looked at.
  func check(
    _ entry: Entry, in file: UnsafeRawBufferPointer, done: (Range<Int>) -> Void
  ) throws(FormatFault) {
    var sum: UInt32 = 0
    for first in stride(from: entry.range.lowerBound, to: entry.range.upperBound, by: 1 << 22) {
      let part = first..<min(entry.range.upperBound, first + (1 << 22))
      sum = CRC32.checksum(of: UnsafeRawBufferPointer(rebasing: file[part]), after: sum)
      done(part)
    }
    try check(sum, entry)
  }

  private func check(_ sum: UInt32, _ entry: Entry) throws(FormatFault) {
    guard sum == entry.checksum || entry.checksum == 0 else {
      throw FormatFault(offset: entry.range.lowerBound, reason: "'\(entry.name)' does not fit its checksum")
    }
  }

  private static func directory(of file: UnsafeRawBufferPointer) throws(FormatFault) -> (range: Range<Int>, count: Int)
  {
    guard file.count >= 22 else { throw FormatFault(offset: 0, reason: "too short for a ZIP archive") }
    var end = file.count - 22
    let lowest = max(0, end - 65_535)
    while file.number(at: end, bytes: 4) != 0x0605_4B50 {
      guard end > lowest else {
        throw FormatFault(offset: file.count, reason: "the ZIP archive's directory is missing: cut short")
      }
      end -= 1
    }
    var count = UInt64(file.number(at: end + 10, bytes: 2))
    var size = file.number(at: end + 12, bytes: 4)
    var start = file.number(at: end + 16, bytes: 4)
    if count == 0xFFFF || size == 0xFFFF_FFFF || start == 0xFFFF_FFFF {
      guard end >= 20, file.number(at: end - 20, bytes: 4) == 0x0706_4B50 else {
        throw FormatFault(offset: end, reason: "the archive's ZIP64 locator is missing")
      }
      let record = file.number(at: end - 12, bytes: 8)
      guard record <= UInt64(end - 20), end - 20 - Int(record) >= 56,
        file.number(at: Int(record), bytes: 4) == 0x0606_4B50
      else { throw FormatFault(offset: end - 20, reason: "the archive's ZIP64 record is not where it should be") }
      count = file.number(at: Int(record) + 32, bytes: 8)
      size = file.number(at: Int(record) + 40, bytes: 8)
      start = file.number(at: Int(record) + 48, bytes: 8)
    }
    guard count <= UInt64(maximumEntries) else {
      throw FormatFault(offset: end, reason: "\(count) entries are too many")
    }
    guard start <= UInt64(end), size <= UInt64(end) - start else {
      throw FormatFault(offset: end, reason: "the archive's directory lies outside the file")
    }
    return (Int(start)..<Int(start + size), Int(count))
  }

  private static func entry(
    _ file: UnsafeRawBufferPointer, at position: inout Int, end: Int
  ) throws(FormatFault) -> Entry {
    let start = position
    guard end - start >= 46, file.number(at: start, bytes: 4) == 0x0201_4B50 else {
      throw FormatFault(offset: start, reason: "the archive's directory is damaged")
    }
    let flags = file.number(at: start + 8, bytes: 2)
    let method = file.number(at: start + 10, bytes: 2)
    let nameCount = Int(file.number(at: start + 28, bytes: 2))
    let extraCount = Int(file.number(at: start + 30, bytes: 2))
    let commentCount = Int(file.number(at: start + 32, bytes: 2))
    guard end - start - 46 >= nameCount + extraCount + commentCount else {
      throw FormatFault(offset: start, reason: "the archive's directory is cut short")
    }
    let nameEnd = start + 46 + nameCount
    let name = String(decoding: file[(start + 46)..<nameEnd], as: UTF8.self)
    position = nameEnd + extraCount + commentCount
    guard flags & 1 == 0 else { throw FormatFault(offset: start, reason: "'\(name)' is encrypted", isRefusal: true) }
    guard method == 0 || method == 8 else {
      throw FormatFault(offset: start, reason: "'\(name)' is packed by method \(method)", isRefusal: true)
    }
    var wide = [
      file.number(at: start + 24, bytes: 4), file.number(at: start + 20, bytes: 4),
      file.number(at: start + 42, bytes: 4),
    ]
    try widen(&wide, extra: nameEnd..<(nameEnd + extraCount), in: file)
    let (size, packedSize, header) = (wide[0], wide[1], wide[2])
    guard header <= UInt64(file.count), file.count - Int(header) >= 30,
      file.number(at: Int(header), bytes: 4) == 0x0403_4B50
    else { throw FormatFault(offset: start, reason: "'\(name)' is not where the directory says") }
    let begin =
      Int(header) + 30 + Int(file.number(at: Int(header) + 26, bytes: 2))
      + Int(file.number(at: Int(header) + 28, bytes: 2))
    guard begin <= file.count, packedSize <= UInt64(file.count - begin) else {
      throw FormatFault(offset: Int(header), reason: "'\(name)' goes beyond the file's end")
    }
    // Deflate packs at most 1032 to 1.
    guard method == 0 ? size == packedSize : size <= packedSize * 1040 else {
      throw FormatFault(offset: start, reason: "'\(name)' claims an impossible size of \(size)")
    }
    return Entry(
      name: name, isDeflated: method == 8, range: begin..<(begin + Int(packedSize)), size: Int(size),
      checksum: UInt32(truncatingIfNeeded: file.number(at: start + 16, bytes: 4)))
  }

  /// Replaces each number that stands as all ones by the one in the ZIP64 extra field.
  private static func widen(
    _ numbers: inout [UInt64], extra: Range<Int>, in file: UnsafeRawBufferPointer
  ) throws(FormatFault) {
    guard numbers.contains(0xFFFF_FFFF) else { return }
    var position = extra.lowerBound
    while extra.upperBound - position >= 4 {
      let kind = file.number(at: position, bytes: 2)
      let end = position + 4 + Int(file.number(at: position + 2, bytes: 2))
      guard end <= extra.upperBound else { break }
      if kind == 1 {
        var field = position + 4
        for index in numbers.indices where numbers[index] == 0xFFFF_FFFF {
          guard end - field >= 8 else { throw FormatFault(offset: position, reason: "a ZIP64 field is too short") }
          numbers[index] = file.number(at: field, bytes: 8)
          field += 8
        }
        return
      }
      position = end
    }
    throw FormatFault(offset: extra.lowerBound, reason: "a ZIP64 field is missing")
  }
}

extension UnsafeRawBufferPointer {
  /// A little-endian number of up to 8 bytes; the caller has checked that they are there.
  func number(at offset: Int, bytes: Int) -> UInt64 {
    var number: UInt64 = 0
    for index in 0..<bytes { number |= UInt64(self[offset + index]) << UInt64(8 * index) }
    return number
  }
}
