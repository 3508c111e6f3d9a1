/// How the images of a batch pass through a network in bytes, and where each value lies in the arena.
struct QuantizedLayout {
  let segments: [Segment]
  /// By value number, bytes from the arena's start; the picture (0) is not in it.
  let offsets: [Int]
  /// How many images the memory of a value holds.
  let images: [Int]
  /// Bytes of the arena.
  let count: Int

  init(_ network: QuantizedNetwork, batchCapacity: Int, cacheBytes: Int) {
    let (steps, values) = (network.steps, network.values)
    var fitting = steps.map { step in
      let bytes = (step.inputs + [step.output]).reduce(0) { $0 + values[$1].byteCount }
      return Segment.images(exchanging: bytes, batchCapacity: batchCapacity, cacheBytes: cacheBytes)
    }
    segments = Segment.cut(&fitting)
    var firstUse = [Int](repeating: Int.max, count: values.count)
    var lastUse = [Int](repeating: -1, count: values.count)
    for (index, step) in steps.enumerated() {
      firstUse[step.output] = min(firstUse[step.output], index)
      lastUse[step.output] = max(lastUse[step.output], index)
      for input in step.inputs { lastUse[input] = index }
    }
    lastUse[network.outputValue] = steps.count
    var images = [Int](repeating: batchCapacity, count: values.count)
    let placed = values.indices.dropFirst().filter { firstUse[$0] != Int.max }
    for value in placed {
      images[value] = segments.images(
        firstUse: &firstUse[value], lastUse: &lastUse[value], batchCapacity: batchCapacity)
    }
    self.images = images
    let layout = LifetimeLayout(
      placed, sizes: values.indices.map { (values[$0].byteCount * images[$0] + ByteMemory.slack + 63) / 64 * 64 },
      firstUse: firstUse, lastUse: lastUse)
    offsets = layout.offsets
    count = layout.count
  }
}
