/// One kernel call of a network in bytes.
///
/// Weights are counted in bytes and factors in floats from the start of the network's memory for them.
struct QuantizedStep: Sendable {
  /// A dense or grouped convolution, or a linear layer (a window of one pixel).
  struct Product: Sendable {
    /// Nil for a linear layer.
    var window: Window?
    var groups = 1
    /// Bytes of each pixel that a group reads: its channels rounded up to 4.
    var length: Int
    /// Bytes that make one sum: taps · length.
    var depth: Int
    /// Output channels of a group.
    var columns: Int
    /// Of each group.
    var weights: [Int]
    var results: Results

    /// Whether every output pixel is a product of the input pixel at its own place.
    func isPointwise(from x: Shape, to y: Shape) -> Bool {
      window?.kernel == Extent2D(1) && window?.stride == Extent2D(1) && groups == 1 && (x.h, x.w) == (y.h, y.w)
    }

    /// Output channels of a group in whole blocks.
    var paddedColumns: Int { (columns + 31) / 32 * 32 }
  }

  /// How sums become the numbers of the next value.
  struct Results: Sendable {
    var scale: Int
    var bias: Int
    /// The value that is added, and what the quanta of its channels count.
    var residual: (value: Int, scale: Int)?
    var activation: Activation?
    var quanta: Float = 1
    var zero: Float = 0
    var low: Float = 0
    var high: Float = 255
  }

  enum Kernel: Sendable {
    case product(Product)
    /// A dense 3×3 convolution of stride 1 by Winograd's algorithm.
    case winograd(Window, weights: Int, results: Results)
    case depthwise(Window, weights: Int, results: Results)
    case maximum(Window)
    /// Without a window: adaptive, to the output's extents.
    case average(Window?, countIncludePad: Bool)
    /// Factors of both parts and what is added to their sum.
    case add(first: Int, second: Int, bias: Int, low: Float, high: Float)
    /// Zero points of both parts, the product's factor and the result's zero point.
    case gate(first: Int, second: Int, scale: Int, zero: Int)
    case concatenate
    /// 256 bytes a channel from `table` on say what each byte becomes.
    case lookUp(table: Int)
    case flatten
    /// Floats to bytes, each channel with its factor and zero point.
    case quantize(scale: Int, zero: Int)
    case dequantize
    case softmax
    case localResponseNorm(size: Int, alpha: Float, beta: Float, k: Float)

    /// What it does, in words for a table of layers.
    var algorithm: String {
      switch self {
      case .product(let p): p.window?.kernel == Extent2D(1) ? "product" : p.window == nil ? "linear" : "windows"
      case .winograd: "Winograd F(2×2,3×3)"
      case .depthwise: "depthwise"
      case .maximum: "maxima"
      case .average: "means"
      case .add: "sum"
      case .gate: "gate"
      case .concatenate: "concatenation"
      case .lookUp: "table"
      case .flatten: "flattening"
      case .quantize: "to bytes"
      case .dequantize: "to floats"
      case .softmax: "softmax"
      case .localResponseNorm: "response norm"
      }
    }
  }

  /// The node by whose name the graph knows the value that comes out.
  var name: String
  var kernel: Kernel
  /// Values by number; 0 is the picture as floats.
  var inputs: [Int]
  var output: Int
}

/// A tensor of a network in bytes, for one image.
struct QuantizedValue: Sendable {
  var shape: Shape
  /// One a channel; nil while it is kept in floats.
  var scales: [ByteScale]?

  /// Bytes from pixel to pixel; floats lie densely.
  var stride: Int { scales == nil ? shape.c * 4 : (shape.c + 3) / 4 * 4 }
  var byteCount: Int { shape.h * shape.w * stride }
}
