/// How the stored pixel grid must be turned to stand upright: EXIF tag 0x0112.
package enum Orientation: UInt8, Sendable, CaseIterable {
  case upright = 1
  case mirrored = 2
  case upsideDown = 3
  case flipped = 4
  case transposed = 5
  case turnedRight = 6
  case transversed = 7
  case turnedLeft = 8

  /// Whether rows become columns, so that width and height change places.
  package var swapsAxes: Bool { rawValue >= 5 }

  /// Reads the tag from the TIFF structure that an EXIF block holds after its `Exif\0\0`.
  ///
  /// A strict reader of this one tag in the first directory, in place of libexif: the block comes from strangers, the
  /// tag is the only one needed, and a bounded walk over two-byte and four-byte numbers allocates nothing and cannot
  /// leave the block. Whatever is odd about the block counts as upright, as in Pillow's `exif_transpose`.
  init(exif block: UnsafeRawBufferPointer) {
    self = .upright
    guard block.count >= 8 else { return }
    let isLittle: Bool
    switch (block[0], block[1]) {
    case (0x49, 0x49): isLittle = true
    case (0x4D, 0x4D): isLittle = false
    default: return
    }
    func short(_ offset: Int) -> Int { isLittle ? block.littleEndian16(at: offset) : block.bigEndian16(at: offset) }
    func long(_ offset: Int) -> Int { isLittle ? block.littleEndian32(at: offset) : block.bigEndian32(at: offset) }
    guard short(2) == 42 else { return }
    let directory = long(4)
    guard directory >= 8, directory <= block.count - 2 else { return }
    for index in 0..<short(directory) {
      let entry = directory + 2 + index * 12
      guard entry <= block.count - 12 else { return }
      guard short(entry) == 0x0112 else { continue }
      let value: Int
      switch (short(entry + 2), long(entry + 4)) {
      case (3, 1): value = short(entry + 8)
      case (4, 1): value = long(entry + 8)
      default: return
      }
      if let known = Orientation(rawValue: UInt8(clamping: value)) { self = known }
      return
    }
  }
}
