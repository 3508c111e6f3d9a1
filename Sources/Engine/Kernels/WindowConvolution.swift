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

  /// Output lines a strip: as many as leave its input in the second-level cache.
  private var stripRows: Int {
    min(step.outputShape.h, max(1, 65536 / max(1, strip.rowLength * step.convolution.stride.h)))
  }

  /// A single place that never leaves the input is read there.
  private var isReadInPlace: Bool { step.convolution.kernel == Extent2D(1) && step.needsNoPadding }

  private var stripFloats: Int {
    isReadInPlace ? 0 : (strip.inputRows(under: stripRows) * strip.rowLength + 15) / 16 * 16
  }

  /// Whether windows are gathered for the product of several lines: OpenBLAS copies the weights together for each product, and
  /// of the pixels that a stride leaves there are too few in a line.
  private var isGathered: Bool {
    matrix.isLibrary || (matrix.kind == .own && isReadInPlace && step.convolution.stride.w > 1)
  }

  /// Output lines, of several images too, whose windows are gathered at a time.
  private var gatheredLines: Int {
    let rows = matrix.isLibrary ? min(400, 640_000 / matrix.depth) : 65536 / matrix.depth
    return max(1, rows / step.outputShape.w)
  }

  func scratchFloats(batch: Int, lanes: Int) -> Int {
    let rows = (isGathered ? min(gatheredLines, batch * step.outputShape.h) : stripRows) * step.outputShape.w
    return stripFloats + (isGathered ? rows * matrix.depth : matrix.scratchFloats(rows: rows, segments: segments.count))
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

  /// Some lines of the batch.
  private func run(_ call: KernelCall, rows mine: Range<Int>, columns: Range<Int>) {
    guard isGathered else {
      eachStrip(mine) { n, lines in
        matrix.run(product(call, image: n, lines), columns: columns, scratch: call.scratch + stripFloats)
      }
      return
    }
    let windows = call.scratch + stripFloats
    let width = step.outputShape.w
    for first in stride(from: mine.lowerBound, to: mine.upperBound, by: gatheredLines) {
      let block = first..<min(mine.upperBound, first + gatheredLines)
      var target = windows
      eachStrip(block) { n, lines in
        matrix.gather(product(call, image: n, lines), to: target)
        target += lines.count * width * matrix.depth
      }
      let whole = product(
        call, image: first / step.outputShape.h, line: first % step.outputShape.h, rows: block.count * width,
        depth: matrix.depth, from: UnsafePointer(windows), stride: matrix.depth)
      matrix.run(whole, columns: columns, scratch: windows)
    }
  }

  /// Some lines of the batch, as many of an image as a strip holds at a time.
  private func eachStrip(_ lines: Range<Int>, _ body: (_ n: Int, _ lines: Range<Int>) -> Void) {
    let height = step.outputShape.h
    var line = lines.lowerBound
    while line < lines.upperBound {
      let (n, first) = (line / height, line % height)
      let count = min(stripRows, lines.upperBound - line, height - first)
      body(n, first..<(first + count))
      line += count
    }
  }

  /// The product over the windows of some lines of an image, a group each; copies what they touch into the strip first.
  private func product(_ call: KernelCall, image n: Int, _ lines: Range<Int>) -> ckernels_product {
    let y = step.outputShape
    let pixelStride = step.isOfPicture ? step.inputShape.c : call.view(step.input).pixelStride
    let stride = step.convolution.stride
    var source = call.image(step.input, n)
    var (rowLength, pixelLength) = (step.inputShape.w * pixelStride, pixelStride)
    if isReadInPlace {
      source += lines.lowerBound * stride.h * rowLength
    } else {
      strip.copy(source, pixelStride: pixelStride, under: lines, to: call.scratch)
      source = UnsafePointer(call.scratch)
      (rowLength, pixelLength) = (strip.rowLength, strip.channels)
    }
    var product = product(
      call, image: n, line: lines.lowerBound, rows: y.w, depth: segmentLength, from: source,
      stride: stride.w * pixelLength)
    product.segments = segments.pointer
    product.segment_count = segments.count
    product.groups = lines.count
    product.group_stride = stride.h * rowLength
    product.out_group_stride = y.w * product.out_row_stride
    product.residual_group_stride = y.w * product.residual_row_stride
    return product
  }

  /// A product whose first row is the first pixel of an image's line.
  private func product(
    _ call: KernelCall, image n: Int, line: Int, rows: Int, depth: Int, from source: UnsafePointer<Float>, stride: Int
  ) -> ckernels_product {
    let pixel = line * step.outputShape.w
    let out = call.view(step.output)
    var product = ckernels_product(
      rows: rows, depth: depth, from: source, stride: stride,
      to: out.base + n * out.imageStride + pixel * out.pixelStride,
      stride: out.pixelStride, bias: UnsafePointer(bias.floats), activation: step.activation?.code ?? 0)
    if let residual = step.residual {
      let r = call.view(residual)
      product.residual = UnsafePointer(r.base + n * r.imageStride + pixel * r.pixelStride)
      product.residual_row_stride = r.pixelStride
    }
    return product
  }
}
