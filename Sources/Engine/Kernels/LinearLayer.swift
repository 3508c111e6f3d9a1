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

  /// `weights` is outFeatures × inFeatures, features in C, H, W order of `inputShape`.
  init(
    input: Int, inputShape: Shape, output: Int, residual: Int?, activation: Activation?, weights: [Float],
    bias: [Float], isLibrary: Bool, _ kernels: Kernels
  ) {
    self.input = input
    self.output = output
    self.residual = residual
    self.activation = activation
    let features = bias.count
    let area = inputShape.h * inputShape.w
    let columns = Value.padded(features)
    let plain = WeightMatrix.of(weights, outputs: features, inputs: inputShape.c, area: area)
    let padded = Value.padded(inputShape.c)
    var rows = plain
    if padded != inputShape.c, area > 1 {
      // A row for each number in memory: zeros meet the padding between pixels.
      rows = FloatMemory(count: area * padded * columns)
      for place in 0..<area {
        (rows.floats + place * padded * columns).update(
          from: plain.floats + place * inputShape.c * columns, count: inputShape.c * columns)
      }
    }
    matrix = MatrixProduct(
      rows, depth: area > 1 ? area * padded : inputShape.c, columns: columns, isLibrary: isLibrary, kernels: kernels)
    self.bias = WeightMatrix.padded(bias)
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
