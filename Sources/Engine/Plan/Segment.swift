/// Steps that pass over a batch together, some images at a time.
///
/// Where activations are large, few images pass at a time, so that what one step writes the next still finds in the
/// cache; where weights are many, more, so that each is fetched seldom.
package struct Segment: Equatable {
  var steps: Range<Int>
  /// Images that pass at a time.
  var images: Int

  /// Bytes of activations that steps may exchange; a part of the last-level cache that a core can count on.
  package static let cacheBytes = 3 << 20
  /// Where so many bytes of weights meet pictures of one size they do not stay in any cache, and fetching them anew for few
  /// images costs more than activations that leave the nearer ones.
  private static let heavyWeightBytes = 10 << 20
  /// How many times the bytes of activations may then be exchanged: what of the last-level cache a core has to itself.
  private static let heavyFactor = 5

  /// Cuts a network's steps; the number of images never falls from one segment to the next.
  static func cut(_ network: CompiledNetwork, batchCapacity: Int, cacheBytes: Int) -> [Segment] {
    var weightBytes: [Extent2D: Int] = [:]
    for step in network.steps { weightBytes[network.extent(of: step), default: 0] += step.kernel.weightBytes }
    var fitting = network.steps.map { step in
      let floats = (step.kernel.inputs + step.kernel.outputs).reduce(0) { sum, number in
        let value = network.values[number]
        return sum + value.paddedChannels * value.shape.h * value.shape.w
      }
      let isHeavy = weightBytes[network.extent(of: step), default: 0] > heavyWeightBytes
      return images(
        exchanging: 4 * floats, batchCapacity: batchCapacity,
        cacheBytes: isHeavy ? heavyFactor * cacheBytes : cacheBytes)
    }
    return cut(&fitting)
  }

  /// Cuts steps through which so many images may pass at a time each.
  static func cut(_ fitting: inout [Int]) -> [Segment] {
    for index in fitting.indices.reversed().dropFirst() { fitting[index] = min(fitting[index], fitting[index + 1]) }
    var segments: [Segment] = []
    for (index, images) in fitting.enumerated() {
      if let last = segments.last, last.images == images {
        segments[segments.count - 1].steps = last.steps.lowerBound..<(index + 1)
      } else {
        segments.append(Segment(steps: index..<(index + 1), images: images))
      }
    }
    return segments
  }

  /// How many images may pass where a step reads and writes so many bytes of each: all, or a power of two, so that few
  /// cuts are made.
  static func images(exchanging bytes: Int, batchCapacity: Int, cacheBytes: Int) -> Int {
    let fitting = max(1, cacheBytes / max(1, bytes))
    return fitting >= batchCapacity ? batchCapacity : 1 << (Int.bitWidth - 1 - fitting.leadingZeroBitCount)
  }
}

extension [Segment] {
  /// How many images the memory of a value holds that is used from step `firstUse` to step `lastUse`: those of a chunk if it
  /// lives within one segment, else the batch's.
  ///
  /// Then it lives from the start of the segment that writes it to the end of the one that reads it last, since chunks follow
  /// each other there.
  func images(firstUse: inout Int, lastUse: inout Int, batchCapacity: Int) -> Int {
    let (first, last) = (firstUse, lastUse)
    if let home = self.first(where: { $0.steps.contains(first) && $0.steps.contains(last) }) { return home.images }
    if let writer = self.first(where: { $0.steps.contains(first) }) { firstUse = writer.steps.lowerBound }
    if let reader = self.first(where: { $0.steps.contains(last) }) { lastUse = reader.steps.upperBound - 1 }
    return batchCapacity
  }
}

extension CompiledNetwork {
  /// Rows and columns of what a step writes.
  fileprivate func extent(of step: Step) -> Extent2D {
    let shape = step.kernel.outputs.first.map { values[$0].shape } ?? inputShape
    return Extent2D(h: shape.h, w: shape.w)
  }
}
