/// Where things lie in one memory: those whose lives do not overlap share room.
struct LifetimeLayout {
  /// In the unit of the sizes, by number; 0 for what was not placed.
  private(set) var offsets: [Int]
  private(set) var count = 0

  /// Greedy, largest first: each takes the lowest place that is free while it lives.
  ///
  /// Of each in `numbers`, `sizes` tells how much room it takes, and `firstUse` and `lastUse` in which steps it lives.
  init(_ numbers: some Sequence<Int>, sizes: [Int], firstUse: [Int], lastUse: [Int]) {
    offsets = [Int](repeating: 0, count: sizes.count)
    var placed: [Int] = []
    for value in numbers.sorted(by: { (sizes[$0], $1) > (sizes[$1], $0) }) {
      let living = placed.filter { firstUse[$0] <= lastUse[value] && firstUse[value] <= lastUse[$0] }
        .sorted { offsets[$0] < offsets[$1] }
      var offset = 0
      for other in living {
        if offset + sizes[value] <= offsets[other] { break }
        offset = max(offset, offsets[other] + sizes[other])
      }
      offsets[value] = offset
      count = max(count, offset + sizes[value])
      placed.append(value)
    }
  }
}
