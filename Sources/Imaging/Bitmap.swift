/// Where the pixels of an uncompressed BMP lie and how they are read: 1, 4, 8, 16, 24 and 32 bits a pixel.
///
/// All offsets are checked against the file when this is made; reading afterwards stays inside.
struct BitmapLayout {
  var width: Int
  var height: Int
  /// Entries of the palette that the file holds; zero for direct colour.
  var paletteCount = 0
  private var isTopDown = false
  private var bits = 0
  private var pixelOffset = 0
  private var rowBytes = 0
  private var paletteOffset = 0
  private var paletteStride = 4
  private var masks = (red: 0, green: 0, blue: 0, alpha: 0)

  /// Reads the file header and any of the known information headers (12, 40, 52, 56, 64, 108, 124 bytes).
  init(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) {
    guard bytes.count >= 26 else { throw .truncated(format: .bmp) }
    let headerBytes = bytes.littleEndian32(at: 14)
    guard [12, 40, 52, 56, 64, 108, 124].contains(headerBytes) else {
      throw .unsupported(format: .bmp, reason: "an information header of \(headerBytes) bytes")
    }
    guard bytes.count >= 14 + headerBytes else { throw .truncated(format: .bmp) }
    pixelOffset = bytes.littleEndian32(at: 10)
    var compression = 0
    if headerBytes == 12 {
      width = bytes.littleEndian16(at: 18)
      height = bytes.littleEndian16(at: 20)
      bits = bytes.littleEndian16(at: 24)
      paletteStride = 3
    } else {
      width = Int(Int32(truncatingIfNeeded: bytes.littleEndian32(at: 18)))
      height = Int(Int32(truncatingIfNeeded: bytes.littleEndian32(at: 22)))
      bits = bytes.littleEndian16(at: 28)
      compression = bytes.littleEndian32(at: 30)
      isTopDown = height < 0
      height = abs(height)
    }
    guard width > 0, height > 0 else { throw .corrupt(format: .bmp, reason: "a picture of \(width)×\(height) pixels") }
    guard [1, 4, 8, 16, 24, 32].contains(bits) else { throw .unsupported(format: .bmp, reason: "\(bits) bits a pixel") }
    paletteOffset = 14 + headerBytes
    switch compression {
    case 0:
      if bits == 16 { masks = (0x7C00, 0x03E0, 0x001F, 0) }
      if bits == 32 { masks = (0xFF0000, 0x00FF00, 0x0000FF, 0) }
    case 3, 6:
      guard bits == 16 || bits == 32, headerBytes != 64 else {
        throw .corrupt(format: .bmp, reason: "bit fields with \(bits) bits a pixel")
      }
      let hasAlpha = headerBytes >= 56 || compression == 6
      guard bytes.count >= 54 + (hasAlpha ? 16 : 12) else { throw .truncated(format: .bmp) }
      masks = (
        bytes.littleEndian32(at: 54), bytes.littleEndian32(at: 58), bytes.littleEndian32(at: 62),
        hasAlpha ? bytes.littleEndian32(at: 66) : 0
      )
    default: throw .unsupported(format: .bmp, reason: "compression \(compression)")
    }
    if bits <= 8 {
      let told = headerBytes >= 40 ? bytes.littleEndian32(at: 46) : 0
      paletteCount = told == 0 ? 1 << bits : min(told, 1 << bits)
      guard paletteOffset + paletteCount * paletteStride <= bytes.count else { throw .truncated(format: .bmp) }
    }
    rowBytes = (width * bits + 31) / 32 * 4
  }

  /// Writes the pixels as interleaved RGB, top row first.
  /// - Parameters:
  ///   - bytes: the file that this layout was read from.
  ///   - pixels: room for width × height × 3 bytes.
  /// - Throws: `ImagingError.truncated` when rows are missing.
  func decode(_ bytes: UnsafeRawBufferPointer, into pixels: UnsafeMutablePointer<UInt8>) throws(ImagingError) {
    let (size, overflow) = rowBytes.multipliedReportingOverflow(by: height)
    guard !overflow, pixelOffset >= 26, size <= bytes.count, pixelOffset <= bytes.count - size else {
      throw .truncated(format: .bmp)
    }
    for y in 0..<height {
      let start = pixelOffset + (isTopDown ? y : height - 1 - y) * rowBytes
      let row = UnsafeRawBufferPointer(rebasing: bytes[start..<start + rowBytes])
      let target = pixels + y * width * 3
      switch bits {
      case 24:
        for x in 0..<width {
          target[3 * x] = row[3 * x + 2]
          target[3 * x + 1] = row[3 * x + 1]
          target[3 * x + 2] = row[3 * x]
        }
      case 16, 32: masked(row, into: target)
      default: indexed(row, palette: bytes, into: target)
      }
    }
  }

  private func indexed(
    _ row: UnsafeRawBufferPointer, palette: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<UInt8>
  ) {
    let perByte = 8 / bits
    for x in 0..<width {
      let shift = 8 - bits * (x % perByte + 1)
      let index = Int(row[x / perByte]) >> shift & (1 << bits - 1)
      let known = index < paletteCount
      let entry = paletteOffset + (known ? index * paletteStride : 0)
      for channel in 0..<3 { target[3 * x + channel] = known ? palette[entry + 2 - channel] : 0 }
    }
  }

  private func masked(_ row: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<UInt8>) {
    for x in 0..<width {
      let value = bits == 16 ? row.littleEndian16(at: 2 * x) : row.littleEndian32(at: 4 * x)
      let alpha = masks.alpha == 0 ? 255 : Self.sample(value, masks.alpha)
      let colour = (
        Self.sample(value, masks.red), Self.sample(value, masks.green), Self.sample(value, masks.blue)
      )
      target[3 * x] = Self.overWhite(colour.0, alpha)
      target[3 * x + 1] = Self.overWhite(colour.1, alpha)
      target[3 * x + 2] = Self.overWhite(colour.2, alpha)
    }
  }

  private static func sample(_ value: Int, _ mask: Int) -> Int {
    guard mask != 0 else { return 0 }
    let shift = mask.trailingZeroBitCount
    return (value & mask) >> shift * 255 / (mask >> shift)
  }

  private static func overWhite(_ sample: Int, _ alpha: Int) -> UInt8 {
    let sum = sample * alpha + 255 * (255 - alpha) + 128
    return UInt8(truncatingIfNeeded: (sum >> 8 + sum) >> 8)
  }
}
