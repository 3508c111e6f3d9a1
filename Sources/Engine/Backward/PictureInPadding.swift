/// A picture copied into zeros, so that no window leaves it; optionally with its pixels drawn apart.
struct PictureInPadding {
  let shape: Shape
  let top: Int
  let left: Int
  let height: Int
  let width: Int
  /// How far apart the pixels are put: 1 keeps them together.
  var spread = Extent2D(1)

  var count: Int { height * width * shape.c }

  /// Whether the picture can be read where it lies.
  var isWhole: Bool { height == shape.h && width == shape.w && spread == Extent2D(1) }

  /// Writes padding and picture; gives the picture itself if there is none to add.
  func fill(_ target: UnsafeMutablePointer<Float>, from picture: UnsafePointer<Float>) -> UnsafePointer<Float> {
    if isWhole { return picture }
    target.update(repeating: 0, count: count)
    let rows = min(shape.h, (height - top + spread.h - 1) / spread.h)
    let columns = min(shape.w, (width - left + spread.w - 1) / spread.w)
    for y in 0..<rows {
      let from = picture + y * shape.w * shape.c
      let to = target + ((top + y * spread.h) * width + left) * shape.c
      if spread.w == 1 {
        to.update(from: from, count: columns * shape.c)
      } else {
        for x in 0..<columns { (to + x * spread.w * shape.c).update(from: from + x * shape.c, count: shape.c) }
      }
    }
    return UnsafePointer(target)
  }
}
