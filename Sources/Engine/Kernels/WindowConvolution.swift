internal import CKernels

/// A convolution of any window as a product whose rows are read piece by piece where they lie, in a strip of the padded
/// input or, if nothing is padded, in the input itself.
struct WindowConvolution: StepKernel {
  private let step: ConvolutionStep
  private let strip: InputStrip
  private let matrix: MatrixProduct
  private let bias: FloatMemory
  private let segments: SegmentOffsets
  private let segmentLength: Int

  init(_ step: ConvolutionStep, _ weights: WeightRows, _ kind: MatrixProduct.Kind, _ kernels: Kernels)
    throws(EngineError)
  {
    self.step = step
    strip = InputStrip(step)
    let c = step.convolution
    matrix = try MatrixProduct(
      weights, inputs: c.inChannels, height: c.inChannels, area: c.kernel.h * c.kernel.w, kind, kernels: kernels)
    bias = WeightMatrix.padded(weights.bias)
    (segments, segmentLength) = strip.segments(
      rowStride: strip.rowLength, pixelStride: strip.channels, channelCount: c.inChannels)
  }

  var inputs: [Int] { step.inputs }
  var outputs: [Int] { [step.output] }
  var replaced: Int? { matrix.isLibrary ? nil : step.replacedResidual }
  var algorithm: String { "windows" + matrix.kind.suffix }
  var weightBytes: Int { matrix.memory.byteCount + bias.byteCount }

  /// Output rows a strip: as many as leave its input in the second-level cache.
  private var stripRows: Int {
    let perRow = strip.rowLength * step.convolution.stride.h + (matrix.isLibrary ? step.outputShape.w * step.depth : 0)
    return min(step.outputShape.h, max(1, 65536 / max(1, perRow)))
  }

  /// A single place that never leaves the input is read there.
  private var isReadInPlace: Bool { step.convolution.kernel == Extent2D(1) && step.needsNoPadding }

  private var stripFloats: Int {
    isReadInPlace ? 0 : (strip.inputRows(under: stripRows) * strip.rowLength + 15) / 16 * 16
  }

  func scratchFloats(batch: Int, lanes: Int) -> Int {
    stripFloats + matrix.scratchFloats(rows: stripRows * step.outputShape.w, segments: segments.count)
  }

  func run(_ call: KernelCall) {
    let y = step.outputShape
    let rows = call.count * y.h
    // Rows that lanes cannot share evenly: each takes some of the columns instead.
    let isUneven = rows % call.lanes != 0 && rows < 8 * call.lanes
    let isByColumns = isUneven && matrix.columns >= 2 * call.lanes * matrix.grain
    if isByColumns {
      call.eachPart(of: matrix.columns, grain: matrix.grain) { run(call, rows: 0..<rows, columns: $0) }
    } else {
      call.eachPart(of: rows) { run(call, rows: $0, columns: 0..<matrix.columns) }
    }
  }

  /// Some rows of the batch.
  private func run(_ call: KernelCall, rows mine: Range<Int>, columns: Range<Int>) {
    let height = step.outputShape.h
    var row = mine.lowerBound
    while row < mine.upperBound {
      let (n, first) = (row / height, row % height)
      let count = min(stripRows, mine.upperBound - row, height - first)
      run(call, image: n, rows: first..<(first + count), columns: columns)
      row += count
    }
  }

  private func run(_ call: KernelCall, image n: Int, rows: Range<Int>, columns: Range<Int>) {
    let y = step.outputShape
    let pixelStride = step.isOfPicture ? step.inputShape.c : call.view(step.input).pixelStride
    let stride = step.convolution.stride
    var source = call.image(step.input, n)
    var (rowLength, pixelLength) = (step.inputShape.w * pixelStride, pixelStride)
    if isReadInPlace {
      source += rows.lowerBound * stride.h * rowLength
    } else {
      strip.copy(source, pixelStride: pixelStride, under: rows, to: call.scratch)
      source = UnsafePointer(call.scratch)
      (rowLength, pixelLength) = (strip.rowLength, strip.channels)
    }
    let out = call.view(step.output)
    var product = ckernels_product(
      rows: y.w, depth: segmentLength, from: source, stride: stride.w * pixelLength,
      to: out.base + n * out.imageStride + rows.lowerBound * y.w * out.pixelStride, stride: out.pixelStride,
      bias: UnsafePointer(bias.floats), activation: step.activation?.code ?? 0)
    product.segments = segments.pointer
    product.segment_count = segments.count
    product.groups = rows.count
    product.group_stride = stride.h * rowLength
    product.out_group_stride = y.w * out.pixelStride
    if let residual = step.residual {
      let r = call.view(residual)
      product.residual = UnsafePointer(r.base + n * r.imageStride + rows.lowerBound * y.w * r.pixelStride)
      product.residual_row_stride = r.pixelStride
      product.residual_group_stride = y.w * r.pixelStride
    }
    matrix.run(product, columns: columns, scratch: call.scratch + stripFloats)
  }
}
