internal import CImageCodecs

/// How pictures are made smaller or larger; both widen their kernel when shrinking, so nothing aliases.
package enum ResampleFilter: String, Codable, Sendable {
  /// A triangle of radius 1.
  case bilinear
  /// Keys' cubic with a = −0.5, radius 2.
  case bicubic

  var radius: Double { self == .bilinear ? 1 : 2 }

  func weight(_ distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .bilinear: return x < 1 ? 1 - x : 0
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    }
  }
}

/// Which source samples make each target sample along one axis, and with which fixed-point weights.
///
/// The rule is that of Pillow's `Image.resize`: kernel stretched by the shrink factor, weights normalised to one in
/// double precision and then rounded, half away from zero, to 22 fractional bits. Reused from picture to picture.
struct AxisWeights {
  /// First source sample of each target sample.
  private(set) var starts: [Int32] = []
  /// How many source samples each target sample has.
  private(set) var counts: [Int32] = []
  /// `stride` weights a target sample, of which `counts` are used.
  private(set) var weights: [Int32] = []
  private(set) var stride = 0
  /// The source samples that any target sample of the window needs.
  private(set) var sources = 0..<1
  private var exact: [Double] = []

  /// Describes an axis anew.
  /// - Parameters:
  ///   - size: source samples.
  ///   - from: where the part to resample begins, in source samples; may be fractional.
  ///   - to: where it ends.
  ///   - target: samples that the part becomes.
  ///   - window: those of them that are wanted.
  ///   - filter: the kernel.
  mutating func set(size: Int, from: Double, to: Double, target: Int, window: Range<Int>, filter: ResampleFilter) {
    precondition(size > 0 && target > 0 && from >= 0 && to <= Double(size) && from < to, "no such part of an axis")
    precondition(window.lowerBound >= 0 && window.upperBound <= target, "no such window")
    let scale = (to - from) / Double(target)
    let stretch = max(scale, 1)
    let radius = filter.radius * stretch
    let inverse = 1 / stretch
    stride = Int(radius.rounded(.up)) * 2 + 1
    starts.removeAll(keepingCapacity: true)
    counts.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
    exact.removeAll(keepingCapacity: true)
    exact.append(contentsOf: repeatElement(0, count: stride))
    var needed = (low: size, high: 0)
    for index in window {
      let center = from + (Double(index) + 0.5) * scale
      let start = max(Int(center - radius + 0.5), 0)
      let count = min(Int(center + radius + 0.5), size) - start
      var sum = 0.0
      for k in 0..<count {
        let weight = filter.weight((Double(k + start) - center + 0.5) * inverse)
        exact[k] = weight
        sum += weight
      }
      starts.append(Int32(start))
      counts.append(Int32(count))
      needed = (min(needed.low, start), max(needed.high, start + count))
      for k in 0..<stride {
        let weight = k < count ? (sum != 0 ? exact[k] / sum : exact[k]) * Double(1 << Int(IC_WEIGHT_BITS)) : 0
        weights.append(Int32(weight < 0 ? weight - 0.5 : weight + 0.5))
      }
    }
    sources = min(needed.low, needed.high)..<needed.high
  }

  /// Hands the description to a C loop, for the time of the call.
  func withAxis(_ body: (UnsafePointer<ic_axis>) -> Void) {
    starts.withUnsafeBufferPointer { starts in
      counts.withUnsafeBufferPointer { counts in
        weights.withUnsafeBufferPointer { weights in
          guard let starts = starts.baseAddress, let counts = counts.baseAddress, let weights = weights.baseAddress
          else { return }
          var axis = ic_axis(
            starts: starts, counts: counts, weights: weights, count: self.starts.count, stride: stride,
            first: sources.lowerBound, end: sources.upperBound)
          body(&axis)
        }
      }
    }
  }
}
