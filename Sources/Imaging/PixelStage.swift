/// Turns the part of a decoded picture that is wanted upright, makes it grey and pads it, as far as needed.
///
/// The grid itself is turned, and not the small result: the two passes of resizing round in between, so only a turned
/// grid gives what Pillow's `exif_transpose` followed by `resize` gives. Nothing is copied when nothing changes.
final class PixelStage {
  private let buffer = ByteBuffer()

  /// - Parameters:
  ///   - stored: RGB as decoded.
  ///   - orientation: how the stored grid must be turned.
  ///   - region: the part to give, in upright pixels.
  ///   - needed: the pixels of it that will be read, seen from its corner; all of them when it is padded.
  ///   - isGrey: give ITU-R 601 luma.
  ///   - isPadded: centre the part in a white square.
  /// - Returns: a view of `stored` or of this stage's own buffer, valid until the next call.
  func prepare(
    _ stored: PixelGrid, orientation: Orientation, region: PixelRegion, needed: PixelRegion, isGrey: Bool,
    isPadded: Bool
  ) -> PixelGrid {
    let part = isPadded ? PixelRegion(left: 0, top: 0, width: region.width, height: region.height) : needed
    if orientation == .upright && !isGrey && !isPadded {
      return PixelGrid(
        base: stored.base + region.top * stored.rowBytes + region.left * 3, width: region.width, height: region.height,
        channels: 3,
        rowBytes: stored.rowBytes)
    }
    let channels = isGrey ? 1 : 3
    let side = max(region.width, region.height)
    let room = isPadded ? PixelRegion(left: 0, top: 0, width: side, height: side) : part
    let rowBytes = room.width * channels
    let target = buffer.reserve(rowBytes * room.height)
    if isPadded { target.update(repeating: 255, count: rowBytes * room.height) }
    let left = (room.width - part.width) / 2
    let top = (room.height - part.height) / 2
    let walk = Walk(stored, orientation, left: region.left + part.left, top: region.top + part.top)
    for y in 0..<part.height {
      var from = stored.base + walk.origin + y * walk.down
      var to = target + (top + y) * rowBytes + left * channels
      if isGrey {
        for _ in 0..<part.width {
          let luma = 19595 * UInt32(from[0]) + 38470 * UInt32(from[1]) + 7471 * UInt32(from[2]) + 0x8000
          to[0] = UInt8(truncatingIfNeeded: luma >> 16)
          from += walk.right
          to += 1
        }
      } else {
        for _ in 0..<part.width {
          to[0] = from[0]
          to[1] = from[1]
          to[2] = from[2]
          from += walk.right
          to += 3
        }
      }
    }
    return PixelGrid(
      base: target - room.top * rowBytes - room.left * channels, width: isPadded ? side : region.width,
      height: isPadded ? side : region.height, channels: channels, rowBytes: rowBytes)
  }

  func trim(to bytes: Int) { buffer.shrink(to: bytes) }

  /// Bytes from the stored grid's start to an upright pixel, and from it to its neighbours.
  private struct Walk {
    var origin: Int
    var right: Int
    var down: Int

    init(_ stored: PixelGrid, _ orientation: Orientation, left: Int, top: Int) {
      let pixel = stored.channels
      let line = stored.rowBytes
      let lastX = (stored.width - 1) * pixel
      let lastY = (stored.height - 1) * line
      switch orientation {
      case .upright: (origin, right, down) = (0, pixel, line)
      case .mirrored: (origin, right, down) = (lastX, -pixel, line)
      case .upsideDown: (origin, right, down) = (lastX + lastY, -pixel, -line)
      case .flipped: (origin, right, down) = (lastY, pixel, -line)
      case .transposed: (origin, right, down) = (0, line, pixel)
      case .turnedRight: (origin, right, down) = (lastY, -line, pixel)
      case .transversed: (origin, right, down) = (lastX + lastY, -line, -pixel)
      case .turnedLeft: (origin, right, down) = (lastX, line, -pixel)
      }
      origin += left * right + top * down
    }
  }
}
