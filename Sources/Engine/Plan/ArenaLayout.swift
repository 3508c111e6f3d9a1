/// Where each value lies in the arena: values whose lives do not overlap share memory, parts of a concatenation lie in
/// the whole, and what replaces an input that nobody else needs lies where that did.
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
    pixelStrides = values.map(\.paddedChannels)
    imageStrides = values.map { $0.paddedChannels * ($0.isPerLane ? lanes : $0.shape.h * $0.shape.w) }
    images = [Int](repeating: batchCapacity, count: values.count)
    var lives = Lives(network)
    let owners = lives.replace(network)
    for value in values.indices where owners[value] == value && lives.isUsed(value) {
      images[value] = segments.images(
        firstUse: &lives.first[value], lastUse: &lives.last[value], batchCapacity: batchCapacity)
    }
    let sizes = values.indices.map { imageStrides[$0] * images[$0] }
    let owning = values.indices.dropFirst().filter { owners[$0] == $0 && lives.isUsed($0) }
    let layout = LifetimeLayout(owning, sizes: sizes, firstUse: lives.first, lastUse: lives.last)
    offsets = layout.offsets
    count = layout.count
    for (value, owner) in owners.enumerated() where owner != value {
      offsets[value] = offsets[owner] + values.channel(value)
      imageStrides[value] = imageStrides[owner]
      pixelStrides[value] = pixelStrides[owner]
      images[value] = images[owner]
    }
  }
}

/// In which steps each value is used, counting for a whole what is used of its parts.
private struct Lives {
  var first: [Int]
  var last: [Int]

  init(_ network: CompiledNetwork) {
    let values = network.values
    first = [Int](repeating: Int.max, count: values.count)
    last = [Int](repeating: -1, count: values.count)
    for (index, step) in network.steps.enumerated() {
      for output in step.kernel.outputs.map(values.whole) {
        first[output] = min(first[output], index)
        last[output] = max(last[output], index)
      }
      for input in step.kernel.inputs.map(values.whole) { last[input] = max(last[input], index) }
    }
    last[values.whole(network.outputValue)] = network.steps.count
  }

  func isUsed(_ value: Int) -> Bool { first[value] != Int.max }

  /// Lets outputs live in the memory of inputs that they replace; says for each value in whose memory it lies.
  mutating func replace(_ network: CompiledNetwork) -> [Int] {
    let values = network.values
    var owners = values.indices.map(values.whole)
    let own = self
    for (index, step) in network.steps.enumerated() {
      guard let old = step.kernel.replaced, let new = step.kernel.outputs.first, old != 0 else { continue }
      guard values[old].container == nil, values[new].container == nil, values[old].shape == values[new].shape,
        own.last[old] == index, own.first[new] == index
      else { continue }
      let owner = owners[old]
      for value in values.indices where owners[value] == new { owners[value] = owner }
      last[owner] = max(last[owner], own.last[new])
    }
    return owners
  }
}

extension [Value] {
  /// The value of which one is a part, itself if it is none.
  fileprivate func whole(_ value: Int) -> Int { self[value].container.map { whole($0.value) } ?? value }

  /// The channel of the whole at which a value begins.
  fileprivate func channel(_ value: Int) -> Int {
    self[value].container.map { channel($0.value) + $0.channel } ?? 0
  }
}
