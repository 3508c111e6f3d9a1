// One replica of a network's execution: an arena and scratch memory of its own over shared weights. Used by one caller at
// a time; a warm run allocates nothing and touches no clock and no file, and no thread but the lanes it was handed.

internal import Synchronization

/// Runs a compiled network over batches of images.
package final class InferencePlan {
  package let network: CompiledNetwork
  package let batchCapacity: Int
  private let lanes: LaneGroup
  private let arena: FloatMemory
  private let scratch: FloatMemory
  private let scratchFloats: Int
  private let segments: [Segment]
  /// Of the batch's first image, by value number.
  private let views: UnsafeMutablePointer<TensorView>
  /// The same for the images that a lane has in hand, a row for each lane.
  private let laneViews: UnsafeMutablePointer<TensorView>
  /// Whether a value's memory holds the whole batch.
  private let holdsBatch: [Bool]
  /// What lanes have taken of a step's work, and of the next step's.
  private let taken: UnsafeMutablePointer<Atomic<Int>>

  /// Bytes of arena and scratch; the weights are the network's.
  package var workspaceBytes: Int { (arena.count + scratch.count) * 4 }

  /// Lays out the memory of a plan; `batchCapacity` is the largest batch `run` may be given.
  ///
  /// `lanes` work on each run together; by default the calling thread works alone. `cacheBytes` is how much of
  /// activations steps may exchange before they pass over fewer images at a time; no answer depends on it.
  ///
  /// - Throws: `EngineError.graph` if the workspace would pass 16 GiB, or a product has more rows or columns than the
  ///   matrix library can count.
  package init(
    network: CompiledNetwork, batchCapacity: Int, lanes: LaneGroup = .alone, cacheBytes: Int = Segment.cacheBytes
  ) throws(EngineError) {
    precondition(batchCapacity > 0, "a plan holds at least one image")
    try Self.checkExtents(network, batchCapacity)
    self.network = network
    self.batchCapacity = batchCapacity
    self.lanes = lanes
    segments = Segment.cut(network, batchCapacity: batchCapacity, cacheBytes: cacheBytes)
    let layout = ArenaLayout(network, segments, batchCapacity: batchCapacity, lanes: lanes.count)
    var needed = 0
    for segment in segments {
      for step in network.steps[segment.steps] {
        needed = max(needed, step.kernel.scratchFloats(batch: segment.images, lanes: lanes.count))
      }
    }
    holdsBatch = layout.images.map { $0 == batchCapacity }
    scratchFloats = (needed + 31) / 16 * 16
    let (allScratch, overflow) = scratchFloats.multipliedReportingOverflow(by: lanes.count)
    guard !overflow, layout.count + allScratch < 4 << 30 else {
      throw .graph(node: "", reason: "the activations of \(batchCapacity) images pass 16 GiB; use a smaller batch")
    }
    arena = FloatMemory(count: layout.count)
    scratch = FloatMemory(count: allScratch)
    taken = .allocate(capacity: 2)
    for turn in 0..<2 { (taken + turn).initialize(to: Atomic(0)) }
    views = .allocate(capacity: network.values.count)
    laneViews = .allocate(capacity: network.values.count * lanes.count)
    for value in network.values.indices {
      let view = TensorView(
        base: arena.floats + layout.offsets[value], imageStride: layout.imageStrides[value],
        pixelStride: layout.pixelStrides[value])
      (views + value).initialize(to: view)
      for lane in 0..<lanes.count { (laneViews + lane * network.values.count + value).initialize(to: view) }
    }
  }

  deinit {
    views.deallocate()
    laneViews.deallocate()
    taken.deinitialize(count: 2)
    taken.deallocate()
  }

  /// The matrix library counts rows and columns in 32 bits.
  private static func checkExtents(_ network: CompiledNetwork, _ batchCapacity: Int) throws(EngineError) {
    for value in network.values {
      let (pixels, overflow) = batchCapacity.multipliedReportingOverflow(by: value.shape.h * value.shape.w)
      guard !overflow, pixels <= Int(Int32.max), value.paddedChannels <= Int(Int32.max) else {
        throw .graph(node: value.name, reason: "\(batchCapacity) images are too many; use a smaller batch")
      }
    }
  }

  /// Answers a batch.
  ///
  /// - Parameters:
  ///   - images: for each image H×W×C floats, channels last; at most `batchCapacity`.
  ///   - output: gets `images.count × outputCount` floats, each row in C, H, W order.
  package func run(images: UnsafeBufferPointer<UnsafePointer<Float>>, output: UnsafeMutableBufferPointer<Float>) {
    precondition(images.count <= batchCapacity, "more images than the plan holds")
    precondition(output.count >= images.count * network.outputCount, "no room for the answers")
    guard images.count > 0, let target = output.baseAddress else { return }
    for turn in 0..<2 { taken[turn].store(0, ordering: .relaxed) }
    lanes.run { lane in
      var turn = 0
      for segment in segments {
        for first in stride(from: 0, to: images.count, by: segment.images) {
          let chunk = UnsafeBufferPointer(
            rebasing: images[first..<min(first + segment.images, images.count)])
          var call = call(chunk, from: first, lane: lane, lanes: lanes.count)
          for index in segment.steps {
            call.taken = taken + turn
            network.steps[index].kernel.run(call)
            lanes.synchronize()
            // Nobody looks at it before the next step is done.
            if lane == 0 { taken[turn].store(0, ordering: .relaxed) }
            turn = 1 - turn
          }
        }
      }
      let answer = views[network.outputValue]
      for n in Share.of(images.count, lane: lane, lanes: lanes.count) {
        Flatten.planar(
          answer.base + n * answer.imageStride, pixelStride: answer.pixelStride,
          network.values[network.outputValue].shape, to: target + n * network.outputCount)
      }
    }
  }

  /// What a lane needs for some images of a batch, the `first` and those after it.
  private func call(
    _ pictures: UnsafeBufferPointer<UnsafePointer<Float>>, from first: Int, lane: Int, lanes: Int
  ) -> KernelCall {
    let mine = laneViews + lane * network.values.count
    for value in holdsBatch.indices where holdsBatch[value] {
      mine[value].base = views[value].base + first * views[value].imageStride
    }
    return KernelCall(
      pictures: pictures, views: UnsafePointer(mine), scratch: scratch.floats + lane * scratchFloats, lane: lane,
      lanes: lanes)
  }

  package func stepTimes(
    images: UnsafeBufferPointer<UnsafePointer<Float>>, repetitions: Int, clock: () -> Double
  ) -> [Double] {
    var least = [Double](repeating: .infinity, count: network.steps.count)
    for _ in 0..<repetitions {
      var times = [Double](repeating: 0, count: network.steps.count)
      for segment in segments {
        for first in stride(from: 0, to: images.count, by: segment.images) {
          let chunk = UnsafeBufferPointer(rebasing: images[first..<min(first + segment.images, images.count)])
          let call = call(chunk, from: first, lane: 0, lanes: 1)
          for index in segment.steps {
            let start = clock()
            network.steps[index].kernel.run(call)
            times[index] += clock() - start
          }
        }
      }
      for index in times.indices { least[index] = min(least[index], times[index]) }
    }
    return least
  }
}
