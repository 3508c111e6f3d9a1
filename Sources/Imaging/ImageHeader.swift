/// What a picture's header announces, read before anything is allocated.
///
/// The readers are Swift and not the codecs' own: they walk a stranger's bytes with checked offsets, allocate nothing
/// and cannot jump. The codecs compare their own view with this one and refuse a file that tells two stories.
package struct ImageHeader: Equatable, Sendable {
  package var format: ImageFormat
  /// Columns as stored, before any turning.
  package var width: Int
  /// Rows as stored, before any turning.
  package var height: Int
  /// Samples a pixel as stored: 1 grey or palette, 2 grey and alpha, 3 colour, 4 colour and alpha or CMYK.
  package var channels: Int
  package var isProgressive: Bool
  package var orientation: Orientation

  /// Reads the header of a whole file's bytes and checks it against `limits`.
  /// - Throws: any picture case of `ImagingError`: reject the picture.
  package init(_ bytes: UnsafeRawBufferPointer, limits: ImageLimits = .standard) throws(ImagingError) {
    try limits.check(fileBytes: bytes.count)
    guard let format = ImageFormat.sniff(bytes) else {
      throw .unreadableFormat(start: Self.hexadecimal(bytes.prefix(8)))
    }
    switch format {
    case .jpeg: self = try Self.jpeg(bytes)
    case .png: self = try Self.png(bytes)
    case .bmp:
      let bitmap = try BitmapLayout(bytes)
      self.init(
        format: .bmp, width: bitmap.width, height: bitmap.height,
        channels: bitmap.paletteCount > 0 ? 1 : 3, isProgressive: false, orientation: .upright)
    }
    guard width > 0, height > 0 else {
      throw .corrupt(format: format, reason: "a picture of \(width)×\(height) pixels")
    }
    try limits.check(width: width, height: height)
  }

  private init(
    format: ImageFormat, width: Int, height: Int, channels: Int, isProgressive: Bool, orientation: Orientation
  ) {
    self.format = format
    self.width = width
    self.height = height
    self.channels = channels
    self.isProgressive = isProgressive
    self.orientation = orientation
  }

  private static func hexadecimal(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
  }

  /// Walks the markers up to the first scan (ITU-T T.81, B.1.1): the frame header and the first EXIF block.
  private static func jpeg(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) -> ImageHeader {
    var frame: ImageHeader?
    var orientation: Orientation?
    var offset = 2
    while true {
      while offset < bytes.count, bytes[offset] != 0xFF { offset += 1 }
      while offset < bytes.count, bytes[offset] == 0xFF { offset += 1 }
      guard offset < bytes.count else { throw .truncated(format: .jpeg) }
      let marker = bytes[offset]
      offset += 1
      switch marker {
      case 0x00, 0x01, 0xD0...0xD8: continue
      case 0xD9: throw .corrupt(format: .jpeg, reason: "no picture between its first and last marker")
      default: break
      }
      guard offset <= bytes.count - 2 else { throw .truncated(format: .jpeg) }
      let length = bytes.bigEndian16(at: offset)
      guard length >= 2 else {
        throw .corrupt(format: .jpeg, reason: "a segment of length \(length) at byte \(offset)")
      }
      guard length <= bytes.count - offset else { throw .truncated(format: .jpeg) }
      let body = UnsafeRawBufferPointer(rebasing: bytes[offset + 2..<offset + length])
      switch marker {
      case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
        guard frame == nil else { throw .corrupt(format: .jpeg, reason: "two frame headers") }
        guard body.count >= 6 else { throw .corrupt(format: .jpeg, reason: "a frame header of \(body.count) bytes") }
        guard body[0] == 8 else { throw .unsupported(format: .jpeg, reason: "\(body[0]) bits a sample") }
        guard body.bigEndian16(at: 1) > 0 else {
          throw .unsupported(format: .jpeg, reason: "the height is told after the picture (DNL)")
        }
        frame = ImageHeader(
          format: .jpeg, width: body.bigEndian16(at: 3), height: body.bigEndian16(at: 1), channels: Int(body[5]),
          isProgressive: marker == 0xC2 || marker == 0xCA, orientation: .upright)
      case 0xE1 where orientation == nil && body.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0]):
        orientation = Orientation(exif: UnsafeRawBufferPointer(rebasing: body[6...]))
      case 0xDA:
        guard var header = frame else { throw .corrupt(format: .jpeg, reason: "a scan before the frame header") }
        header.orientation = orientation ?? .upright
        return header
      default: break
      }
      offset += length
    }
  }

  /// Walks the chunks up to IEND (PNG specification, 5.3): IHDR first, eXIf wherever it stands.
  private static func png(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) -> ImageHeader {
    guard bytes.count >= 33 else { throw .truncated(format: .png) }
    guard bytes.bigEndian32(at: 8) == 13, bytes.bigEndian32(at: 12) == 0x4948_4452 else {
      throw .corrupt(format: .png, reason: "the first chunk is no IHDR")
    }
    let channels: Int
    switch bytes[25] {
    case 0, 3: channels = 1
    case 2: channels = 3
    case 4: channels = 2
    case 6: channels = 4
    default: throw .corrupt(format: .png, reason: "colour type \(bytes[25])")
    }
    var header = ImageHeader(
      format: .png, width: bytes.bigEndian32(at: 16), height: bytes.bigEndian32(at: 20), channels: channels,
      isProgressive: bytes[28] != 0, orientation: .upright)
    var offset = 33
    while offset <= bytes.count - 12 {
      let length = bytes.bigEndian32(at: offset)
      let type = bytes.bigEndian32(at: offset + 4)
      guard length <= bytes.count - offset - 12, type != 0x4945_4E44 else { break }
      if type == 0x6558_4966 {
        header.orientation = Orientation(
          exif: UnsafeRawBufferPointer(rebasing: bytes[offset + 8..<offset + 8 + length]))
        break
      }
      offset += 12 + length
    }
    return header
  }
}
