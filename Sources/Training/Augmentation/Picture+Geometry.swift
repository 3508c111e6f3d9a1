internal import Glibc
package import Imaging

/// Moves of pixels, as torchvision's functions of the same names make them on 8-bit pictures.
extension Picture {
  /// `hflip`.
  package func flippedHorizontally() -> Picture {
    var result = self
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<channels { result[x, y, c] = self[width - 1 - x, y, c] }
      }
    }
    return result
  }

  /// `vflip`.
  package func flippedVertically() -> Picture {
    var result = self
    let row = width * channels
    for y in 0..<height {
      result.samples.replaceSubrange(
        (y * row)..<((y + 1) * row), with: samples[((height - 1 - y) * row)..<((height - y) * row)])
    }
    return result
  }

  /// `crop`, with 0 where it leaves the picture.
  package func cropped(left: Int, top: Int, width newWidth: Int, height newHeight: Int) -> Picture {
    var result = Picture(
      width: newWidth, height: newHeight, channels: channels,
      samples: [UInt8](repeating: 0, count: newWidth * newHeight * channels))
    let columns = max(0, left)..<max(0, left, min(width, left + newWidth))
    for y in max(0, top)..<max(0, top, min(height, top + newHeight)) {
      let from = (y * width + columns.lowerBound) * channels
      let to = ((y - top) * newWidth + columns.lowerBound - left) * channels
      result.samples.replaceSubrange(
        to..<(to + columns.count * channels), with: samples[from..<(from + columns.count * channels)])
    }
    return result
  }

  /// `resize`, as Pillow does it, antialiased.
  package func resized(width newWidth: Int, height newHeight: Int, filter: ResampleFilter, with resampler: Resampler)
    -> Picture
  {
    if newWidth == width, newHeight == height { return self }
    return samples.withUnsafeBufferPointer { samples in
      guard let base = samples.baseAddress else { return self }
      let grid = PixelGrid(base: base, width: width, height: height, channels: channels, rowBytes: width * channels)
      let box = PixelBox(left: 0, top: 0, right: Double(width), bottom: Double(height))
      return Picture(
        resampler.resize(
          grid, box: box, width: newWidth, height: newHeight, columns: 0..<newWidth, lines: 0..<newHeight,
          filter: filter))
    }
  }

  /// Copies a view.
  package init(_ grid: PixelGrid) {
    var samples: [UInt8] = []
    samples.reserveCapacity(grid.width * grid.height * grid.channels)
    for y in 0..<grid.height {
      samples += UnsafeBufferPointer(start: grid.base + y * grid.rowBytes, count: grid.width * grid.channels)
    }
    self.init(width: grid.width, height: grid.height, channels: grid.channels, samples: samples)
  }

  /// `affine` (and `rotate`) about the middle: nearest neighbour, 0 outside.
  ///
  /// Angles are in degrees; `rotate` turns the other way round than `affine`.
  package func transformed(
    degrees: Double, translate: (x: Double, y: Double) = (0, 0), scale: Double = 1,
    shear: (x: Double, y: Double) = (0, 0)
  ) -> Picture {
    let radians = Double.pi / 180
    let (angle, sx, sy) = (degrees * radians, shear.x * radians, shear.y * radians)
    // The inverse of translate · centre · rotate · shear · scale · centre⁻¹ (torchvision's `_get_inverse_affine_matrix`).
    let a = cos(angle - sy) / cos(sy)
    let b = -cos(angle - sy) * tan(sx) / cos(sy) - sin(angle)
    let c = sin(angle - sy) / cos(sy)
    let d = -sin(angle - sy) * tan(sx) / cos(sy) + cos(angle)
    let (m0, m1, m3, m4) = (d / scale, -b / scale, -c / scale, a / scale)
    let (cx, cy) = (Double(width) / 2, Double(height) / 2)
    let m2 = m0 * (-cx - translate.x) + m1 * (-cy - translate.y) + cx
    let m5 = m3 * (-cx - translate.x) + m4 * (-cy - translate.y) + cy
    var result = Picture(
      width: width, height: height, channels: channels, samples: [UInt8](repeating: 0, count: samples.count))
    for y in 0..<height {
      for x in 0..<width {
        let (px, py) = (Double(x) + 0.5, Double(y) + 0.5)
        let (u, v) = (m0 * px + m1 * py + m2, m3 * px + m4 * py + m5)
        guard u >= 0, v >= 0, u < Double(width), v < Double(height) else { continue }
        for channel in 0..<channels { result[x, y, channel] = self[Int(u), Int(v), channel] }
      }
    }
    return result
  }

  /// `gaussian_blur` of an odd kernel, the edges mirrored without repeating them.
  package func blurred(kernel: Int, sigma: Double) -> Picture {
    let half = kernel / 2
    var weights = (-half...half).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
    let sum = weights.reduce(0, +)
    weights = weights.map { $0 / sum }
    func mirrored(_ i: Int, _ count: Int) -> Int {
      guard count > 1 else { return 0 }
      let period = 2 * (count - 1)
      let place = ((i % period) + period) % period
      return place < count ? place : period - place
    }
    var rows = [Double](repeating: 0, count: samples.count)
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<channels {
          var value = 0.0
          for k in -half...half { value += weights[k + half] * Double(self[mirrored(x + k, width), y, c]) }
          rows[(y * width + x) * channels + c] = value
        }
      }
    }
    var result = self
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<channels {
          var value = 0.0
          for k in -half...half {
            value += weights[k + half] * rows[(mirrored(y + k, height) * width + x) * channels + c]
          }
          result[x, y, c] = UInt8(min(255, max(0, value.rounded())))
        }
      }
    }
    return result
  }
}
