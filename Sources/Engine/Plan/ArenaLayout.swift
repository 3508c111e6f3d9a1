/// Where each value lies in the arena: values whose lives do not overlap share memory, parts of a concatenation lie in
/// the whole.
struct ArenaLayout {
  /// By value number, floats from the arena's start; the picture (0) is not in it.
  private(set) var offsets: [Int]
  private(set) var imageStrides: [Int]
  private(set) var pixelStrides: [Int]
  /// How many images the memory of a value holds: those of a chunk if it lives within one segment, else the batch's.
  private(set) var images: [Int]
  private(set) var count = 0

  /// `batchCapacity` is how many images a run may have.
  init(_ network: CompiledNetwork, _ segments: [Segment], batchCapacity: Int, lanes: Int) {
    let values = network.values
    offsets = [Int](repeating: 0, count: values.count)
    imageStrides = offsets
    pixelStrides = offsets
    images = [Int](repeating: batchCapacity, count: values.count)
    var firstUse = [Int](repeating: Int.max, count: values.count)
    var lastUse = [Int](repeating: -1, count: values.count)
    /// The value whose memory it is.
    func root(_ value: Int) -> Int { values[value].container.map { root($0.value) } ?? value }
    func channel(_ value: Int) -> Int { values[value].container.map { channel($0.value) + $0.channel } ?? 0 }
    for (index, step) in network.steps.enumerated() {
      for output in step.kernel.outputs.map(root) {
        firstUse[output] = min(firstUse[output], index)
        lastUse[output] = max(lastUse[output], index)
      }
      for input in step.kernel.inputs.map(root) { lastUse[input] = max(lastUse[input], index) }
    }
    lastUse[root(network.outputValue)] = network.steps.count
    for (number, value) in values.enumerated() {
      pixelStrides[number] = value.paddedChannels
      imageStrides[number] = value.paddedChannels * (value.isPerLane ? lanes : value.shape.h * value.shape.w)
    }
    for value in values.indices where values[value].container == nil && firstUse[value] != Int.max {
      images[value] = segments.images(
        firstUse: &firstUse[value], lastUse: &lastUse[value], batchCapacity: batchCapacity)
    }
    let sizes = values.indices.map { imageStrides[$0] * images[$0] }
    let rooted = values.indices.dropFirst().filter { values[$0].container == nil && firstUse[$0] != Int.max }
    let layout = LifetimeLayout(rooted, sizes: sizes, firstUse: firstUse, lastUse: lastUse)
    offsets = layout.offsets
    count = layout.count
    for value in values.indices where values[value].container != nil {
      let whole = root(value)
      offsets[value] = offsets[whole] + channel(value)
      imageStrides[value] = imageStrides[whole]
      pixelStrides[value] = pixelStrides[whole]
      images[value] = images[whole]
    }
  }
}
