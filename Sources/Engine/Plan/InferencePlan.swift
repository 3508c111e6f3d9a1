// One replica of a network's execution: an arena and scratch memory of its own over shared weights. Used by one caller at
// a time; a warm run allocates nothing and touches no clock and no file, and no thread but the lanes it was handed.

/// Runs a compiled network over batches of images.
package final class InferencePlan {
  package let network: CompiledNetwork
  package let batchCapacity: Int
  private let lanes: LaneGroup
  private let arena: FloatMemory
  private let scratch: FloatMemory
  private let scratchFloats: Int
  private let views: UnsafeMutablePointer<TensorView>

  /// Bytes of arena and scratch; the weights are the network's.
  package var workspaceBytes: Int { (arena.count + scratch.count) * 4 }

  /// Lays out the memory of a plan; `batchCapacity` is the largest batch `run` may be given.
  ///
  /// `lanes` work on each run together; by default the calling thread works alone.
  ///
  /// - Throws: `EngineError.graph` if the workspace would pass 16 GiB, or a product has more rows or columns than the
  ///   matrix library can count.
  package init(
    network: CompiledNetwork, batchCapacity: Int, lanes: LaneGroup = .alone
  ) throws(EngineError) {
    precondition(batchCapacity > 0, "a plan holds at least one image")
    try Self.checkExtents(network, batchCapacity)
    self.network = network
    self.batchCapacity = batchCapacity
    self.lanes = lanes
    let layout = ArenaLayout(network, batchCapacity: batchCapacity, lanes: lanes.count)
    let needed = network.steps.reduce(0) {
      max($0, $1.kernel.scratchFloats(batch: batchCapacity, lanes: lanes.count))
    }
    scratchFloats = (needed + 31) / 16 * 16
    let (allScratch, overflow) = scratchFloats.multipliedReportingOverflow(by: lanes.count)
    guard !overflow, layout.count + allScratch < 4 << 30 else {
      throw .graph(node: "", reason: "the activations of \(batchCapacity) images pass 16 GiB; use a smaller batch")
    }
    arena = FloatMemory(count: layout.count)
    scratch = FloatMemory(count: allScratch)
    views = .allocate(capacity: network.values.count)
    for value in network.values.indices {
      let view = TensorView(
        base: arena.floats + layout.offsets[value], imageStride: layout.imageStrides[value],
        pixelStride: layout.pixelStrides[value])
      (views + value).initialize(to: view)
    }
  }

  deinit { views.deallocate() }

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
    lanes.run { lane in
      let call = KernelCall(
        pictures: images, views: UnsafePointer(views), scratch: scratch.floats + lane * scratchFloats, lane: lane,
        lanes: lanes.count)
      for index in network.steps.indices {
        network.steps[index].kernel.run(call)
        lanes.synchronize()
      }
      for n in call.share(of: images.count) {
        Flatten.planar(
          call.image(network.outputValue, n), pixelStride: views[network.outputValue].pixelStride,
          network.values[network.outputValue].shape, to: target + n * network.outputCount)
      }
    }
  }
}
