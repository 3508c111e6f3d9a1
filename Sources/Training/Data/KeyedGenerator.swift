/// Random numbers that depend on what they are for and on nothing else: a seed, an epoch, a sample, a purpose.
///
/// So a sample is augmented alike whichever thread does it and however many there are. SplitMix64.
package struct KeyedGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// What a stream of numbers is drawn for.
  package enum Purpose: UInt64, Sendable {
    case split = 1
    case order
    case augmentation
    case mixing
    case weights
    case dropout
  }

  package init(seed: UInt64, _ purpose: Purpose, epoch: Int = 0, index: Int = 0) {
    state = seed
    for part in [purpose.rawValue, UInt64(truncatingIfNeeded: epoch), UInt64(truncatingIfNeeded: index)] {
      state = Self.mix(state ^ Self.mix(part &+ 0x9E37_79B9_7F4A_7C15))
    }
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Self.mix(state)
  }

  /// From 0 up to, not including, 1.
  package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  package mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

  package mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }

  package mutating func chance(_ probability: Double) -> Bool { unit() < probability }

  /// The numbers in an order of their own (Fisher and Yates).
  package mutating func shuffle<Element>(_ elements: inout [Element]) {
    for i in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(i, below(i + 1)) }
  }
}
