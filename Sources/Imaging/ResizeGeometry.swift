/// Whole pixels of a picture.
package struct PixelRegion: Equatable {
  package var left: Int
  package var top: Int
  package var width: Int
  package var height: Int

  package init(left: Int, top: Int, width: Int, height: Int) {
    self.left = left
    self.top = top
    self.width = width
    self.height = height
  }

  /// The same pixels of an upright picture where they are stored, in a grid of `width` × `height`.
  func stored(as orientation: Orientation, width gridWidth: Int, height gridHeight: Int) -> PixelRegion {
    let (x, y, across, down) = orientation.swapsAxes ? (top, left, height, width) : (left, top, width, height)
    let mirrorsX = [.mirrored, .upsideDown, .transversed, .turnedLeft].contains(orientation)
    let mirrorsY = [.upsideDown, .flipped, .turnedRight, .transversed].contains(orientation)
    return PixelRegion(
      left: mirrorsX ? gridWidth - x - across : x, top: mirrorsY ? gridHeight - y - down : y, width: across,
      height: down)
  }
}

/// Which part of an upright picture becomes which window of which size, and how small it may be decoded.
struct ResizeGeometry {
  /// The part of the source, in full-size upright pixels.
  let crop: PixelRegion
  /// The size that the part is resized to.
  let width: Int
  let height: Int
  /// The window of the resized picture that the model gets.
  let columns: Range<Int>
  let lines: Range<Int>
  /// The part is first padded to a square.
  let isPadded: Bool

  /// - Parameters:
  ///   - preprocessing: what the model wants.
  ///   - width: columns of the picture standing upright.
  ///   - height: its rows.
  init(_ preprocessing: Preprocessing, width: Int, height: Int) {
    if let ratio = preprocessing.cropRatio {
      let side = max(1, Int(ratio * Double(min(width, height))))
      crop = PixelRegion(left: (width - side + 1) / 2, top: (height - side + 1) / 2, width: side, height: side)
    } else {
      crop = PixelRegion(left: 0, top: 0, width: width, height: height)
    }
    var isPadded = false
    switch preprocessing.resize {
    case .exact(let extent): (self.width, self.height) = (extent.width, extent.height)
    case .pad(let extent):
      (self.width, self.height) = (extent.width, extent.height)
      isPadded = true
    case .shortSide(let side):
      let isUpright = crop.width <= crop.height
      let longer = max(crop.width, crop.height) * side / min(crop.width, crop.height)
      (self.width, self.height) = isUpright ? (side, longer) : (longer, side)
    }
    self.isPadded = isPadded
    let window = preprocessing.centerCrop ?? .init(height: self.height, width: self.width)
    let left = Int((Double(self.width - window.width) / 2).rounded(.toNearestOrEven))
    let top = Int((Double(self.height - window.height) / 2).rounded(.toNearestOrEven))
    columns = left..<left + window.width
    lines = top..<top + window.height
  }

  /// Eighths of the size at which a JPEG may be decoded: the smallest of 1, 2, 4 and 8 that leaves the part at least
  /// twice as large as what it becomes.
  ///
  /// Twice, because the antialiasing kernel then still spans several decoded pixels and hides how the decoder shrank
  /// them: at less, an eighth of the size changes a level by 0.9 on average, a quarter by 0.4. Only powers of two,
  /// because libjpeg-turbo has vector code for those alone.
  var decodeScale: Int {
    let targetWidth = isPadded ? width * crop.width / max(crop.width, crop.height) : width
    let targetHeight = isPadded ? height * crop.height / max(crop.width, crop.height) : height
    for eighths in [1, 2, 4]
    where crop.width * eighths >= 16 * targetWidth && crop.height * eighths >= 16 * targetHeight {
      return eighths
    }
    return 8
  }

  /// The part in pixels of a picture decoded at `scale` eighths: the whole pixels that hold it, and its place in them.
  ///
  /// At full size the region is the crop itself, so that nothing outside it can bleed in, as when it is cut first.
  ///
  /// `width` and `height` are those of the whole decoded picture standing upright.
  func region(scale: Int, width limitX: Int, height limitY: Int) -> (region: PixelRegion, box: PixelBox) {
    let factor = Double(scale) / 8
    let x = (Double(crop.left) * factor, Double(crop.left + crop.width) * factor)
    let y = (Double(crop.top) * factor, Double(crop.top + crop.height) * factor)
    let left = Int(x.0)
    let top = Int(y.0)
    let right = min(limitX, Int(x.1.rounded(.up)))
    let bottom = min(limitY, Int(y.1.rounded(.up)))
    let region = PixelRegion(left: left, top: top, width: right - left, height: bottom - top)
    let box = PixelBox(
      left: x.0 - Double(left), top: y.0 - Double(top), right: min(x.1, Double(right)) - Double(left),
      bottom: min(y.1, Double(bottom)) - Double(top))
    return (region, box)
  }
}
