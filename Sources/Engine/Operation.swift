/// What a node computes.
///
/// Parameters have PyTorch's names, meanings and defaults unless said otherwise.
package enum Operation: Equatable, Sendable {
  /// Weight: outChannels × inChannels/groups × kernelH × kernelW.
  case convolution(Convolution)
  /// Inference form: (x − running_mean) / √(running_var + epsilon) · weight + bias, a channel.
  case batchNorm(epsilon: Float)
  case activation(Activation)
  case maxPool(Pooling)
  case averagePool(Pooling)
  /// Mean over H and W; the result has H = W = 1.
  case globalAveragePool
  /// `torch.nn.AdaptiveAvgPool2d`: the output is height × width whatever comes in.
  case adaptiveAveragePool(height: Int, width: Int)
  /// Weight: outFeatures × inFeatures. The input is read in C, H, W order.
  case linear(Linear)
  /// Element by element; both inputs of one shape.
  case add
  /// Element by element; the second input may have H = W = 1 and is then spread over the first.
  case multiply
  /// Along C.
  case concatenate
  /// C, H, W become one axis, in that order.
  case flatten
  /// Over C.
  case softmax
  /// `torch.nn.LocalResponseNorm`.
  case localResponseNorm(size: Int, alpha: Float, beta: Float, k: Float)
  /// Identity when answering.
  case dropout(probability: Float)
}

/// An element-wise function.
package enum Activation: String, Equatable, Sendable, CaseIterable {
  case relu
  case relu6
  /// x · sigmoid(x).
  case silu
  /// x · relu6(x + 3) / 6.
  case hardSwish = "hard_swish"
  /// relu6(x + 3) / 6.
  case hardSigmoid = "hard_sigmoid"
  case sigmoid
  case tanh
}

/// Two extents, down and across.
package struct Extent2D: Hashable, Sendable {
  package var h: Int
  package var w: Int

  package init(h: Int, w: Int) {
    self.h = h
    self.w = w
  }

  /// The same down and across.
  package init(_ both: Int) { self.init(h: both, w: both) }
}

/// What is added around a picture before a window slides over it.
package enum Padding: Equatable, Sendable {
  case explicit(top: Int, left: Int, bottom: Int, right: Int)
  /// TensorFlow's "SAME": output ⌈input / stride⌉, the odd row or column goes to the bottom and right.
  case same

  /// Equal padding on opposite sides, as PyTorch has it.
  package static func symmetric(h: Int, w: Int) -> Padding { .explicit(top: h, left: w, bottom: h, right: w) }
  package static func symmetric(_ both: Int) -> Padding { .symmetric(h: both, w: both) }
}

/// The parameters of a two-dimensional convolution (cross-correlation, as in PyTorch).
package struct Convolution: Equatable, Sendable {
  package var inChannels: Int
  package var outChannels: Int
  package var kernel: Extent2D
  package var stride: Extent2D
  package var padding: Padding
  package var dilation: Extent2D
  package var groups: Int
  package var bias: Bool

  package init(
    inChannels: Int, outChannels: Int, kernel: Extent2D, stride: Extent2D = Extent2D(1),
    padding: Padding = .symmetric(0), dilation: Extent2D = Extent2D(1), groups: Int = 1, bias: Bool = true
  ) {
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    self.bias = bias
  }
}

/// The parameters of a sliding maximum or mean.
package struct Pooling: Equatable, Sendable {
  package var kernel: Extent2D
  package var stride: Extent2D
  package var padding: Padding
  package var dilation: Extent2D
  /// Round the output's extents up; a window that would start in the padding behind the picture is dropped.
  package var ceilMode: Bool
  /// Whether a mean divides by the window's size including padding; maximum ignores it.
  package var countIncludePad: Bool

  package init(
    kernel: Extent2D, stride: Extent2D, padding: Padding = .symmetric(0), dilation: Extent2D = Extent2D(1),
    ceilMode: Bool = false, countIncludePad: Bool = true
  ) {
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.ceilMode = ceilMode
    self.countIncludePad = countIncludePad
  }
}

/// The parameters of a fully connected layer.
package struct Linear: Equatable, Sendable {
  package var inFeatures: Int
  package var outFeatures: Int
  package var bias: Bool

  package init(inFeatures: Int, outFeatures: Int, bias: Bool = true) {
    self.inFeatures = inFeatures
    self.outFeatures = outFeatures
    self.bias = bias
  }
}
