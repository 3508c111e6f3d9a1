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

  /// The weights' features are in C, H, W order of `inputShape`; zeros meet the padding between pixels.
  init(
    input: Int, inputShape: Shape, output: Int, residual: Int?, activation: Activation?, _ weights: WeightRows,
    _ kind: MatrixProduct.Kind, _ kernels: Kernels
  ) throws(EngineError) {
    self.input = input
    self.output = output
    self.residual = residual
    self.activation = activation
    let area = inputShape.h * inputShape.w
    matrix = try MatrixProduct(
      weights, inputs: inputShape.c, height: area > 1 ? Value.padded(inputShape.c) : inputShape.c, area: area,
      kind, kernels: kernels)
    bias = WeightMatrix.padded(weights.bias)
  }

  var inputs: [Int] { [input] + (residual.map { [$0] } ?? []) }
  var outputs: [Int] { [output] }
  var algorithm: String { "linear" + matrix.kind.suffix }
  var weightBytes: Int { matrix.memory.byteCount + bias.byteCount }

  func scratchFloats(batch: Int, lanes: Int) -> Int { matrix.scratchFloats(rows: batch, segments: 1) }

  func run(_ call: KernelCall) {
    let (x, y) = (call.view(input), call.view(output))
    var product = ckernels_product(
      rows: call.count, depth: matrix.depth, from: UnsafePointer(x.base), stride: x.imageStride, to: y.base,
      stride: y.imageStride, bias: UnsafePointer(bias.floats), activation: activation?.code ?? 0)
    if let residual {
      product.residual = UnsafePointer(call.view(residual).base)
      product.residual_row_stride = call.view(residual).imageStride
    }
    call.eachPart(of: matrix.columns, grain: matrix.grain) { matrix.run(product, columns: $0, scratch: call.scratch) }
  }
}
