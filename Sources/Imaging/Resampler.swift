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
  private let output = ByteBuffer()
  private var sums: [Int32] = []

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
    precondition(!columns.isEmpty && !lines.isEmpty, "an empty window")
    horizontal.set(
      size: source.width, from: box.left, to: box.right, target: width, window: columns, filter: filter)
    vertical.set(size: source.height, from: box.top, to: box.bottom, target: height, window: lines, filter: filter)
    let needed = vertical.sources
    let rowBytes = columns.count * source.channels
    let middle = rows.reserve(needed.count * rowBytes)
    for row in needed {
      let from = source.base + row * source.rowBytes
      let to = middle + (row - needed.lowerBound) * rowBytes
      if source.channels == 3 { alongRow3(from, to) } else { alongRow1(from, to) }
    }
    let result = output.reserve(lines.count * rowBytes)
    acrossRows(middle, first: needed.lowerBound, rowBytes: rowBytes, into: result)
    return PixelGrid(
      base: result, width: columns.count, height: lines.count, channels: source.channels, rowBytes: rowBytes)
  }

  func trim(to bytes: Int) {
    rows.shrink(to: bytes)
    output.shrink(to: bytes)
  }

  private static let half: Int32 = 1 << Int32(AxisWeights.precision - 1)

  @inline(__always)
  private static func clip(_ sum: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: max(0, min(255, sum >> Int32(AxisWeights.precision))))
  }

  private func alongRow3(_ from: UnsafePointer<UInt8>, _ to: UnsafeMutablePointer<UInt8>) {
    let stride = horizontal.stride
    horizontal.weights.withUnsafeBufferPointer { weights in
      guard let base = weights.baseAddress else { return }
      for index in horizontal.starts.indices {
        let weight = base + index * stride
        let sample = from + horizontal.starts[index] * 3
        var (r, g, b) = (Self.half, Self.half, Self.half)
        for k in 0..<horizontal.counts[index] {
          r &+= Int32(sample[3 &* k]) &* weight[k]
          g &+= Int32(sample[3 &* k &+ 1]) &* weight[k]
          b &+= Int32(sample[3 &* k &+ 2]) &* weight[k]
        }
        to[3 * index] = Self.clip(r)
        to[3 * index + 1] = Self.clip(g)
        to[3 * index + 2] = Self.clip(b)
      }
    }
  }

  private func alongRow1(_ from: UnsafePointer<UInt8>, _ to: UnsafeMutablePointer<UInt8>) {
    let stride = horizontal.stride
    horizontal.weights.withUnsafeBufferPointer { weights in
      guard let base = weights.baseAddress else { return }
      for index in horizontal.starts.indices {
        let weight = base + index * stride
        let sample = from + horizontal.starts[index]
        var sum = Self.half
        for k in 0..<horizontal.counts[index] { sum &+= Int32(sample[k]) &* weight[k] }
        to[index] = Self.clip(sum)
      }
    }
  }

  private func acrossRows(
    _ middle: UnsafeMutablePointer<UInt8>, first: Int, rowBytes: Int, into result: UnsafeMutablePointer<UInt8>
  ) {
    if sums.count < rowBytes { sums = Array(repeating: 0, count: rowBytes) }
    let stride = vertical.stride
    sums.withUnsafeMutableBufferPointer { sums in
      guard let sum = sums.baseAddress else { return }
      for line in vertical.starts.indices {
        for x in 0..<rowBytes { sum[x] = Self.half }
        for k in 0..<vertical.counts[line] {
          let weight = vertical.weights[line * stride + k]
          let row = middle + (vertical.starts[line] - first + k) * rowBytes
          for x in 0..<rowBytes { sum[x] &+= Int32(row[x]) &* weight }
        }
        let target = result + line * rowBytes
        for x in 0..<rowBytes { target[x] = Self.clip(sum[x]) }
      }
    }
  }
}
