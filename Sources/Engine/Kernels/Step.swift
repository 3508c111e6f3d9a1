/// A tensor between steps, one image of it.
struct Value: Sendable {
  /// What a number of it is stored as.
  enum NumberType: Sendable { case float32 }

  /// The node that it comes from.
  let name: String
  var shape: Shape
  var type = NumberType.float32
  /// Where it lies inside another value, from which channel on; nil if it has memory of its own.
  var container: (value: Int, channel: Int)?
  /// A row of channels for each lane, to be added up by the reader.
  var isPerLane = false

  init(name: String, shape: Shape, isPerLane: Bool = false) {
    self.name = name
    self.shape = shape
    self.isPerLane = isPerLane
  }

  /// Floats a pixel takes in memory of its own.
  var paddedChannels: Int { Self.padded(shape.c) }

  /// Kernels work on whole vectors: channels are padded to a multiple of 16.
  static func padded(_ channels: Int) -> Int { (channels + 15) / 16 * 16 }
}

/// One kernel call of a compiled network.
struct Step: Sendable {
  /// The node that it began with.
  var name: String
  var kernel: any StepKernel
}

/// Computes one step of a network for a batch; immutable and shared by all replicas and lanes.
protocol StepKernel: Sendable {
  /// Values that it reads; 0 is the picture.
  var inputs: [Int] { get }
  /// Values that it writes.
  var outputs: [Int] { get }
  /// An input of which each number is read once, just before the output's at the same place is written: its memory may be the
  /// output's. nil if there is none.
  var replaced: Int? { get }
  /// What it does, in a word or two for people.
  var algorithm: String { get }

  /// Weights and other numbers of its own that it holds, in bytes.
  var weightBytes: Int { get }

  /// Scratch floats that a lane needs.
  func scratchFloats(batch: Int, lanes: Int) -> Int

  /// Computes this lane's share; the lanes of a step do not wait for each other.
  func run(_ call: KernelCall)
}

extension StepKernel {
  var replaced: Int? { nil }

  var weightBytes: Int { 0 }

  func scratchFloats(batch: Int, lanes: Int) -> Int { 0 }
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
