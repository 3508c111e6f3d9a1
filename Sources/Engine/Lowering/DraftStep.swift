/// A step in the making: what is computed and what was fused into it, before weights are packed for it.
struct DraftStep {
  enum Operation {
    case convolution(DraftConvolution)
    /// With the 1×1 convolutions before and after, and the value that gets sums of its output.
    case depthwise(expansion: DraftConvolution?, DraftConvolution, projection: DraftConvolution?, sums: Int?)
    /// The shape is that of one image of the input in memory.
    case linear(Linear, Shape)
    /// Batch norm that stands alone.
    case affine
    case activation
    case maxPool(Window)
    case averagePool(Window, countIncludePad: Bool)
    case adaptiveAveragePool
    /// A mean from the sums that another step left; the shape is of what was summed.
    case meanOfSums(Shape)
    case add
    case multiply
    case concatenate
    case flatten
    case softmax
    case localResponseNorm(size: Int, alpha: Float, beta: Float, k: Float)
    /// The picture, brought into padded pixels.
    case load
  }

  /// Of the node that it began with.
  var name: String
  var operation: Operation
  /// Values by number; for convolutions those of its `ConvolutionStep`s.
  var inputs: [Int]
  var output: Int
  var norm: DraftNorm?
  var activation: Activation?
  /// A value that is added before the activation; of linear layers.
  var residual: Int?
}

/// A batch norm that is folded into weights.
struct DraftNorm {
  var name: String
  var epsilon: Float
}

/// A convolution and where its numbers come from.
struct DraftConvolution {
  /// Of the node, and so of its tensors.
  var name: String
  var norm: DraftNorm?
  var step: ConvolutionStep
}
