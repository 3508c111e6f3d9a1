import Service
import Testing

@Suite struct BatchTimingTests {
  private let millisecond = 1_000_000.0

  /// The timing after batches of these sizes, each of which took `perImage` · size + `perBatch` milliseconds.
  private func timing(_ sizes: [Int], perImage: Double, perBatch: Double, of earlier: BatchTiming = BatchTiming())
    -> BatchTiming
  {
    var timing = earlier
    for size in sizes {
      timing.add(images: size, nanoseconds: Int64((perImage * Double(size) + perBatch) * millisecond))
    }
    return timing
  }

  private func isNear(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) <= 0.02 * expected }

  @Test func twoSizesTellWhatAnImageAndWhatABatchCosts() {
    let timing = timing([1, 4, 1, 4], perImage: 17, perBatch: 4)
    #expect(timing.isFitted)
    #expect(isNear(timing.nanosecondsPerImage, 17 * millisecond))
    #expect(isNear(timing.nanosecondsPerBatch, 4 * millisecond))
  }

  @Test func followsAMachineThatBecomesSlower() {
    let before = timing([1, 4, 8, 2, 1, 4], perImage: 5, perBatch: 1)
    let after = timing((0..<300).map { 1 + $0 % 8 }, perImage: 9, perBatch: 3, of: before)
    #expect(isNear(after.nanosecondsPerImage, 9 * millisecond))
    #expect(isNear(after.nanosecondsPerBatch, 3 * millisecond))
  }

  @Test func batchesOfOneSizeMoveBothPartsTogether() {
    let full = [Int](repeating: 8, count: 400)
    let before = timing(full, perImage: 10, perBatch: 5, of: timing([1, 4, 1, 4], perImage: 10, perBatch: 5))
    #expect(!before.isFitted)
    let after = timing(full, perImage: 20, perBatch: 10, of: before)
    #expect(isNear(after.nanosecondsPerImage, 20 * millisecond))
    #expect(isNear(after.nanosecondsPerBatch, 10 * millisecond))
  }

  @Test func oneHungDiskIsNoPropertyOfTheModel() {
    var timing = timing((0..<40).map { 1 + $0 % 4 }, perImage: 5, perBatch: 1)
    timing.add(images: 2, nanoseconds: 60_000_000_000)
    #expect(timing.nanosecondsPerImage + timing.nanosecondsPerBatch < 10 * millisecond)
  }

  @Test func noiseMakesNeitherPartNegative() {
    let falling = timing([1], perImage: 9, perBatch: 0, of: timing([4], perImage: 1, perBatch: 0))
    #expect(falling.nanosecondsPerImage >= 0 && falling.nanosecondsPerBatch >= 0)
    let steep = timing([4], perImage: 9, perBatch: 0, of: timing([1], perImage: 1, perBatch: 0))
    #expect(steep.nanosecondsPerImage >= 0 && steep.nanosecondsPerBatch >= 0)
  }

  @Test(arguments: [(0.0, 1), (0.5, 3), (4.0, 6), (40.0, 8)])
  func aBatchIsAsLargeAsIsWorthIt(_ perBatch: Double, _ limit: Int) {
    #expect(timing([1, 8, 1, 8], perImage: 17, perBatch: perBatch).limit(atMost: 8) == limit)
  }

  @Test func whileNothingIsKnownABatchIsAsLargeAsAllowedAndWaitsForNothing() {
    #expect(BatchTiming().limit(atMost: 8) == 8)
    #expect(BatchTiming().linger(atMost: 100_000_000, moreToCome: true) == 0)
    #expect(timing([3, 3], perImage: 5, perBatch: 2).limit(atMost: 8) == 8)
  }

  @Test func anImageWaitsForOthersOnlyIfTheyComeSoonerThanABatchCosts() {
    let known = timing([1, 4, 1, 4], perImage: 17, perBatch: 4)
    func linger(gap: Int64, atMost longest: Int64 = 100_000_000) -> Int64 {
      var timing = known
      for number in 0..<50 { timing.arrived(at: Int64(number) * gap) }
      return timing.linger(atMost: longest, moreToCome: false)
    }
    #expect(isNear(Double(linger(gap: 1_000_000)), 4 * millisecond))
    #expect(linger(gap: 1_000_000, atMost: 2_000_000) == 2_000_000)
    #expect(linger(gap: 20_000_000) == 0)
    #expect(known.linger(atMost: 100_000_000, moreToCome: false) == 0, "a single image")
  }

  @Test func whileMoreIsKnownToComeAnImageWaitsAsLongAsAllowed() {
    #expect(timing([1, 4, 1, 4], perImage: 17, perBatch: 4).linger(atMost: 70_000_000, moreToCome: true) == 70_000_000)
  }
}
