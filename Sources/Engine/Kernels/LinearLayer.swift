internal import CKernels

/// A fully connected layer: a product whose rows are the images of the batch.
///
/// A lane computes some of the columns, so that each weight is fetched once.
struct LinearLayer: StepKernel {
  private let input: Int
  private let output: Int
  private let residual: Int?
  private let activation: Activation?
  private let matrix: MatrixProduct
  private let bias: FloatMemory

  /// `eachRows` calls back with the weights, outFeatures × inFeatures, some outFeatures at a time in groups of a multiple of
  /// `grain`; their features are in C, H, W order of `inputShape`.
  init(
    input: Int, inputShape: Shape, output: Int, residual: Int?, activation: Activation?, bias: [Float],
    isLibrary: Bool, _ kernels: Kernels,
    eachRows: (
      _ grain: Int, _ body: (_ rows: Range<Int>, _ weights: [Float]) throws(EngineError) -> Void
    ) throws(EngineError) -> Void
  ) throws(EngineError) {
    self.input = input
    self.output = output
    self.residual = residual
    self.activation = activation
    let area = inputShape.h * inputShape.w
    let columns = Value.padded(bias.count)
    let padded = Value.padded(inputShape.c)
    let depth = area > 1 ? area * padded : inputShape.c
    let memory = FloatMemory(count: depth * columns)
    let panel = kernels.panelColumns
    try eachRows(panel) { rows, weights in
      let part = Self.rows(weights, outputs: rows.count, channels: inputShape.c, padded: padded, area: area)
      let width = Value.padded(rows.count)
      if isLibrary {
        for row in 0..<depth {
          (memory.floats + row * columns + rows.lowerBound).update(from: part.floats + row * width, count: width)
        }
      } else {
        kernels.table.pointee.pack(part.floats, depth, width, memory.floats + rows.lowerBound * depth)
      }
    }
    matrix = MatrixProduct(
      packed: memory, at: 0, depth: depth, outputs: bias.count, isLibrary: isLibrary, kernels: kernels)
    self.bias = WeightMatrix.padded(bias)
  }

  /// Some outputs' weights as a matrix with a row for each number in memory: zeros meet the padding between pixels.
  private static func rows(
    _ weights: [Float], outputs: Int, channels: Int, padded: Int, area: Int
  ) -> FloatMemory {
    let plain = WeightMatrix.of(weights, outputs: outputs, inputs: channels, area: area)
    guard padded != channels, area > 1 else { return plain }
    let columns = Value.padded(outputs)
    let rows = FloatMemory(count: area * padded * columns)
    for place in 0..<area {
      (rows.floats + place * padded * columns).update(
        from: plain.floats + place * channels * columns, count: channels * columns)
    }
    return rows
  }

  var inputs: [Int] { [input] + (residual.map { [$0] } ?? []) }
  var outputs: [Int] { [output] }
  var algorithm: String { matrix.isLibrary ? "linear, OpenBLAS" : "linear" }

  func run(_ call: KernelCall) {
    let (x, y) = (call.view(input), call.view(output))
    var product = ckernels_product(
      rows: call.count, depth: matrix.depth, from: UnsafePointer(x.base), stride: x.imageStride, to: y.base,
      stride: y.imageStride, bias: UnsafePointer(bias.floats), activation: activation?.code ?? 0)
    if let residual {
      product.residual = UnsafePointer(call.view(residual).base)
      product.residual_row_stride = call.view(residual).imageStride
    }
    matrix.run(product, columns: call.share(of: matrix.columns, grain: matrix.grain), scratch: call.scratch)
  }
}
