internal import CKernels

/// A depthwise convolution, and around it, if they were fused, the 1×1 convolutions that widen its input and narrow its
/// output: a few rows at a time, so that the wide numbers never leave the second-level cache.
struct DepthwiseBlock: StepKernel {
  /// A 1×1 convolution before or after.
  struct Pointwise: Sendable {
    let step: ConvolutionStep
    let matrix: MatrixProduct
    let bias: FloatMemory

    init(_ step: ConvolutionStep, _ weights: ConvolutionWeights, isLibrary: Bool, _ kernels: Kernels) {
      self.step = step
      let c = step.convolution
      matrix = MatrixProduct(
        WeightMatrix.of(weights.weights, outputs: c.outChannels, inputs: c.inChannels, area: 1), depth: c.inChannels,
        columns: Value.padded(c.outChannels), isLibrary: isLibrary, kernels: kernels)
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
      + (step.residual.map { [$0] } ?? [])
  }
  var outputs: [Int] { [projection?.step.output ?? step.output] + (sums.map { [$0] } ?? []) }
  var algorithm: String {
    (expansion == nil ? "" : "1×1 + ") + "depthwise" + (projection == nil ? "" : " + 1×1")
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

  func scratchFloats(batch: Int, lanes: Int) -> Int {
    let between = (ringRows + 1) * strip.rowLength + (projection == nil ? 0 : blockRows * outRowFloats)
    return between
  }

  func run(_ call: KernelCall) {
    let y = step.outputShape
    if let sums { clear(sums, call) }
    let mine = call.share(of: call.count * y.h)
    guard !mine.isEmpty else { return }
    var ring = Ring(call.scratch, rowLength: strip.rowLength, rows: ringRows)
    ring.clear()
    var row = mine.lowerBound
    while row < mine.upperBound {
      let (n, first) = (row / y.h, row % y.h)
      let count = min(blockRows, mine.upperBound - row, y.h - first)
      fill(&ring, call, image: n, under: first..<(first + count))
      compute(ring, call, image: n, rows: first..<(first + count))
      row += count
    }
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
    let left = min(step.edges.left, step.touched.w)
    let width = step.inputShape.w
    var product = ckernels_product(
      rows: min(width, step.touched.w - left), depth: expansion.matrix.depth,
      from: call.image(expansion.step.input, n) + rows.lowerBound * width * view.pixelStride, stride: view.pixelStride,
      to: row + left * channels, stride: channels, bias: UnsafePointer(expansion.bias.floats),
      activation: expansion.step.activation?.code ?? 0)
    product.groups = rows.count
    product.group_stride = width * view.pixelStride
    product.out_group_stride = strip.rowLength
    expansion.matrix.run(product, columns: 0..<expansion.matrix.columns, scratch: row)
  }

  private func compute(_ ring: Ring, _ call: KernelCall, image n: Int, rows: Range<Int>) {
    let c = step.convolution
    let view = call.view(projection == nil ? step.output : 0)
    let between = ring.behind
    var geometry = ckernels_depthwise(
      channels: channels, kernel_h: c.kernel.h, kernel_w: c.kernel.w, stride: c.stride.w, dilation: c.dilation.w,
      out_width: step.outputShape.w, pixel_stride: channels,
      out_pixel_stride: projection == nil ? view.pixelStride : channels, weights: weights.floats, bias: bias.floats,
      activation: step.residual == nil ? step.activation?.code ?? 0 : 0)
    withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: c.kernel.h) { sources in
      guard let base = sources.baseAddress else { return }
      for oy in rows {
        for ky in 0..<c.kernel.h {
          let y = oy * c.stride.h - step.edges.top + ky * c.dilation.h
          base[ky] = UnsafePointer(y >= 0 && y < step.inputShape.h ? ring.row(y) : ring.nothing)
        }
        let out =
          projection == nil
          ? view.base + n * view.imageStride + oy * step.outputShape.w * view.pixelStride
          : between + (oy - rows.lowerBound) * outRowFloats
        kernels.table.pointee.depthwise_row(&geometry, base, out)
        if let residual = step.residual { add(residual, call, image: n, row: oy, to: out, geometry.out_pixel_stride) }
        if let sums {
          kernels.table.pointee.sum_rows(
            out, geometry.out_pixel_stride, step.outputShape.w, channels, call.target(sums, n) + call.lane * channels)
        }
      }
    }
    if let projection { project(projection, call, image: n, rows: rows, from: between) }
  }

  private func add(
    _ residual: Int, _ call: KernelCall, image n: Int, row: Int, to out: UnsafeMutablePointer<Float>, _ stride: Int
  ) {
    let view = call.view(residual)
    var pass = ckernels_rows(
      UnsafePointer(out), stride: stride, to: out, stride: stride, rows: step.outputShape.w, channels: channels,
      activation: step.activation?.code ?? 0)
    pass.b = call.image(residual, n) + row * step.outputShape.w * view.pixelStride
    pass.b_stride = view.pixelStride
    kernels.table.pointee.rows(&pass)
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
    projection.matrix.run(product, columns: 0..<projection.matrix.columns, scratch: between)
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

  /// Zeros everywhere: the padding left and right stays so.
  func clear() { base.update(repeating: 0, count: (rows + 1) * rowLength) }

  func row(_ y: Int) -> UnsafeMutablePointer<Float> { base + y % rows * rowLength }

  var nothing: UnsafeMutablePointer<Float> { base + rows * rowLength }
  var behind: UnsafeMutablePointer<Float> { base + (rows + 1) * rowLength }
}
