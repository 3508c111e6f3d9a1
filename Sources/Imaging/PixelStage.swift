/// Turns the part of a decoded picture that is wanted upright, makes it grey and pads it, as far as needed.
///
/// The grid itself is turned, and not the small result: the two passes of resizing round in between, so only a turned
/// grid gives what Pillow's `exif_transpose` followed by `resize` gives. Nothing is copied when nothing changes.
final class PixelStage {
  private let buffer = ByteBuffer()

  /// - Parameters:
  ///   - stored: RGB as decoded.
  ///   - orientation: how the stored grid must be turned.
  ///   - region: the wanted part in upright pixels.
  ///   - isGrey: give ITU-R 601 luma.
  ///   - isPadded: centre the part in a white square.
  /// - Returns: a view of `stored` or of this stage's own buffer, valid until the next call.
  func prepare(
    _ stored: PixelGrid, orientation: Orientation, region: PixelRegion, isGrey: Bool, isPadded: Bool
  ) -> PixelGrid {
    let walk = Walk(stored, orientation, region)
    if orientation == .upright && !isGrey && !isPadded {
      return PixelGrid(
        base: stored.base + walk.origin, width: region.width, height: region.height, channels: 3,
        rowBytes: stored.rowBytes)
    }
    let channels = isGrey ? 1 : 3
    let width = isPadded ? max(region.width, region.height) : region.width
    let height = isPadded ? width : region.height
    let rowBytes = width * channels
    let target = buffer.reserve(rowBytes * height)
    if isPadded { target.update(repeating: 255, count: rowBytes * height) }
    let left = (width - region.width) / 2
    let top = (height - region.height) / 2
    for y in 0..<region.height {
      var from = stored.base + walk.origin + y * walk.down
      var to = target + (top + y) * rowBytes + left * channels
      if isGrey {
        for _ in 0..<region.width {
          let luma = 19595 * UInt32(from[0]) + 38470 * UInt32(from[1]) + 7471 * UInt32(from[2]) + 0x8000
          to[0] = UInt8(truncatingIfNeeded: luma >> 16)
          from += walk.right
          to += 1
        }
      } else {
        for _ in 0..<region.width {
          to[0] = from[0]
          to[1] = from[1]
          to[2] = from[2]
          from += walk.right
          to += 3
        }
      }
    }
    return PixelGrid(base: target, width: width, height: height, channels: channels, rowBytes: rowBytes)
  }

  func trim(to bytes: Int) { buffer.shrink(to: bytes) }

  /// Bytes from the stored grid's start to the region's first upright pixel, and to its neighbours.
  private struct Walk {
    var origin: Int
    var right: Int
    var down: Int

    init(_ stored: PixelGrid, _ orientation: Orientation, _ region: PixelRegion) {
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
      origin += region.left * right + region.top * down
    }
  }
}
