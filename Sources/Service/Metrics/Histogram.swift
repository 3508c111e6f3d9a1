internal import Platform
internal import Synchronization

/// Counts of values in fixed ranges; any thread adds at any time, without a lock and without an allocation.
package final class Histogram: Sendable {
  /// What a histogram held when it was read.
  ///
  /// The numbers are read one by one while others add, so `sum` may be a value or two ahead of the counts.
  package struct Reading: Equatable, Sendable {
    /// Inclusive upper ends of the ranges, ascending; what is larger counts only in `count`.
    package var bounds: [Int64]
    /// How many values are at most as large as the bound of the same index.
    package var cumulative: [Int]
    /// How many values there are.
    package var count: Int
    /// Of all values.
    package var sum: Int64
  }

  /// The most bounds that a histogram has.
  package static let boundLimit = 20

  private let bounds: InlineArray<20, Int64>
  private let boundCount: Int
  private let counts: InlineArray<21, Atomic<Int>>
  private let sum = Atomic<Int64>(0)

  /// Bounds must ascend; there are at most `boundLimit`.
  package init(bounds: [Int64]) {
    precondition(bounds.count <= Self.boundLimit && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 })
    var kept = InlineArray<20, Int64>(repeating: .max)
    for index in bounds.indices { kept[index] = bounds[index] }
    self.bounds = kept
    boundCount = bounds.count
    counts = InlineArray { _ in Atomic(0) }
  }

  /// For durations in nanoseconds, from half a millisecond to ten minutes.
  package static func durations() -> Histogram {
    Histogram(
      bounds: [
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 30_000_000, 60_000_000, 300_000_000, 600_000_000,
      ].map { $0 * 1_000 })
  }

  /// For numbers of images, in powers of two.
  package static func sizes() -> Histogram { Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256]) }

  /// Adds a value; one below zero, as a stepping clock may give, counts as zero.
  package func add(_ value: Int64) {
    let value = max(0, value)
    var index = 0
    while index < boundCount, value > bounds[index] { index += 1 }
    counts[index].wrappingAdd(1, ordering: .relaxed)
    sum.wrappingAdd(value, ordering: .relaxed)
  }

  /// Adds the nanoseconds since a moment of the monotonic clock.
  package func add(since start: Int64) { add(Clock.monotonicNanoseconds() - start) }

  package var reading: Reading {
    var reading = Reading(bounds: [], cumulative: [], count: 0, sum: sum.load(ordering: .relaxed))
    for index in 0..<boundCount {
      reading.count += counts[index].load(ordering: .relaxed)
      reading.bounds.append(bounds[index])
      reading.cumulative.append(reading.count)
    }
    reading.count += counts[boundCount].load(ordering: .relaxed)
    return reading
  }
}
