/// Some rows of a padded input, copied together so that windows over them need no borders.
///
/// A row has as many pixels as windows touch; a pixel has the value's padded channels, or the picture's three.
struct InputStrip: Sendable {
  let step: ConvolutionStep
  /// Floats a pixel.
  let channels: Int

  init(_ step: ConvolutionStep) {
    self.step = step
    channels = step.isOfPicture ? step.inputShape.c : Value.padded(step.inputShape.c)
  }

  /// Floats a row.
  var rowLength: Int { step.touched.w * channels }

  /// Input rows under so many output rows.
  func inputRows(under outputRows: Int) -> Int {
    (outputRows - 1) * step.convolution.stride.h + (step.convolution.kernel.h - 1) * step.convolution.dilation.h + 1
  }

  /// Copies the input rows under some output rows of an image.
  func copy(
    _ image: UnsafePointer<Float>, pixelStride: Int, under rows: Range<Int>, to strip: UnsafeMutablePointer<Float>
  ) {
    let first = rows.lowerBound * step.convolution.stride.h - step.edges.top
    for index in 0..<inputRows(under: rows.count) {
      copyRow(image, pixelStride: pixelStride, first + index, to: strip + index * rowLength)
    }
  }

  /// Copies one row of an image with zeros on both sides; a row outside the image is all zeros.
  func copyRow(
    _ image: UnsafePointer<Float>, pixelStride: Int, _ y: Int, to row: UnsafeMutablePointer<Float>
  ) {
    let x = step.inputShape
    guard y >= 0, y < x.h else {
      row.update(repeating: 0, count: rowLength)
      return
    }
    let left = min(step.edges.left, step.touched.w)
    let pixels = min(x.w, step.touched.w - left)
    let source = image + y * x.w * pixelStride
    let target = row + left * channels
    row.update(repeating: 0, count: left * channels)
    if pixelStride == channels {
      target.update(from: source, count: pixels * channels)
    } else {
      for pixel in 0..<pixels {
        (target + pixel * channels).update(from: source + pixel * pixelStride, count: channels)
      }
    }
    (target + pixels * channels).update(repeating: 0, count: rowLength - (left + pixels) * channels)
  }

  /// The pieces of a window in a strip: kernel rows, or single pixels where a piece would take in padding or dilation.
  ///
  /// `firstChannel` and `channelCount` choose a group.
  func segments(rowStride: Int, pixelStride: Int, firstChannel: Int = 0, channelCount: Int) -> (
    offsets: SegmentOffsets, length: Int
  ) {
    let c = step.convolution
    let isDense = c.dilation.w == 1 && channelCount == pixelStride
    var offsets: [Int] = []
    for ky in 0..<c.kernel.h {
      for kx in 0..<(isDense ? 1 : c.kernel.w) {
        offsets.append(ky * c.dilation.h * rowStride + kx * c.dilation.w * pixelStride + firstChannel)
      }
    }
    return (SegmentOffsets(offsets), channelCount * (isDense ? c.kernel.w : 1))
  }
}

/// Offsets of a row's pieces, where C can read them.
final class SegmentOffsets: @unchecked Sendable {
  let pointer: UnsafePointer<Int>
  let count: Int

  init(_ offsets: [Int]) {
    let memory = UnsafeMutablePointer<Int>.allocate(capacity: max(1, offsets.count))
    memory.initialize(from: offsets, count: offsets.count)
    pointer = UnsafePointer(memory)
    count = offsets.count
  }

  deinit { pointer.deallocate() }
}
