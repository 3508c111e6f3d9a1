/// One kernel call of a compiled network: what runs, on which values, with which weights.
///
/// Offsets count floats from the start of the network's weights.
struct Step: Sendable {
  enum Kernel: Sendable {
    /// Weights: for each group, (kh·kw·inChannels/groups) × (outChannels/groups), row-major.
    case convolution(Convolution, Window, weights: Int, bias: Int)
    /// Weights: kh × kw × channels.
    case depthwise(Convolution, Window, weights: Int, bias: Int)
    /// Weights: inFeatures × outFeatures, inputs in the memory order of the input value.
    case linear(Linear, weights: Int, bias: Int)
    /// value · scale + shift, a channel.
    case affine(scale: Int, shift: Int)
    case activation
    case maxPool(Window)
    case averagePool(Window, countIncludePad: Bool)
    case adaptiveAveragePool
    case add
    case multiply
    case concatenate
    /// From channels-last to C, H, W order.
    case flatten
    case softmax
    case localResponseNorm(size: Int, alpha: Float, beta: Float, k: Float)
  }

  var name: String
  var kernel: Kernel
  var activation: Activation?
  /// Values by number; 0 is the picture.
  var inputs: [Int]
  var output: Int
}

extension Activation {
  /// The number by which `CKernels` knows the function; 0 is none.
  var code: Int32 {
    switch self {
    case .relu: 1
    case .relu6: 2
    case .silu: 3
    case .hardSwish: 4
    case .hardSigmoid: 5
    case .sigmoid: 6
    case .tanh: 7
    }
  }
}
