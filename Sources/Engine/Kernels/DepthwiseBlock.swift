internal import CKernels

/// A depthwise convolution, and around it, if they were fused, the 1×1 convolutions that widen its input and narrow its
/// output: a few rows at a time, so that the wide numbers never leave the second-level cache.
struct DepthwiseBlock: StepKernel {
  /// A 1×1 convolution before or after.
  struct Pointwise: Sendable {
    let step: ConvolutionStep
    let matrix: MatrixProduct
    let bias: FloatMemory

    init(_ step: ConvolutionStep, _ weights: ConvolutionWeights, _ kind: MatrixProduct.Kind, _ kernels: Kernels) {
      self.step = step
      let c = step.convolution
      matrix = MatrixProduct(
        WeightMatrix.of(weights.weights, outputs: c.outChannels, inputs: c.inChannels, area: 1), depth: c.inChannels,
        outputs: c.outChannels, kind, kernels: kernels)
      bias = WeightMatrix.padded(weights.bias)
    }
  }

  private let step: ConvolutionStep
  private let kernels: Kernels
  private let strip: InputStrip
  private let weights: FloatMemory
  private let bias: FloatMemory
  private let expansion: Pointwise?
  private let projection: Pointwise?
  /// A per-lane value that gets the sums over all pixels, a channel.
  private let sums: Int?

  init(
    _ step: ConvolutionStep, _ numbers: ConvolutionWeights, expansion: Pointwise?, projection: Pointwise?, sums: Int?,
    _ kernels: Kernels
  ) {
    self.step = step
    self.kernels = kernels
    self.expansion = expansion
    self.projection = projection
    self.sums = sums
    strip = InputStrip(step)
    let area = step.convolution.kernel.h * step.convolution.kernel.w
    weights = WeightMatrix.of(numbers.weights, outputs: step.convolution.outChannels, inputs: 1, area: area)
    bias = WeightMatrix.padded(numbers.bias)
  }

  var inputs: [Int] {
    [expansion?.step.input ?? step.input] + (projection?.step.residual.map { [$0] } ?? [])
  }
  var outputs: [Int] { [projection?.step.output ?? step.output] + (sums.map { [$0] } ?? []) }
  var algorithm: String {
    (expansion == nil ? "" : "1×1 + ") + "depthwise" + (projection == nil ? "" : " + 1×1")
      + ((expansion ?? projection)?.matrix.kind.suffix ?? "")
  }
  var weightBytes: Int {
    [expansion, projection].reduce(weights.byteCount + bias.byteCount) { sum, pointwise in
      sum + (pointwise.map { $0.matrix.memory.byteCount + $0.bias.byteCount } ?? 0)
    }
  }

  private var channels: Int { strip.channels }
  private var outRowFloats: Int { step.outputShape.w * channels }

  /// Output rows that pass at a time: as many as leave all between in the second-level cache.
  private var blockRows: Int {
    let between = strip.rowLength * step.convolution.stride.h + (projection == nil ? 0 : outRowFloats)
    return min(step.outputShape.h, max(1, 98304 / max(1, between)))
  }

  /// Input rows in memory at a time, in a ring.
  private var ringRows: Int { strip.inputRows(under: blockRows) }

  /// Scratch floats for the wide numbers; those of the products lie behind.
  private var betweenFloats: Int {
    let floats = (ringRows + 1) * strip.rowLength + (projection == nil ? 0 : blockRows * outRowFloats)
    return (floats + 15) / 16 * 16
  }

  func scratchFloats(batch: Int, lanes: Int) -> Int {
    let products = [
      expansion?.matrix.scratchFloats(rows: ringRows * step.inputShape.w, segments: 1),
      projection?.matrix.scratchFloats(rows: blockRows * step.outputShape.w, segments: 1),
    ]
    return betweenFloats + products.reduce(0) { max($0, $1 ?? 0) }
  }

  func run(_ call: KernelCall) {
    let rows = call.count * step.outputShape.h
    var ring = Ring(call.scratch, rowLength: strip.rowLength, rows: isReadInPlace(call) ? 0 : ringRows)
    ring.clear(left: paddedPixels.left * channels, right: paddedPixels.right * channels)
    if let sums {
      clear(sums, call)
      // What a lane adds up must not depend on how fast it is.
      run(call, &ring, rows: call.share(of: rows))
    } else {
      // Where a piece begins, rows are widened a second time.
      call.eachPart(of: rows, least: expansion == nil ? 1 : 2 * step.convolution.kernel.h) {
        run(call, &ring, rows: $0)
      }
    }
  }

  /// Some rows of the batch.
  private func run(_ call: KernelCall, _ ring: inout Ring, rows mine: Range<Int>) {
    let height = step.outputShape.h
    var row = mine.lowerBound
    while row < mine.upperBound {
      let (n, first) = (row / height, row % height)
      let count = min(blockRows, mine.upperBound - row, height - first)
      if ring.rows > 0 { fill(&ring, call, image: n, under: first..<(first + count)) }
      compute(ring, call, image: n, rows: first..<(first + count))
      row += count
    }
  }

  /// Rows that lie in memory as kernels want them need no ring.
  private func isReadInPlace(_ call: KernelCall) -> Bool {
    expansion == nil && call.view(step.input).pixelStride == channels
  }

  /// Pixels of zeros that a row in the ring begins and ends with.
  private var paddedPixels: (left: Int, right: Int) {
    let left = min(step.edges.left, step.touched.w)
    return (left, step.touched.w - left - min(step.inputShape.w, step.touched.w - left))
  }

  /// Each lane adds to its own row of sums; a lane without pixels leaves zeros.
  private func clear(_ sums: Int, _ call: KernelCall) {
    for n in 0..<call.count { (call.target(sums, n) + call.lane * channels).update(repeating: 0, count: channels) }
  }

