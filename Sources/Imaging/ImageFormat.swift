/// The file formats that are decoded.
package enum ImageFormat: String, Sendable, CustomStringConvertible {
  case jpeg = "JPEG"
  case png = "PNG"
  case bmp = "BMP"

  package var description: String { rawValue }

  /// The format whose signature the bytes begin with, or nil; the file's name plays no part.
  ///
  /// Eight bytes suffice.
  package static func sniff(_ bytes: UnsafeRawBufferPointer) -> ImageFormat? {
    if bytes.count >= 3, bytes[0] == 0xFF, bytes[1] == 0xD8, bytes[2] == 0xFF { return .jpeg }
    if bytes.starts(with: pngSignature) { return .png }
    if bytes.count >= 2, bytes[0] == 0x42, bytes[1] == 0x4D { return .bmp }
    return nil
  }

  /// Whether a file ends as its format ends, judged by its first and last bytes.
  ///
  /// A watcher may take such a file at once; any other must first come to rest. A JPEG ends with EOI, zero padding
  /// and line ends after it allowed; a PNG with its IEND chunk; a BMP has at least the size that its header tells.
  /// - Parameters:
  ///   - head: the first bytes, 32 or the whole file if that is shorter.
  ///   - tail: the last bytes, up to 64.
  ///   - size: the file's size in bytes.
  /// - Returns: false when in doubt.
  package static func endsComplete(head: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer, size: Int) -> Bool {
    switch sniff(head) {
    case .jpeg:
      guard let last = tail.lastIndex(where: { $0 != 0 && $0 != 0x0A && $0 != 0x0D }), last > 0 else { return false }
      return tail[last - 1] == 0xFF && tail[last] == 0xD9
    case .png:
      return tail.count >= pngEnd.count && tail.suffix(pngEnd.count).elementsEqual(pngEnd)
    case .bmp:
      guard head.count >= 26 else { return false }
      let told = head.littleEndian32(at: 2)
      return told >= 26 && size >= told
    case nil:
      return false
    }
  }

  static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
  private static let pngEnd: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]
}

/// Reading of numbers at offsets that the caller has checked.
extension UnsafeRawBufferPointer {
  func bigEndian16(at offset: Int) -> Int { Int(self[offset]) << 8 | Int(self[offset + 1]) }

  func bigEndian32(at offset: Int) -> Int { bigEndian16(at: offset) << 16 | bigEndian16(at: offset + 2) }

  func littleEndian16(at offset: Int) -> Int { Int(self[offset + 1]) << 8 | Int(self[offset]) }

  func littleEndian32(at offset: Int) -> Int { littleEndian16(at: offset + 2) << 16 | littleEndian16(at: offset) }
}
