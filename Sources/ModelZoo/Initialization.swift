package import Engine
internal import Glibc

/// How a network's weights begin, tensor by tensor, as PyTorch's model code has it.
package struct Initialization: Sendable {
  /// The distribution of a weight; fans are counted as `torch.nn.init` counts them.
  enum Rule: Sendable {
    /// Uniform within ±1/√(numbers a output): `reset_parameters` of PyTorch's layers, their biases too.
    case layerDefault
    /// Normal, variance 2 / (outChannels · kernel area).
    case kaimingNormalFanOut
    /// Normal, variance 2 / (numbers an output).
    case kaimingNormalFanIn
    /// Uniform, variance 2 / (numbers an output).
    case kaimingUniformFanIn
    case normal(deviation: Float)
    /// Normal, drawn again beyond ±2: `trunc_normal_` with PyTorch's bounds, which are no multiples of the deviation.
    case truncatedNormal(deviation: Float)
    /// Uniform within ±1/√outFeatures.
    case uniformFanOut
  }

  var convolution: Rule
  var linear: Rule
  /// Biases of convolutions and linear layers start at 0, not as the layer's default has it.
  var zeroConvolutionBias = false
  var zeroLinearBias = false
  /// Rules of single weights, by tensor name.
  var exceptions: [String: Rule] = [:]

  static let layerDefaults = Initialization(convolution: .layerDefault, linear: .layerDefault)
}

/// The starting weights of a network: the same for the same graph, rule and seed, each tensor by itself.
package struct InitialWeights: TensorSource, Sendable {
  private let extents: [String: [Int]]
  private let norms: Set<String>
  private let constants: [String: [Float]]
  private let initialization: Initialization
  private let seed: UInt64

  /// - Throws: `EngineError.graph` if the graph contradicts itself.
  package init(graph: Graph, initialization: Initialization, seed: UInt64) throws(EngineError) {
    extents = Dictionary(uniqueKeysWithValues: try graph.requiredTensors().map { ($0.name, $0.extents) })
    norms = Set(
      graph.nodes.compactMap { node -> String? in
        if case .batchNorm = node.operation { return node.name }
        return nil
      })
    constants = graph.constants
    self.initialization = initialization
    self.seed = seed
  }

  package func extents(ofTensor name: String) -> [Int]? { extents[name] }

  package func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let shape = extents[name] else { throw .tensor(name: name, reason: "is not in the graph") }
    if let constant = constants[name] { return constant }
    let count = shape.reduce(1, *)
    let dot = name.lastIndex(of: ".") ?? name.startIndex
    let node = String(name[..<dot])
    let isWeight = name.hasSuffix(".weight")
    if norms.contains(node) {
      return [Float](repeating: isWeight || name.hasSuffix(".running_var") ? 1 : 0, count: count)
    }
    let weightShape = isWeight ? shape : extents[node + ".weight"] ?? shape
    let isLinear = weightShape.count == 2
    if !isWeight, isLinear ? initialization.zeroLinearBias : initialization.zeroConvolutionBias {
      return [Float](repeating: 0, count: count)
    }
    let rule =
      isWeight
      ? initialization.exceptions[name] ?? (isLinear ? initialization.linear : initialization.convolution)
      : .layerDefault
    let perOutput = max(1, weightShape.dropFirst().reduce(1, *))
    let fanOut = max(1, weightShape[0] * weightShape.dropFirst(2).reduce(1, *))
    var random = SeededRandom(seed: seed, name: name)
    switch rule {
    case .layerDefault: return random.uniform(within: 1 / Float(perOutput).squareRoot(), count: count)
    case .kaimingUniformFanIn: return random.uniform(within: (6 / Float(perOutput)).squareRoot(), count: count)
    case .uniformFanOut: return random.uniform(within: 1 / Float(weightShape[0]).squareRoot(), count: count)
    case .kaimingNormalFanIn: return random.normal(deviation: (2 / Float(perOutput)).squareRoot(), count: count)
    case .kaimingNormalFanOut: return random.normal(deviation: (2 / Float(fanOut)).squareRoot(), count: count)
    case .normal(let deviation): return random.normal(deviation: deviation, count: count)
    case .truncatedNormal(let deviation): return random.normal(deviation: deviation, count: count, within: 2)
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014), started from a seed and a tensor's name.
private struct SeededRandom {
  private var state: UInt64

  init(seed: UInt64, name: String) {
    state = name.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  private mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Above 0, at most 1.
  private mutating func unit() -> Double { Double((next() >> 11) + 1) / 9_007_199_254_740_992 }

  mutating func uniform(within bound: Float, count: Int) -> [Float] {
    (0..<count).map { _ in Float(2 * unit() - 1) * bound }
  }

  /// Box and Muller's transform; what passes the bound is drawn again.
  mutating func normal(deviation: Float, count: Int, within bound: Float = .infinity) -> [Float] {
    var numbers: [Float] = []
    numbers.reserveCapacity(count + 1)
    while numbers.count < count {
      let radius = (-2 * log(unit())).squareRoot()
      let angle = 2 * Double.pi * unit()
      for number in [Float(radius * cos(angle)) * deviation, Float(radius * sin(angle)) * deviation]
      where number.magnitude <= bound {
        numbers.append(number)
      }
    }
    if numbers.count > count { numbers.removeLast() }
    return numbers
  }
}
