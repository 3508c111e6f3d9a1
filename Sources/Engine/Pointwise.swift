internal import Glibc

/// Kernels that work pixel by pixel on channels-last memory: `pixels` × `channels` floats.
enum Pointwise {
  static func affine(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int,
    scale: UnsafePointer<Float>,
    shift: UnsafePointer<Float>
  ) {
    for p in 0..<pixels {
      for c in 0..<channels { y[p * channels + c] = x[p * channels + c] * scale[c] + shift[c] }
    }
  }

  /// The product, element by element; with `isSpread`, `b` has one number a channel.
  static func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int,
    isSpread: Bool
  ) {
    for p in 0..<pixels {
      let factor = isSpread ? b : b + p * channels
      for c in 0..<channels { y[p * channels + c] = a[p * channels + c] * factor[c] }
    }
  }

  /// Copies pixels of `part` channels into pixels of `whole` channels.
  static func copyChannels(
    _ x: UnsafePointer<Float>, _ part: Int, _ y: UnsafeMutablePointer<Float>, _ whole: Int, pixels: Int
  ) {
    for p in 0..<pixels { (y + p * whole).update(from: x + p * part, count: part) }
  }

  /// exp(x − max) / Σ exp(x − max) over the channels of each pixel.
  static func softmax(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int) {
    for p in 0..<pixels {
      let (row, out) = (x + p * channels, y + p * channels)
      var most = row[0]
      for c in 1..<max(1, channels) where row[c] > most { most = row[c] }
      var sum: Float = 0
      for c in 0..<channels {
        out[c] = expf(row[c] - most)
        sum += out[c]
      }
      for c in 0..<channels { out[c] /= sum }
    }
  }

  /// x / (k + alpha/size · Σ x²)^beta over `size` neighbouring channels, ⌊size/2⌋ of them before (PyTorch's order).
  static func localResponseNorm(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int, _ size: Int,
    _ alpha: Float,
    _ beta: Float, _ k: Float
  ) {
    for p in 0..<pixels {
      let (row, out) = (x + p * channels, y + p * channels)
      for c in 0..<channels {
        let first = max(0, c - size / 2)
        let last = min(channels - 1, c + (size - 1) / 2)
        var sum: Float = 0
        for other in first...last { sum += row[other] * row[other] }
        out[c] = row[c] / powf(k + alpha / Float(size) * sum, beta)
      }
    }
  }
}
