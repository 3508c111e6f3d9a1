internal import CKernels

/// A 1×1 convolution: one product over all pixels of the batch, read where they lie.
struct PointwiseConvolution: StepKernel {
  private let step: ConvolutionStep
  private let matrix: MatrixProduct
  private let bias: FloatMemory
  private let kernels: Kernels

  init(_ step: ConvolutionStep, _ weights: WeightRows, _ kind: MatrixProduct.Kind, _ kernels: Kernels)
    throws(EngineError)
  {
    self.step = step
    self.kernels = kernels
    let c = step.convolution
    matrix = try MatrixProduct(
      weights, inputs: c.inChannels, height: c.inChannels, area: 1, kind, kernels: kernels)
    bias = WeightMatrix.padded(weights.bias)
  }

  var inputs: [Int] { step.inputs }
  var outputs: [Int] { [step.output] }
  var replaced: Int? { matrix.isLibrary ? nil : step.replacedResidual }
  var algorithm: String { "1×1" + matrix.kind.suffix }
  var weightBytes: Int { matrix.memory.byteCount + bias.byteCount }

  /// Rows that pass at a time, so that their inputs stay in the second-level cache while all panels pass.
  private var blockRows: Int { max(48, 65536 / max(1, matrix.depth) / 12 * 12) }

  private var area: Int { step.outputShape.h * step.outputShape.w }

  /// Whether factors of the input's channels are multiplied into the weights, which are fewer than the pixels' numbers.
  private var scalesWeights: Bool { step.scale != nil && matrix.kind == .own && matrix.columns < area }

  func scratchFloats(batch: Int, lanes: Int) -> Int {
    if step.scale == nil || matrix.kind == .bf16 {
      return matrix.scratchFloats(rows: min(blockRows, batch * area), segments: 1)
    }
    return scalesWeights ? matrix.depth * matrix.columns : min(blockRows, area) * Value.padded(matrix.depth)
  }

  func run(_ call: KernelCall) {
    let rows = call.count * area
    // Few rows for many lanes: each takes some of the columns.
    if call.lanes > 1 && rows < 24 * call.lanes {
      call.eachPart(of: matrix.columns, grain: matrix.grain) { run(call, rows: 0..<rows, columns: $0) }
    } else {
      // For each piece the weights would be scaled anew.
      let least = scalesWeights ? rows : 1
      call.eachPart(of: rows, grain: area >= 24 ? 12 : 1, least: least) {
        run(call, rows: $0, columns: 0..<matrix.columns)
      }
    }
  }

  /// Some rows of the batch.
  private func run(_ call: KernelCall, rows mine: Range<Int>, columns: Range<Int>) {
    let area = area
    let (x, y) = (call.view(step.input), call.view(step.output))
    let r = step.residual.map { call.view($0) }
    let isOneMatrix =
      step.scale == nil && x.imageStride == area * x.pixelStride && y.imageStride == area * y.pixelStride
      && (r.map { $0.imageStride == area * $0.pixelStride } ?? true)
    let scalesWeights = scalesWeights
    var scaledImage = -1
    var row = mine.lowerBound
    while row < mine.upperBound {
      let (n, pixel) = isOneMatrix ? (0, row) : (row / area, row % area)
      let count = min(blockRows, mine.upperBound - row, isOneMatrix ? Int.max : area - pixel)
      var source = UnsafePointer(x.base + n * x.imageStride + pixel * x.pixelStride)
      var stride = x.pixelStride
      var factors: UnsafePointer<Float>?
      if let scale = step.scale, matrix.kind == .bf16 {
        factors = call.image(scale, n)
      } else if let scale = step.scale, scalesWeights {
        if n != scaledImage { matrix.scale(by: call.image(scale, n), columns: columns, to: call.scratch) }
        scaledImage = n
      } else if let scale = step.scale {
        scaled(source, stride, count, by: call.image(scale, n), to: call.scratch)
        source = UnsafePointer(call.scratch)
        stride = Value.padded(matrix.depth)
      }
      var product = ckernels_product(
        rows: count, depth: matrix.depth, from: source, stride: stride,
        to: y.base + n * y.imageStride + pixel * y.pixelStride, stride: y.pixelStride,
        bias: UnsafePointer(bias.floats), activation: step.activation?.code ?? 0)
      if let r {
        product.residual = UnsafePointer(r.base + n * r.imageStride + pixel * r.pixelStride)
        product.residual_row_stride = r.pixelStride
      }
      matrix.run(
        product, columns: columns, panels: scalesWeights ? UnsafePointer(call.scratch) : nil, factors: factors,
        scratch: call.scratch)
      row += count
    }
  }

  private func scaled(
    _ source: UnsafePointer<Float>, _ stride: Int, _ rows: Int, by factors: UnsafePointer<Float>,
    to scratch: UnsafeMutablePointer<Float>
  ) {
    let channels = Value.padded(matrix.depth)
    kernels.table.pointee.multiply_rows(source, stride, factors, 0, scratch, channels, rows, channels)
  }
}
