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

  /// Of values that steps read and write, in their order; number 0 is the picture, which is not placed, and `kept`
  /// outlives all.
  init(sizes: [Int], alignment: Int, steps: [(inputs: [Int], output: Int)], kept: Int) {
    var firstUse = [Int](repeating: Int.max, count: sizes.count)
    var lastUse = [Int](repeating: -1, count: sizes.count)
    for (index, step) in steps.enumerated() {
      firstUse[step.output] = min(firstUse[step.output], index)
      lastUse[step.output] = max(lastUse[step.output], index)
      for input in step.inputs { lastUse[input] = index }
    }
    lastUse[kept] = steps.count
    let sizes = sizes.map { ($0 + alignment - 1) / alignment * alignment }
    self.init(sizes.indices.dropFirst(), sizes: sizes, firstUse: firstUse, lastUse: lastUse)
  }
}