  /// Brings the input rows under some output rows into the ring, but for those that are there.
  private func fill(_ ring: inout Ring, _ call: KernelCall, image n: Int, under rows: Range<Int>) {
    let first = rows.lowerBound * step.convolution.stride.h - step.edges.top
    let wanted = max(0, first)..<max(0, min(step.inputShape.h, first + strip.inputRows(under: rows.count)))
    if ring.image != n {
      ring.image = n
      ring.end = wanted.lowerBound
    }
    var next = max(ring.end, wanted.lowerBound)
    while next < wanted.upperBound {
      let run = min(wanted.upperBound - next, ring.rows - next % ring.rows)
      if let expansion {
        expand(expansion, call, image: n, rows: next..<(next + run), to: ring.row(next))
      } else {
        let pixelStride = call.view(step.input).pixelStride
        for y in next..<(next + run) {
          strip.copyRow(call.image(step.input, n), pixelStride: pixelStride, y, to: ring.row(y))
        }
      }
      next += run
    }
    ring.end = max(ring.end, wanted.upperBound)
  }

  private func expand(
    _ expansion: Pointwise, _ call: KernelCall, image n: Int, rows: Range<Int>, to row: UnsafeMutablePointer<Float>
  ) {
    let view = call.view(expansion.step.input)
    let left = paddedPixels.left
    let width = step.inputShape.w
    var product = ckernels_product(
      rows: min(width, step.touched.w - left), depth: expansion.matrix.depth,
      from: call.image(expansion.step.input, n) + rows.lowerBound * width * view.pixelStride, stride: view.pixelStride,
      to: row + left * channels, stride: channels, bias: UnsafePointer(expansion.bias.floats),
      activation: expansion.step.activation?.code ?? 0)
    product.groups = rows.count
    product.group_stride = width * view.pixelStride
    product.out_group_stride = strip.rowLength
    expansion.matrix.run(product, columns: 0..<expansion.matrix.columns, scratch: call.scratch + betweenFloats)
  }

  private func compute(_ ring: Ring, _ call: KernelCall, image n: Int, rows: Range<Int>) {
    let c = step.convolution
    let view = call.view(projection == nil ? step.output : 0)
    var geometry = ckernels_depthwise(
      rows: UnsafePointer(ring.base), nothing: UnsafePointer(ring.nothing), row_stride: strip.rowLength,
      ring_rows: ring.rows, height: step.inputShape.h, width: step.touched.w, top: step.edges.top, left: 0,
      channels: channels, pixel_stride: channels, out_width: step.outputShape.w,
      out_pixel_stride: projection == nil ? view.pixelStride : channels, kernel_h: c.kernel.h, kernel_w: c.kernel.w,
      stride_h: c.stride.h, stride_w: c.stride.w, dilation_h: c.dilation.h, dilation_w: c.dilation.w,
      weights: weights.floats, bias: bias.floats, activation: step.activation?.code ?? 0)
    if ring.rows == 0 {
      geometry.rows = call.image(step.input, n)
      geometry.row_stride = step.inputShape.w * channels
      geometry.ring_rows = step.inputShape.h
      geometry.width = step.inputShape.w
      geometry.left = step.edges.left
    }
    let out =
      projection == nil
      ? view.base + n * view.imageStride + rows.lowerBound * step.outputShape.w * view.pixelStride : ring.behind
    kernels.table.pointee.depthwise(
      &geometry, rows.lowerBound, rows.count, out, sums.map { call.target($0, n) + call.lane * channels })
    if let projection { project(projection, call, image: n, rows: rows, from: out) }
  }

  private func project(
    _ projection: Pointwise, _ call: KernelCall, image n: Int, rows: Range<Int>,
    from between: UnsafeMutablePointer<Float>
  ) {
    let width = step.outputShape.w
    let y = call.view(projection.step.output)
    var product = ckernels_product(
      rows: rows.count * width, depth: projection.matrix.depth, from: UnsafePointer(between), stride: channels,
      to: y.base + n * y.imageStride + rows.lowerBound * width * y.pixelStride, stride: y.pixelStride,
      bias: UnsafePointer(projection.bias.floats), activation: projection.step.activation?.code ?? 0)
    if let residual = projection.step.residual {
      let r = call.view(residual)
      product.residual = call.image(residual, n) + rows.lowerBound * width * r.pixelStride
      product.residual_row_stride = r.pixelStride
    }
    projection.matrix.run(product, columns: 0..<projection.matrix.columns, scratch: call.scratch + betweenFloats)
  }
}

/// The padded input rows that are in memory: row y lies in slot y mod rows, and behind all slots a row of zeros.
private struct Ring {
  let base: UnsafeMutablePointer<Float>
  let rowLength: Int
  let rows: Int
  /// The image whose rows these are, and the row after the last.
  var image = -1
  var end = 0

  init(_ base: UnsafeMutablePointer<Float>, rowLength: Int, rows: Int) {
    self.base = base
    self.rowLength = rowLength
    self.rows = rows
  }

  /// Zeros where nothing else is written: so many floats at both ends of each row, and the row of zeros.
  func clear(left: Int, right: Int) {
    for row in 0..<rows {
      (base + row * rowLength).update(repeating: 0, count: left)
      (base + (row + 1) * rowLength - right).update(repeating: 0, count: right)
    }
    nothing.update(repeating: 0, count: rowLength)
  }

  func row(_ y: Int) -> UnsafeMutablePointer<Float> { base + y % rows * rowLength }

  var nothing: UnsafeMutablePointer<Float> { base + rows * rowLength }
  var behind: UnsafeMutablePointer<Float> { base + (rows + 1) * rowLength }
}
