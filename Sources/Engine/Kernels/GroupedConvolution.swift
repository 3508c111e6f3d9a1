internal import CKernels

/// A convolution in groups: for each a product over its own channels of a strip, then put between the others'.
struct GroupedConvolution: StepKernel {
  private let step: ConvolutionStep
  private let strip: InputStrip
  private let kernels: Kernels
  private let groups: [(matrix: MatrixProduct, segments: SegmentOffsets)]
  private let bias: FloatMemory

  init(_ step: ConvolutionStep, _ weights: ConvolutionWeights, isLibrary: Bool, _ kernels: Kernels) {
    self.step = step
    self.kernels = kernels
    let strip = InputStrip(step)
    self.strip = strip
    let c = step.convolution
    let (inGroup, outGroup) = (c.inChannels / c.groups, c.outChannels / c.groups)
    let area = c.kernel.h * c.kernel.w
    groups = weights.weights.withUnsafeBufferPointer { numbers in
      (0..<c.groups).compactMap { group in
        numbers.baseAddress.map { base in
          let matrix = WeightMatrix.of(
            base + group * outGroup * inGroup * area, outputs: outGroup, inputs: inGroup, area: area)
          let product = MatrixProduct(
            matrix, depth: step.depth, outputs: outGroup, isLibrary ? .library : .own, kernels: kernels)
          // Pixel by pixel: a group's channels are never all of them.
          let segments = strip.segments(
            rowStride: strip.rowLength, pixelStride: strip.channels, firstChannel: group * inGroup,
            channelCount: inGroup)
          return (product, segments.offsets)
        }
      }
    }
    bias = WeightMatrix.padded(weights.bias)
  }

  var inputs: [Int] { step.inputs }
  var outputs: [Int] { [step.output] }
  var algorithm: String { "\(step.convolution.groups) groups" }
  var weightBytes: Int { groups.reduce(bias.byteCount) { $0 + $1.matrix.memory.byteCount } }

  private var outGroup: Int { step.convolution.outChannels / step.convolution.groups }
  private var groupColumns: Int { Value.padded(outGroup) }
  private var stripFloats: Int { (strip.inputRows(under: 1) * strip.rowLength + 15) / 16 * 16 }
  private var rowFloats: Int { step.outputShape.w * groupColumns }

  func scratchFloats(batch: Int, lanes: Int) -> Int {
    stripFloats + rowFloats
      + groups.reduce(0) {
        max($0, $1.matrix.scratchFloats(rows: step.outputShape.w, segments: $1.segments.count))
      }
  }

  func run(_ call: KernelCall) {
    let y = step.outputShape
    call.eachPart(of: call.count * y.h) { rows in
      for row in rows { run(call, image: row / y.h, row: row % y.h) }
    }
  }

  private func run(_ call: KernelCall, image n: Int, row: Int) {
    let y = step.outputShape
    let view = call.view(step.output)
    let target = view.base + n * view.imageStride + row * y.w * view.pixelStride
    let pixelStride = step.isOfPicture ? step.inputShape.c : call.view(step.input).pixelStride
    strip.copy(call.image(step.input, n), pixelStride: pixelStride, under: row..<(row + 1), to: call.scratch)
    let part = call.scratch + stripFloats
    for (index, group) in groups.enumerated() {
      var product = ckernels_product(
        rows: y.w, depth: step.depth / group.segments.count, from: UnsafePointer(call.scratch),
        stride: step.convolution.stride.w * strip.channels, to: part, stride: groupColumns, bias: nil, activation: 0)
      product.segments = group.segments.pointer
      product.segment_count = group.segments.count
      group.matrix.run(product, columns: 0..<groupColumns, scratch: part + rowFloats)
      for pixel in 0..<y.w {
        let place = target + pixel * view.pixelStride + index * outGroup
        place.update(from: part + pixel * groupColumns, count: outGroup)
      }
    }
    var finish = ckernels_rows(
      UnsafePointer(target), stride: view.pixelStride, to: target, stride: view.pixelStride, rows: y.w,
      channels: Value.padded(y.c), activation: step.activation?.code ?? 0)
    finish.shift = UnsafePointer(bias.floats)
    if let residual = step.residual {
      let r = call.view(residual)
      finish.b = UnsafePointer(r.base + n * r.imageStride + row * y.w * r.pixelStride)
      finish.b_stride = r.pixelStride
    }
    kernels.table.pointee.rows(&finish)
  }
}
