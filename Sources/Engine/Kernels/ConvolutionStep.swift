/// A convolution with all that was fused into it: where it reads, what it adds, where it writes.
struct ConvolutionStep: Sendable {
  var convolution: Convolution
  var window: Window
  /// Of one image.
  var inputShape: Shape
  var outputShape: Shape
  var input: Int
  var output: Int
  /// A value that is added before the activation.
  var residual: Int?
  /// A value of 1×1 pixels whose channels the input's are multiplied with.
  var scale: Int?
  var activation: Activation?
  /// Whether of every two by two of its results the largest alone is written, to half of `outputShape`'s rows and columns,
  /// rounded down; only for Winograd's algorithm.
  var takesMaxima = false

  var isOfPicture: Bool { input == 0 }

  var inputs: [Int] { [input] + (residual.map { [$0] } ?? []) + (scale.map { [$0] } ?? []) }

  /// The residual, unless it is read for something else too: the output may take its memory where sums are whole when the
  /// output is first written.
  var replacedResidual: Int? { residual == input || residual == scale ? nil : residual }

  var isDepthwise: Bool {
    convolution.groups == convolution.inChannels && convolution.outChannels == convolution.inChannels
      && convolution.groups > 1
  }

  /// Whether every output pixel is a product of the input pixel at its own place.
  var isPointwise: Bool {
    convolution.kernel == Extent2D(1) && convolution.stride == Extent2D(1) && convolution.groups == 1
      && inputShape.h == outputShape.h && inputShape.w == outputShape.w
  }

  var edges: (top: Int, left: Int, bottom: Int, right: Int) { window.edges(for: inputShape) }

  /// Rows and columns of the padded input that windows touch.
  var touched: Extent2D {
    Extent2D(
      h: (outputShape.h - 1) * convolution.stride.h + (convolution.kernel.h - 1) * convolution.dilation.h + 1,
      w: (outputShape.w - 1) * convolution.stride.w + (convolution.kernel.w - 1) * convolution.dilation.w + 1)
  }

  /// Whether no window leaves the picture.
  var needsNoPadding: Bool {
    edges.top == 0 && edges.left == 0 && touched.h <= inputShape.h && touched.w <= inputShape.w
  }

  /// Rows of the weights as a matrix: one for each number under the window.
  var depth: Int { convolution.kernel.h * convolution.kernel.w * convolution.inChannels / convolution.groups }
}

/// Numbers of a convolution in PyTorch's order (out, in / groups, h, w), batch norm folded in.
struct ConvolutionWeights {
  var weights: [Float]
  var bias: [Float]

  /// Reads all of a layer's numbers and multiplies them with its scales.
  init(_ rows: WeightRows) throws(EngineError) {
    bias = rows.bias
    weights = []
    try rows.each(max(1, rows.outputs)) { _, numbers in weights = Array(numbers) }
    guard let scale = rows.scale else { return }
    for out in 0..<rows.outputs {
      for place in (out * rows.rowFloats)..<((out + 1) * rows.rowFloats) { weights[place] *= scale.floats[out] }
    }
  }
}

/// The ways to compute a convolution; each layer takes the fastest that is allowed.
package enum ConvolutionAlgorithm: String, Sendable, CaseIterable {
  /// A product over windows read where they lie; for 1×1 a plain product.
  case product
  /// The same with operands rounded to bf16.
  case bf16Product = "bf16 product"
  /// The same by OpenBLAS, windows copied together.
  case library
  /// Winograd's F(2×2,3×3), F(4×4,3×3).
  case winograd2
  case winograd4
  case libraryWinograd2 = "library winograd2"
  case libraryWinograd4 = "library winograd4"

  var isLibrary: Bool { self == .library || self == .libraryWinograd2 || self == .libraryWinograd4 }

  var productKind: MatrixProduct.Kind { self == .bf16Product ? .bf16 : isLibrary ? .library : .own }

  /// Output pixels along an edge of Winograd's tile; nil for the others.
  var tileExtent: Int? {
    switch self {
    case .product, .bf16Product, .library: nil
    case .winograd2, .libraryWinograd2: 2
    case .winograd4, .libraryWinograd4: 4
    }
  }
}

extension ConvolutionStep {
  /// Whether Winograd's algorithm can compute it.
  private var fitsWinograd: Bool {
    let c = convolution
    return c.kernel == Extent2D(3) && c.stride == Extent2D(1) && c.dilation == Extent2D(1) && c.groups == 1
      && !isOfPicture && scale == nil && (edges.top, edges.left) <= (2, 2)
  }

  /// Whether it could write the largest of every two by two of its results, if Winograd's algorithm computes it.
  var canTakeMaxima: Bool {
    residual == nil && [nil, .relu, .relu6].contains(activation) && !takesMaxima
  }

  /// What may compute it under these options, at least one; OpenBLAS's alone if it is asked for.
  func algorithms(_ options: EngineOptions) -> [ConvolutionAlgorithm] {
    let fitting = ConvolutionAlgorithm.allCases.filter {
      $0 == .bf16Product
        ? options.usesBF16 && convolution.groups == 1 : $0.tileExtent == nil || (fitsWinograd && !options.isExact)
    }
    if let forced = options.forcedAlgorithm, fitting.contains(forced) {
      return forced == .product && fitting.contains(.bf16Product) ? [.product, .bf16Product] : [forced]
    }
    switch options.products {
    case .automatic: return fitting
    case .own: return fitting.filter { !$0.isLibrary }
    case .openBLAS: return fitting.filter(\.isLibrary)
    }
  }

  /// Packs the weights for an algorithm.
  func kernel(
    _ algorithm: ConvolutionAlgorithm, _ weights: WeightRows, _ kernels: Kernels
  ) throws(EngineError) -> any StepKernel {
    if let tile = algorithm.tileExtent {
      return try WinogradConvolution(self, weights, tile: tile, isLibrary: algorithm.isLibrary, kernels)
    }
    if convolution.groups > 1 {
      return GroupedConvolution(
        self, try ConvolutionWeights(weights), isLibrary: algorithm.isLibrary, kernels)
    }
    if isPointwise && !isOfPicture {
      return try PointwiseConvolution(self, weights, algorithm.productKind, kernels)
    }
    return try WindowConvolution(self, weights, algorithm.productKind, kernels)
  }
}
