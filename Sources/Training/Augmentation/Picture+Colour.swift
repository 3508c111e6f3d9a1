/// Changes of colour, as Pillow's enhancers make them.
extension Picture {
  /// ITU-R 601 luma of a pixel, as Pillow's mode L.
  private func luma(_ pixel: Int) -> UInt8 {
    guard channels == 3 else { return samples[pixel] }
    let (r, g, b) = (UInt32(samples[pixel * 3]), UInt32(samples[pixel * 3 + 1]), UInt32(samples[pixel * 3 + 2]))
    return UInt8(truncatingIfNeeded: (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16)
  }

  /// From `base` (0) to the sample (1) and beyond, cut at the ends of the range.
  private static func blend(_ base: UInt8, _ sample: UInt8, _ factor: Float) -> UInt8 {
    UInt8(max(0, min(255, Float(base) + factor * (Float(sample) - Float(base)))))
  }

  /// `adjust_brightness`: 0 is black.
  package func withBrightness(_ factor: Double) -> Picture {
    var result = self
    for i in samples.indices { result.samples[i] = Self.blend(0, samples[i], Float(factor)) }
    return result
  }

  /// `adjust_contrast`: 0 is the mean luma everywhere.
  package func withContrast(_ factor: Double) -> Picture {
    let pixels = width * height
    let sum = (0..<pixels).reduce(0) { $0 + Int(luma($1)) }
    let mean = UInt8(Double(sum) / Double(max(1, pixels)) + 0.5)
    var result = self
    for i in samples.indices { result.samples[i] = Self.blend(mean, samples[i], Float(factor)) }
    return result
  }

  /// `adjust_saturation`: 0 is grey.
  package func withSaturation(_ factor: Double) -> Picture {
    guard channels == 3 else { return self }
    var result = self
    for pixel in 0..<(width * height) {
      let grey = luma(pixel)
      for c in 0..<3 { result.samples[pixel * 3 + c] = Self.blend(grey, samples[pixel * 3 + c], Float(factor)) }
    }
    return result
  }

  /// `rgb_to_grayscale`, keeping the number of channels.
  package func grey() -> Picture { withSaturation(0) }

  /// The luma alone, as one channel.
  func luma() -> Picture {
    Picture(width: width, height: height, channels: 1, samples: (0..<(width * height)).map { luma($0) })
  }

  /// `adjust_hue`: turns the hue by a part of the circle, −0.5...0.5, in 256 steps.
  package func withHue(_ part: Double) -> Picture {
    guard channels == 3 else { return self }
    var result = self
    let turn = Int(part * 255)
    for pixel in 0..<(width * height) {
      let rgb = (0..<3).map { Float(samples[pixel * 3 + $0]) }
      let most = max(rgb[0], rgb[1], rgb[2])
      let spread = most - min(rgb[0], rgb[1], rgb[2])
      guard spread > 0 else { continue }
      let saturation = UInt8(max(0, min(255, spread / most * 255)))
      let rest = rgb.map { (most - $0) / spread }
      var hue: Float =
        rgb[0] == most ? rest[2] - rest[1] : rgb[1] == most ? 2 + rest[0] - rest[2] : 4 + rest[1] - rest[0]
      hue = hue / 6 + 1
      hue -= hue.rounded(.down)
      let byte = UInt8(truncatingIfNeeded: Int(max(0, min(255, hue * 255))) + turn)
      let (r, g, b) = Self.rgb(hue: byte, saturation: saturation, value: UInt8(most))
      result.samples[pixel * 3] = r
      result.samples[pixel * 3 + 1] = g
      result.samples[pixel * 3 + 2] = b
    }
    return result
  }

  private static func rgb(hue: UInt8, saturation: UInt8, value: UInt8) -> (UInt8, UInt8, UInt8) {
    let sector = Float(hue) * 6 / 255
    let i = sector.rounded(.down)
    let f = sector - i
    let s = Float(saturation) / 255
    let v = Float(value)
    func byte(_ x: Float) -> UInt8 { UInt8(max(0, min(255, x.rounded(.toNearestOrAwayFromZero)))) }
    let (p, q, t) = (byte(v * (1 - s)), byte(v * (1 - s * f)), byte(v * (1 - s * (1 - f))))
    switch Int(i) % 6 {
    case 0: return (value, t, p)
    case 1: return (q, value, p)
    case 2: return (p, value, t)
    case 3: return (p, q, value)
    case 4: return (t, p, value)
    default: return (value, p, q)
    }
  }
}
