/// How often the numbers of a channel fall where: counts over an interval that grows as larger ones come.
struct ValueHistogram {
  private static let half = 256
  /// Bin i counts numbers from (i − half) · width up to the next.
  private var counts = [UInt32](repeating: 0, count: 2 * half)
  private var width: Float = 0
  private(set) var lowest = Float.infinity
  private(set) var highest = -Float.infinity
  private(set) var total = 0

  /// Counts numbers; those that are not finite are left out.
  mutating func add(_ numbers: ArraySlice<Float>) {
    var low = Float.infinity
    var high = -Float.infinity
    for number in numbers where number.isFinite {
      low = min(low, number)
      high = max(high, number)
    }
    guard low <= high else { return }
    (lowest, highest) = (min(lowest, low), max(highest, high))
    let most = max(low.magnitude, high.magnitude)
    if width == 0 { width = max(most, .leastNormalMagnitude) * 1.0001 / Float(Self.half) }
    while most >= width * Float(Self.half) { widen() }
    for number in numbers where number.isFinite {
      counts[min(2 * Self.half - 1, max(0, Int((number / width).rounded(.down)) + Self.half))] &+= 1
      total += 1
    }
  }

  /// Makes each bin twice as wide.
  private mutating func widen() {
    var wider = [UInt32](repeating: 0, count: 2 * Self.half)
    for (index, count) in counts.enumerated() {
      let place = index - Self.half
      wider[(place >= 0 ? place / 2 : (place - 1) / 2) + Self.half] &+= count
    }
    counts = wider
    width *= 2
  }

  /// The interval left when the rarest extremes, `share` of all numbers on both sides together, are cut away.
  func range(without share: Double) -> (low: Float, high: Float) {
    let budget = Int(Double(total) * share / 2)
    var (first, last) = (0, 2 * Self.half - 1)
    var cut = 0
    while first < last, cut + Int(counts[first]) <= budget {
      cut += Int(counts[first])
      first += 1
    }
    cut = 0
    while last > first, cut + Int(counts[last]) <= budget {
      cut += Int(counts[last])
      last -= 1
    }
    return (max(lowest, edge(first)), min(highest, edge(last + 1)))
  }

  private func edge(_ bin: Int) -> Float { Float(bin - Self.half) * width }

  /// The interval whose 256 levels tell the distribution best: least Kullback-Leibler divergence of what is left of it
  /// (Migacz, "8-bit inference with TensorRT", 2017), over intervals from a third of all up to all.
  func rangeOfLeastDivergence() -> (low: Float, high: Float) {
    guard total > 0, highest > lowest else { return (lowest, highest) }
    var best = (low: lowest, high: highest)
    var least = Double.infinity
    for step in 0...60 {
      let share = Float(1) - Float(step) / 90
      let (low, high) = (lowest * share, highest * share)
      let divergence = divergence(low, high)
      // A narrower interval must be better by more than noise.
      if divergence < least * 0.999 {
        least = divergence
        best = (low, high)
      }
    }
    return best
  }

  /// Of the distribution bounded to an interval, and of the same in 256 equal levels.
  private func divergence(_ low: Float, _ high: Float) -> Double {
    let level = (high - low) / 255
    guard level > 0 else { return .infinity }
    var sums = [Double](repeating: 0, count: 256)
    var members = [Int](repeating: 0, count: 256)
    var bounded: [(level: Int, count: Double)] = []
    for (bin, count) in counts.enumerated() where count > 0 {
      let middle = (Float(bin - Self.half) + 0.5) * width
      let place = min(255, max(0, Int(((middle - low) / level).rounded())))
      bounded.append((place, Double(count)))
      // Only numbers inside make up a level; those outside are added to the ends of what is to be told.
      if middle >= low - width, middle <= high + width {
        sums[place] += Double(count)
        members[place] += 1
      }
    }
    let inside = sums.reduce(0, +)
    guard inside > 0 else { return .infinity }
    var sum = 0.0
    for (place, count) in bounded {
      let p = count / Double(total)
      let q = members[place] > 0 ? sums[place] / Double(members[place]) / inside : 1e-12
      sum += p * (p / max(q, 1e-12)).logarithm
    }
    return sum
  }
}
