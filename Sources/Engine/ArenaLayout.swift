/// Where each value lies in the arena: values whose lives do not overlap share memory.
struct ArenaLayout {
  /// Offsets in floats by value number; the picture (0) is not in the arena.
  private(set) var offsets: [Int]
  private(set) var count = 0

  /// Greedy, largest first: each value takes the lowest place that is free while it lives.
  ///
  /// `batchCapacity` is how many images each value must hold.
  init(_ network: CompiledNetwork, batchCapacity: Int) {
    offsets = [Int](repeating: 0, count: network.shapes.count)
    var firstUse = [Int](repeating: Int.max, count: network.shapes.count)
    var lastUse = [Int](repeating: -1, count: network.shapes.count)
    for (index, step) in network.steps.enumerated() {
      firstUse[step.output] = min(firstUse[step.output], index)
      lastUse[step.output] = max(lastUse[step.output], index)
      for input in step.inputs { lastUse[input] = index }
    }
    lastUse[network.outputValue] = network.steps.count
    let sizes = network.shapes.map { ($0.countPerImage * batchCapacity + 15) / 16 * 16 }
    var placed: [Int] = []
    for value in (1..<max(1, network.shapes.count)).sorted(by: { (sizes[$0], $1) > (sizes[$1], $0) }) {
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
