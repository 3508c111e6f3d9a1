import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct HistogramTests {
  @Test func countsEachValueInItsRangeAndAllAbove() {
    let histogram = Histogram(bounds: [1, 10, 100])
    for value in [Int64(-5), 0, 1, 2, 10, 11, 100, 101, 5_000] { histogram.add(value) }
    let reading = histogram.reading
    #expect(reading.bounds == [1, 10, 100])
    #expect(reading.cumulative == [3, 5, 7])
    #expect(reading.count == 9)
    #expect(reading.sum == 0 + 0 + 1 + 2 + 10 + 11 + 100 + 101 + 5_000)
  }

  @Test func anEmptyOneHasNothing() {
    let reading = Histogram.durations().reading
    #expect(reading.count == 0 && reading.sum == 0 && reading.cumulative.allSatisfy { $0 == 0 })
    #expect(reading.bounds.first == 500_000 && reading.bounds.last == 600_000_000_000)
  }

  @Test func holdsAsManyBoundsAsItSays() {
    let histogram = Histogram(bounds: (1...Int64(Histogram.boundLimit)).map { $0 })
    histogram.add(Int64(Histogram.boundLimit))
    histogram.add(Int64(Histogram.boundLimit) + 1)
    #expect(histogram.reading.cumulative.last == 1)
    #expect(histogram.reading.count == 2)
  }

  @Test func losesNothingOfManyThreads() async {
    let histogram = Histogram.sizes()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask { for value in 0..<10_000 { histogram.add(Int64(value % 300)) } }
      }
    }
    #expect(histogram.reading.count == 80_000)
    #expect(histogram.reading.sum == 8 * (0..<10_000).reduce(0) { $0 + Int64($1 % 300) })
  }

  @Test func aSinkKeepsItsTally() {
    let tally = Tally()
    tally.sink("a").delivered.add(3)
    #expect(tally.sink("a").delivered.value == 3)
    #expect(tally.sink("b").delivered.value == 0)
    #expect(tally.allSinks.keys.sorted() == ["a", "b"])
  }
}
