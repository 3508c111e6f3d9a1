// One replica of a quantized network's execution: an arena and scratch memory of its own over shared weights. Used by one
// thread at a time; a warm run allocates nothing and touches no clock, file or thread.

internal import CKernels

/// Runs a quantized network over batches of images.
package final class QuantizedPlan {
  package let network: QuantizedNetwork
  package let batchCapacity: Int
  private let layout: QuantizedLayout
  /// The first image of the batch that the steps under way have in hand.
  private var first = 0
  let arena: ByteMemory
  /// Windows of a block of pixels, one a row.
  let rows: ByteMemory
  /// What kernels work with while they run.
  let scratch: ByteMemory
  /// For each value what stands outside its picture: pixels that mean 0.
  let outside: ByteMemory
  private let outsideOffsets: [Int]
  let sums: UnsafeMutablePointer<Int32>
  let constants: FloatMemory
  /// Channels that `sums` and each half of `constants` hold.
  let channelCapacity: Int

  /// Bytes of arena and scratch; the weights are the network's.
  package var workspaceBytes: Int { layout.count + rows.count + scratch.count + channelCapacity * 12 }

  /// What steps may exchange before they pass over fewer images at a time: activations that stay in the second cache.
  private static let cacheBytes = 1 << 20

  /// Lays out the memory of a plan; `batchCapacity` is the largest batch `run` may be given.
  ///
  /// `cacheBytes` is how much of activations steps may exchange before they pass over fewer images at a time; no answer
  /// depends on it.
  ///
  /// - Throws: `EngineError.graph` if the workspace would pass 16 GiB.
  package init(
    network: QuantizedNetwork, batchCapacity: Int, cacheBytes: Int = QuantizedPlan.cacheBytes
  ) throws(EngineError) {
    precondition(batchCapacity > 0, "a plan holds at least one image")
    self.network = network
    self.batchCapacity = batchCapacity
    layout = QuantizedLayout(network, batchCapacity: batchCapacity, cacheBytes: cacheBytes)
    guard layout.count < 16 << 30 else {
      throw .graph(node: "", reason: "the activations of \(batchCapacity) images pass 16 GiB; use a smaller batch")
    }
    arena = ByteMemory(count: layout.count)
    rows = ByteMemory(count: Self.rowCapacity(network))
    scratch = ByteMemory(count: Self.scratchCapacity(network))
    var offsets: [Int] = []
    var end = 0
    for value in network.values {
      offsets.append(end)
      end += (value.stride + 127) / 64 * 64
    }
    outside = ByteMemory(count: end)
    outsideOffsets = offsets
    channelCapacity = (network.values.map(\.shape.c).max() ?? 1) + 16
    sums = .allocate(capacity: channelCapacity)
    constants = FloatMemory(count: 2 * channelCapacity)
    fillOutside()
  }

  deinit { sums.deallocate() }

  private func fillOutside() {
    for (number, value) in network.values.enumerated() {
      for (channel, scale) in (value.scales ?? []).enumerated() {
        outside.bytes[outsideOffsets[number] + channel] = scale.zeroByte
      }
    }
  }

  /// Rows of a block of windows at most: what stays in the second cache.
  private static func mostRows(depth: Int) -> Int { max(1, min(12, 327_680 / (12 * depth))) * 12 }

  /// Rows of each block that `rows` rows are shared out to, evenly, lest the last be a sliver.
  static func blockRows(of rows: Int, depth: Int) -> Int {
    let most = mostRows(depth: depth)
    let blocks = max((rows + most - 1) / most, (rows + 48) / 96)
    return (rows + blocks - 1) / max(1, blocks)
  }

  /// Bytes of windows that are unfolded at once.
  private static func rowCapacity(_ network: QuantizedNetwork) -> Int {
    guard network.kernels.table.pointee.convolve == nil else { return 0 }
    return network.steps.reduce(0) { most, step in
      guard case .product(let p) = step.kernel, network.window(of: p, in: step) != nil else { return most }
      return max(most, p.depth * mostRows(depth: p.depth))
    }
  }

  private static func scratchCapacity(_ network: QuantizedNetwork) -> Int {
    let kernels = network.kernels.table.pointee
    return network.steps.reduce(0) { most, step in
      switch step.kernel {
      case .product(let p):
        if let window = network.window(of: p, in: step), let count = kernels.convolve_scratch {
          // What stands outside is not looked at.
          var geometry = network.geometry(
            window, of: step.inputs[0], to: step.output, outside: UnsafePointer(network.weights.bytes))
          return max(most, count(&geometry, p.length))
        }
        return max(most, kernels.multiply_scratch(mostRows(depth: p.depth), p.depth))
      case .winograd: return max(most, kernels.winograd_scratch?(network.values[step.inputs[0]].shape.c) ?? 0)
      default: return most
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
    for segment in layout.segments {
      eachChunk(of: segment, images) { chunk in
        for index in segment.steps { perform(network.steps[index], chunk) }
      }
    }
    first = 0
    let shape = network.values[network.outputValue].shape
    for image in 0..<images.count {
      let pixels = floats(network.outputValue, image)
      let row = target + image * shape.countPerImage
      for p in 0..<shape.h * shape.w {
        for c in 0..<shape.c { row[c * shape.h * shape.w + p] = pixels[p * shape.c + c] }
      }
    }
  }

  /// Goes through a batch by as many images as pass at a time.
  private func eachChunk(
    of segment: Segment, _ images: UnsafeBufferPointer<UnsafePointer<Float>>,
    _ body: (UnsafeBufferPointer<UnsafePointer<Float>>) -> Void
  ) {
    for start in stride(from: 0, to: images.count, by: segment.images) {
      first = start
      body(UnsafeBufferPointer(rebasing: images[start..<min(start + segment.images, images.count)]))
    }
  }

  package func stepTimes(
    images: UnsafeBufferPointer<UnsafePointer<Float>>, repetitions: Int, clock: () -> Double
  ) -> [Double] {
    var least = [Double](repeating: .infinity, count: network.steps.count)
    for _ in 0..<repetitions {
      var times = [Double](repeating: 0, count: network.steps.count)
      for segment in layout.segments {
        eachChunk(of: segment, images) { chunk in
          for index in segment.steps {
            let start = clock()
            perform(network.steps[index], chunk)
            times[index] += clock() - start
          }
        }
      }
      for index in times.indices { least[index] = min(least[index], times[index]) }
    }
    first = 0
    return least
  }

  // MARK: Memory

  /// One of the images in hand of a value in bytes.
  func bytes(_ number: Int, _ image: Int) -> UnsafeMutablePointer<UInt8> {
    let place = layout.images[number] == batchCapacity ? first + image : image
    return arena.bytes + layout.offsets[number] + place * network.values[number].byteCount
  }

  /// One image of a value kept in floats; never of the picture.
  func floats(_ number: Int, _ image: Int) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer(bytes(number, image)).assumingMemoryBound(to: Float.self)
  }

  func outsidePixel(of number: Int) -> UnsafePointer<UInt8> { UnsafePointer(outside.bytes + outsideOffsets[number]) }

  /// The bytes of an image of a value in floats or bytes, wherever results go.
  func output(_ number: Int, _ image: Int, channel: Int = 0) -> ckernels_int8_output {
    let value = network.values[number]
    return value.scales == nil
      ? ckernels_int8_output(bytes: nil, floats: floats(number, image) + channel, stride: value.shape.c)
      : ckernels_int8_output(bytes: bytes(number, image) + channel, floats: nil, stride: value.stride)
  }

  func epilogue(_ results: QuantizedStep.Results, image: Int, channel: Int = 0, block: Int = 0)
    -> ckernels_int8_epilogue
  {
    let factors = network.factors.floats
    return ckernels_int8_epilogue(
      scale: factors + results.scale + block, bias: factors + results.bias + block,
      residual: results.residual.map { UnsafePointer(bytes($0.value, image) + channel) },
      residual_scale: results.residual.map { UnsafePointer(factors + $0.scale + block) },
      activation: results.activation?.code ?? 0, quanta: results.quanta,
      zero: results.zero, low: results.low, high: results.high)
  }

  /// Packed weights, counted from the start of the network's.
  func weights(_ place: Int) -> UnsafePointer<Int8> {
    UnsafeRawPointer(network.weights.bytes + place).assumingMemoryBound(to: Int8.self)
  }

  func geometry(_ window: Window, of input: Int, to output: Int) -> ckernels_int8_window {
    network.geometry(window, of: input, to: output, outside: outsidePixel(of: input))
  }
}

extension QuantizedNetwork {
  /// The window of a product that does not simply take each pixel at its own place.
  func window(of product: QuantizedStep.Product, in step: QuantizedStep) -> Window? {
    let (x, y) = (values[step.inputs[0]].shape, values[step.output].shape)
    return product.isPointwise(from: x, to: y) ? nil : product.window
  }

  fileprivate func geometry(
    _ window: Window, of input: Int, to output: Int, outside: UnsafePointer<UInt8>
  ) -> ckernels_int8_window {
    let (x, y) = (values[input], values[output].shape)
    let pad = window.edges(for: x.shape)
    return ckernels_int8_window(
      channels: x.shape.c, stride: x.stride, height: x.shape.h, width: x.shape.w, out_height: y.h, out_width: y.w,
      kernel_h: window.kernel.h, kernel_w: window.kernel.w, stride_h: window.stride.h, stride_w: window.stride.w,
      dilation_h: window.dilation.h, dilation_w: window.dilation.w, top: pad.top, left: pad.left, outside: outside)
  }
}
