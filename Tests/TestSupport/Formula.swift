/// Numbers that follow from a seed alone; `Tests/Vectors` has the same formula.
package enum Formula {
  /// `factor` · u + `offset`, where u runs from −1 to 1: the finalizer of MurmurHash3 over the numbers' places.
  package static func floats(seed: UInt32, count: Int, factor: Float, offset: Float) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      for index in 0..<count {
        var bits = UInt32(truncatingIfNeeded: index) &* 0x9E37_79B9 ^ seed
        bits = (bits ^ bits >> 16) &* 0x85EB_CA6B
        bits = (bits ^ bits >> 13) &* 0xC2B2_AE35
        bits ^= bits >> 16
        floats.initializeElement(at: index, to: (Float(bits >> 8) / 8_388_608 - 1) * factor + offset)
      }
      initialized = count
    }
  }
}
