internal import Glibc

/// What a network in bytes still computes in floats, pixel by pixel: `pixels` × `channels` numbers, channels last.
enum FloatRows {
  /// exp(x − max) / Σ exp(x − max) over the channels of each pixel.
  static func softmax(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int) {
    for p in 0..<pixels {
      let (row, out) = (x + p * channels, y + p * channels)
      var most = row[0]
      for c in 0..<channels { most = max(most, row[c]) }
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
    _ alpha: Float, _ beta: Float, _ k: Float
  ) {
    for p in 0..<pixels {
      let (row, out) = (x + p * channels, y + p * channels)
      for c in 0..<channels {
        var sum: Float = 0
        for other in max(0, c - size / 2)...min(channels - 1, c + (size - 1) / 2) { sum += row[other] * row[other] }
        out[c] = row[c] / powf(k + alpha / Float(size) * sum, beta)
      }
    }
  }
}
