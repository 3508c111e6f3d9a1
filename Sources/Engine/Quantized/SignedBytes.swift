/// Weights as signed bytes: number = byte · row scale / column factor, with bytes from −127 to 127.
///
/// A row is an output channel. The column factor is what a byte of the input's channel is worth, so that bytes of weight and
/// input multiply to one scale a row.
package struct SignedBytes {
  package let bytes: [Int8]
  package let scales: [Float]

  /// Bytes of an earlier rounding; −128, which no rounding gives, becomes −127.
  init(bytes: [Int8], scales: [Float]) {
    self.bytes = bytes.map { max(-127, $0) }
    self.scales = scales
  }

  /// Rounds to the nearest; what is no number becomes 0.
  ///
  /// - Parameters:
  ///   - floats: rows of equal length.
  ///   - rows: how many.
  ///   - scales: of an earlier rounding, to find its bytes again; otherwise each row gets its `bestScale`.
  ///   - groups: equal parts of the rows.
  ///   - factors: of a group, what each number of its rows is multiplied with.
  package init(
    _ floats: [Float], rows: Int, scales: [Float]? = nil, groups: Int = 1, factors: (_ group: Int) -> [Float]
  ) {
    let length = floats.count / max(1, rows)
    let rowsPerGroup = max(1, rows / max(1, groups))
    var own: [Float] = []
    var factor: [Float] = []
    var products = [Float](repeating: 0, count: length)
    bytes = [Int8](unsafeUninitializedCapacity: floats.count) { bytes, count in
      for row in 0..<rows {
        if row % rowsPerGroup == 0 { factor = factors(row / rowsPerGroup) }
        let first = row * length
        products.withUnsafeMutableBufferPointer { products in
          Self.multiply(floats[first..<first + length], factor, to: products)
        }
        let scale = scales?[row] ?? Self.bestScale(of: products)
        own.append(scale)
        products.withUnsafeBufferPointer { Self.round($0, by: scale, to: bytes, at: first) }
      }
      count = rows * length
    }
    self.scales = own
  }

  private static func multiply(_ row: ArraySlice<Float>, _ factor: [Float], to out: UnsafeMutableBufferPointer<Float>) {
    row.withUnsafeBufferPointer { row in
      factor.withUnsafeBufferPointer { factor in
        for place in out.indices { out[place] = row[place] * factor[place] }
      }
    }
  }

  private static func round(
    _ products: UnsafeBufferPointer<Float>, by scale: Float, to bytes: UnsafeMutableBufferPointer<Int8>, at first: Int
  ) {
    for place in products.indices { bytes[first + place] = rounded(products[place] / scale) }
  }

  /// The nearest whole number from −127 to 127, of two the even one; 0 if it is no number.
  @inline(__always)
  private static func rounded(_ value: Float) -> Int8 {
    // So large a sum has no fraction, and the number in its lowest bits.
    let sum = (value == value ? min(127, max(-127, value)) : 0) + 12_582_912
    return Int8(truncatingIfNeeded: sum.bitPattern)
  }

  /// The scale, from what the largest product needs down to 0.6 of it, that leaves the least squared error.
  static func bestScale(of products: [Float]) -> Float {
    let most = products.reduce(Float(0)) { max($0, $1.magnitude) }
    guard most > 0, most.isFinite, most / 127 >= .leastNormalMagnitude else { return 1 }
    var best = (scale: most / 127, error: Float.infinity)
    for step in 0...10 {
      let scale = most / 127 * (1 - 0.04 * Float(step))
      var error: Float = 0
      for product in products {
        let rest = product - min(127, max(-127, (product / scale).rounded(.toNearestOrEven))) * scale
        error += rest * rest
      }
      if error < best.error { best = (scale, error) }
    }
    return best.scale
  }
}

/// Which channel of its input a place in a row of weights reads.
struct WeightColumns {
  let rowsPerGroup: Int
  private let channelsPerRow: Int
  private let taps: Int

  /// Weights of these extents, in PyTorch's order, over an input of so many channels; groups follow from both.
  init(extents: [Int], channels: Int) {
    let length = extents.dropFirst().reduce(1, *)
    if extents.count == 4 {
      channelsPerRow = extents[1]
      taps = extents[2] * extents[3]
    } else {
      channelsPerRow = channels
      taps = max(1, length / max(1, channels))
    }
    rowsPerGroup = max(1, extents[0] / max(1, channels / max(1, channelsPerRow)))
  }

  /// Whether rows of these extents can read so many channels, in whole groups.
  static func fits(extents: [Int], channels: Int) -> Bool {
    guard extents.count == 4 else { return extents.count == 2 && extents[1] % channels == 0 }
    return extents[1] > 0 && channels % extents[1] == 0 && extents[0] % (channels / extents[1]) == 0
  }

  /// Of numbers a channel, those that the places of a row read; rows of a group read the same.
  func spread(_ numbers: [Float], row: Int, length: Int) -> [Float] {
    (0..<length).map { numbers[row / rowsPerGroup * channelsPerRow + $0 / taps] }
  }
}
