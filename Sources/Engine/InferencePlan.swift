// One replica of a network's execution: an arena and scratch memory of its own over shared weights. Used by one thread at
// a time; a warm run allocates nothing and touches no clock, file or thread.

internal import CKernels
internal import COpenBLAS

/// Runs a compiled network over batches of images.
package final class InferencePlan {
  package let network: CompiledNetwork
  package let batchCapacity: Int
  private let layout: ArenaLayout
  private let arena: WeightMemory
  /// One tile of unfolded patches for the convolutions that are not 1×1.
  private let patches: WeightMemory
  private let patchCapacity: Int

  /// Bytes of arena and scratch; the weights are the network's.
  package var workspaceBytes: Int { (layout.count + patchCapacity) * 4 }

  /// Lays out the memory of a plan; `batchCapacity` is the largest batch `run` may be given.
  ///
  /// - Throws: `EngineError.graph` if the workspace would pass 16 GiB, or a product has more rows or columns than the
  ///   matrix library can count.
  package init(network: CompiledNetwork, batchCapacity: Int) throws(EngineError) {
    precondition(batchCapacity > 0, "a plan holds at least one image")
    try Self.checkExtents(network, batchCapacity)
    self.network = network
    self.batchCapacity = batchCapacity
    layout = ArenaLayout(network, batchCapacity: batchCapacity)
    patchCapacity = Self.patchCapacity(network)
    guard layout.count + patchCapacity < 4 << 30 else {
      throw .graph(node: "", reason: "the activations of \(batchCapacity) images pass 16 GiB; use a smaller batch")
    }
    arena = WeightMemory([Float](repeating: 0, count: layout.count))
    patches = WeightMemory([Float](repeating: 0, count: patchCapacity))
  }

  /// The matrix library counts rows and columns in 32 bits.
  private static func checkExtents(_ network: CompiledNetwork, _ batchCapacity: Int) throws(EngineError) {
    for step in network.steps {
      let shape = network.shapes[step.output]
      let (rows, overflow) = batchCapacity.multipliedReportingOverflow(by: shape.h * shape.w)
      var extents = [rows, shape.c]
      switch step.kernel {
      case .convolution(let c, _, _, _): extents.append(c.kernel.h * c.kernel.w * (c.inChannels / c.groups))
      case .linear(let l, _, _): extents.append(l.inFeatures)
      default: break
      }
      guard !overflow, extents.allSatisfy({ $0 <= Int(Int32.max) }) else {
        throw .graph(node: step.name, reason: "\(batchCapacity) images are too many; use a smaller batch")
      }
    }
  }

  private static let patchFloats = 1 << 16

  /// Rows of a tile for patches of this length: as many as fill the scratch, at least one.
  private static func tileRows(_ patchLength: Int) -> Int { max(8, patchFloats / patchLength) }

  private static func patchCapacity(_ network: CompiledNetwork) -> Int {
    network.steps.reduce(0) { most, step in
      guard case .convolution(let c, _, _, _) = step.kernel else { return most }
      let length = c.kernel.h * c.kernel.w * c.inChannels / c.groups
      return max(most, length * tileRows(length))
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
    for index in network.steps.indices { perform(network.steps[index], images) }
    let shape = network.shapes[network.outputValue]
    for image in 0..<images.count {
      transposeToCHW(
        from: value(network.outputValue), image: image, shape: shape, to: target + image * shape.countPerImage)
    }
  }

  // MARK: Memory

  /// The arena memory of a value; never of the picture.
  private func value(_ number: Int) -> UnsafeMutablePointer<Float> { arena.floats + layout.offsets[number] }

  /// One image of a value, wherever it lies.
  private func image(
    _ number: Int, _ index: Int, _ images: UnsafeBufferPointer<UnsafePointer<Float>>
  ) -> UnsafePointer<Float> {
    number == 0 ? images[index] : UnsafePointer(value(number) + index * network.shapes[number].countPerImage)
  }

  private func transposeToCHW(
    from source: UnsafePointer<Float>, image: Int, shape: Shape, to target: UnsafeMutablePointer<Float>
  ) {
    let area = shape.h * shape.w
    let pixels = source + image * shape.countPerImage
    for p in 0..<area {
      for c in 0..<shape.c { target[c * area + p] = pixels[p * shape.c + c] }
    }
  }

  // MARK: Steps

  private func perform(_ step: Step, _ images: UnsafeBufferPointer<UnsafePointer<Float>>) {
    let out = value(step.output)
    let outShape = network.shapes[step.output]
    let x = network.shapes[step.inputs[0]]
    let code = step.activation?.code ?? 0
    let weights = network.weights.floats
    switch step.kernel {
    case .convolution(let c, let window, let w, let b):
      convolve(step, c, window, weights + w, images)
      ckernels_bias_activate(out, images.count * outShape.h * outShape.w, outShape.c, weights + b, code)
    case .depthwise(let c, let window, let w, let b):
      let pad = window.edges(for: x)
      var geometry = ckernels_depthwise(
        channels: x.c, height: x.h, width: x.w, out_height: outShape.h, out_width: outShape.w, kernel_h: c.kernel.h,
        kernel_w: c.kernel.w, stride_h: c.stride.h, stride_w: c.stride.w, dilation_h: c.dilation.h,
        dilation_w: c.dilation.w, top: pad.top, left: pad.left)
      for n in 0..<images.count {
        ckernels_depthwise_convolve(
          &geometry, out + n * outShape.countPerImage, image(step.inputs[0], n, images), weights + w, weights + b, code)
      }
    case .linear(let l, let w, let b):
      if step.inputs[0] == 0 {
        for n in 0..<images.count {
          multiply(images[n], weights + w, out + n * l.outFeatures, rows: 1, l.inFeatures, l.outFeatures)
        }
      } else {
        multiply(value(step.inputs[0]), weights + w, out, rows: images.count, l.inFeatures, l.outFeatures)
      }
      ckernels_bias_activate(out, images.count, l.outFeatures, weights + b, code)
    case .add:
      for n in 0..<images.count {
        ckernels_add_activate(
          out + n * x.countPerImage, image(step.inputs[0], n, images), image(step.inputs[1], n, images),
          x.countPerImage, code)
      }
    default:
      for n in 0..<images.count { performElsewhere(step, n, images, code) }
    }
  }

  /// Row-major product: out (rows × columns) = a (rows × depth) · b (depth × columns).
  private func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, _ depth: Int,
    _ columns: Int, outStride: Int? = nil
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(rows), blasint(columns), blasint(depth), 1, a, blasint(depth),
      b,
      blasint(columns), 0, out, blasint(outStride ?? columns))
  }

  private func convolve(
    _ step: Step, _ c: Convolution, _ window: Window, _ weights: UnsafePointer<Float>,
    _ images: UnsafeBufferPointer<UnsafePointer<Float>>
  ) {
    let input = step.inputs[0]
    let x = network.shapes[input]
    let y = network.shapes[step.output]
    let out = value(step.output)
    let area = y.h * y.w
    let inGroup = c.inChannels / c.groups
    let outGroup = c.outChannels / c.groups
    let depth = c.kernel.h * c.kernel.w * inGroup
    let isPlain = c.kernel == Extent2D(1) && c.stride == Extent2D(1) && c.groups == 1 && x.h == y.h && x.w == y.w
    if isPlain {
      if input == 0 {
        for n in 0..<images.count { multiply(images[n], weights, out + n * area * y.c, rows: area, depth, y.c) }
      } else {
        multiply(value(input), weights, out, rows: images.count * area, depth, y.c)
      }
      return
    }
    let pad = window.edges(for: x)
    let tile = Self.tileRows(depth)
    let total = images.count * area
    for group in 0..<c.groups {
      for first in stride(from: 0, to: total, by: tile) {
        let rows = min(tile, total - first)
        for row in 0..<rows {
          let position = (first + row) % area
          unfold(
            image(input, (first + row) / area, images) + group * inGroup, x, c, inGroup,
            y0: position / y.w * c.stride.h - pad.top, x0: position % y.w * c.stride.w - pad.left,
            to: patches.floats + row * depth)
        }
        multiply(
          patches.floats, weights + group * depth * outGroup, out + first * y.c + group * outGroup, rows: rows, depth,
          outGroup, outStride: y.c)
      }
    }
  }

  /// Copies one window's pixels, kernel row by kernel row, zeros where it leaves the picture.
  private func unfold(
    _ pixels: UnsafePointer<Float>, _ x: Shape, _ c: Convolution, _ inGroup: Int, y0: Int, x0: Int,
    to patch: UnsafeMutablePointer<Float>
  ) {
    var target = patch
    let rowLength = c.kernel.w * inGroup
    let isDense = c.dilation.w == 1 && inGroup == x.c && x0 >= 0 && x0 + c.kernel.w <= x.w
    for ky in 0..<c.kernel.h {
      let row = y0 + ky * c.dilation.h
      if row < 0 || row >= x.h {
        target.update(repeating: 0, count: rowLength)
      } else if isDense {
        target.update(from: pixels + (row * x.w + x0) * x.c, count: rowLength)
      } else {
        for kx in 0..<c.kernel.w {
          let column = x0 + kx * c.dilation.w
          if column < 0 || column >= x.w {
            (target + kx * inGroup).update(repeating: 0, count: inGroup)
          } else {
            (target + kx * inGroup).update(from: pixels + (row * x.w + column) * x.c, count: inGroup)
          }
        }
      }
      target += rowLength
    }
  }

  /// The kernels that work image by image and need no matrix product.
  private func performElsewhere(
    _ step: Step, _ n: Int, _ images: UnsafeBufferPointer<UnsafePointer<Float>>, _ code: Int32
  ) {
    let y = network.shapes[step.output]
    let x = network.shapes[step.inputs[0]]
    let out = value(step.output) + n * y.countPerImage
    let source = image(step.inputs[0], n, images)
    let weights = network.weights.floats
    switch step.kernel {
    case .affine(let scale, let shift):
      Pointwise.affine(source, out, pixels: x.h * x.w, channels: x.c, scale: weights + scale, shift: weights + shift)
      ckernels_bias_activate(out, 1, x.countPerImage, nil, code)
    case .activation:
      out.update(from: source, count: x.countPerImage)
      ckernels_bias_activate(out, 1, x.countPerImage, nil, code)
    case .maxPool(let window): Pool.maximum(source, x, out, y, window)
    case .averagePool(let window, let countIncludePad):
      Pool.average(source, x, out, y, window, countIncludePad: countIncludePad)
    case .adaptiveAveragePool: Pool.adaptiveAverage(source, x, out, y)
    case .multiply:
      let other = step.inputs[1]
      Pointwise.multiply(
        source, image(other, n, images), out, pixels: x.h * x.w, channels: x.c,
        isSpread: network.shapes[other] != x)
    case .concatenate:
      var first = 0
      for input in step.inputs {
        let part = network.shapes[input]
        Pointwise.copyChannels(image(input, n, images), part.c, out + first, y.c, pixels: y.h * y.w)
        first += part.c
      }
    case .flatten: transposeToCHW(from: source, image: 0, shape: x, to: out)
    case .softmax: Pointwise.softmax(source, out, pixels: x.h * x.w, channels: x.c)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      Pointwise.localResponseNorm(source, out, pixels: x.h * x.w, channels: x.c, size, alpha, beta, k)
    case .convolution, .depthwise, .linear, .add: preconditionFailure("these go through perform")
    }
  }
}
