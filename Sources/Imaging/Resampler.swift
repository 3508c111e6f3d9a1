internal import CImageCodecs

/// A part of a picture in fractional pixels; `right` and `bottom` lie behind it.
package struct PixelBox: Equatable, Sendable {
  package var left: Double
  package var top: Double
  package var right: Double
  package var bottom: Double

  package init(left: Double, top: Double, right: Double, bottom: Double) {
    self.left = left
    self.top = top
    self.right = right
    self.bottom = bottom
  }
}

/// Resizes pixels exactly as Pillow's `Image.resize` does, computing only the rows and columns wanted.
///
/// Two passes, along the rows first and then along the columns, each rounded to 8 bits; sums are 32-bit integers with
/// 22 fractional bits. Owned by one thread; allocates only while pictures get larger than any before.
package final class Resampler {
  private var horizontal = AxisWeights()
  private var vertical = AxisWeights()
  private let rows = ByteBuffer()
  private let scratch = ByteBuffer()
  private let output = ByteBuffer()

  package init() {}

  /// Resizes `box` of `source` to `width` × `height` and gives the window of it that is wanted.
  /// - Parameters:
  ///   - source: the pixels to read.
  ///   - box: the part of them to resize.
  ///   - width: columns of the whole result.
  ///   - height: rows of the whole result.
  ///   - columns: wanted columns of the result.
  ///   - lines: wanted rows of the result.
  ///   - filter: the kernel.
  /// - Returns: pixels of `columns.count` × `lines.count`, valid until the next call.
  package func resize(
    _ source: PixelGrid, box: PixelBox, width: Int, height: Int, columns: Range<Int>, lines: Range<Int>,
    filter: ResampleFilter
  ) -> PixelGrid {
    plan(
      sourceWidth: source.width, sourceHeight: source.height, box: box, width: width, height: height,
      columns: columns, lines: lines, filter: filter)
    return resize(source)
  }

  /// Prepares to resize a picture of that size; `needed` and `resize(_:)` then speak of it.
  func plan(
    sourceWidth: Int, sourceHeight: Int, box: PixelBox, width: Int, height: Int, columns: Range<Int>,
    lines: Range<Int>, filter: ResampleFilter
  ) {
    precondition(!columns.isEmpty && !lines.isEmpty, "an empty window")
    horizontal.set(size: sourceWidth, from: box.left, to: box.right, target: width, window: columns, filter: filter)
    vertical.set(size: sourceHeight, from: box.top, to: box.bottom, target: height, window: lines, filter: filter)
  }

  /// The only pixels of the source that `resize(_:)` reads.
  var needed: PixelRegion {
    PixelRegion(
      left: horizontal.sources.lowerBound, top: vertical.sources.lowerBound, width: horizontal.sources.count,
      height: vertical.sources.count)
  }

  /// Resizes as planned.
  func resize(_ source: PixelGrid) -> PixelGrid {
    let needed = needed
    let channels = source.channels
    let (columns, lines) = (horizontal.starts.count, vertical.starts.count)
    let rowBytes = columns * channels
    let middle = rows.reserve(needed.height * rowBytes)
    let turned = scratch.reserve(16 * channels * (needed.width + columns))
    let result = output.reserve(lines * rowBytes)
    horizontal.withAxis { axis in
      ic_resample_rows(
        source.base + needed.top * source.rowBytes, source.rowBytes, needed.height, channels, axis, middle, rowBytes,
        turned)
    }
    vertical.withAxis { axis in ic_resample_columns(middle, rowBytes, axis, result) }
    return PixelGrid(base: result, width: columns, height: lines, channels: channels, rowBytes: rowBytes)
  }

  func trim(to bytes: Int) {
    rows.shrink(to: bytes)
    scratch.shrink(to: bytes)
    output.shrink(to: bytes)
  }
}
