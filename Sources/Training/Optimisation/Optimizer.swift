package import Engine
internal import Glibc

/// The rule by which a gradient becomes a step, with PyTorch's parameters, meanings and defaults.
package enum OptimizerRule: Equatable, Sendable {
  /// `torch.optim.SGD`.
  case sgd(momentum: Float, dampening: Float = 0, nesterov: Bool)
  /// `torch.optim.Adam`; with `isDecoupled` `torch.optim.AdamW`, which shrinks the weights apart from the gradient.
  case adam(beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, isDecoupled: Bool)
  /// `torch.optim.RMSprop`.
  case rmsProp(alpha: Float = 0.99, epsilon: Float = 1e-8, momentum: Float = 0, isCentred: Bool = false)

  /// How many numbers the rule remembers for each weight, where a schedule moves the momentum or not.
  func memories(movesMomentum: Bool) -> Int {
    switch self {
    case .sgd(let momentum, _, _): momentum > 0 || movesMomentum ? 1 : 0
    case .adam: 2
    case .rmsProp(_, _, let momentum, let isCentred):
      1 + (momentum > 0 || movesMomentum ? 1 : 0) + (isCentred ? 1 : 0)
    }
  }
}

/// Weights that learn alike.
package struct ParameterGroup: Sendable {
  /// Where they lie in `TrainedWeights.values`.
  package var ranges: [Range<Int>]
  /// Their learning rate is the schedule's times this.
  package var rateFactor: Double
  package var weightDecay: Float

  package init(ranges: [Range<Int>], rateFactor: Double = 1, weightDecay: Float = 0) {
    self.ranges = ranges
    self.rateFactor = rateFactor
    self.weightDecay = weightDecay
  }
}

/// Moves weights against their gradients, and remembers what its rule needs for that.
package final class Optimizer {
  package let rule: OptimizerRule
  package var groups: [ParameterGroup]
  /// How many steps the weights of each range made, by its beginning: those that join later are at their first then, as
  /// with the state that PyTorch keeps of each parameter.
  package internal(set) var stepCounts: [Int: Int] = [:]
  /// What the rule remembers: for each number a weight, an array that lies as the weights do.
  package let memories: [TrainingMemory]

  /// `movesMomentum`: steps will bring a momentum, so that there must be memory for it whatever the rule's own is.
  package init(_ rule: OptimizerRule, groups: [ParameterGroup], count: Int, movesMomentum: Bool = false) {
    self.rule = rule
    self.groups = groups
    memories = (0..<rule.memories(movesMomentum: movesMomentum)).map { _ in TrainingMemory(count: count) }
  }

  /// One step at a learning rate; `momentum` overrides the rule's (OneCycle moves it), if there is memory for one.
  package func step(_ weights: TrainedWeights, rate: Double, momentum: Double? = nil, lanes: any TrainingLanes) {
    for group in groups {
      for range in group.ranges { stepCounts[range.lowerBound, default: 0] += 1 }
    }
    let move = Move(
      rule: rule, momentum: momentum, values: weights.values, gradients: weights.gradients,
      memories: memories.map(\.floats))
    let (groups, counts) = (groups, stepCounts)
    lanes.run { lane in
      for group in groups {
        for range in group.ranges {
          let first = range.lowerBound + range.count * lane / lanes.count
          let end = range.lowerBound + range.count * (lane + 1) / lanes.count
          move.step(
            first..<end, number: counts[range.lowerBound] ?? 1, rate: rate * group.rateFactor,
            weightDecay: group.weightDecay)
        }
      }
    }
  }
}

/// One step over any range of weights.
private struct Move: @unchecked Sendable {
  let rule: OptimizerRule
  let momentum: Double?
  let values: UnsafeMutablePointer<Float>
  let gradients: UnsafeMutablePointer<Float>
  let memories: [UnsafeMutablePointer<Float>]

  /// `number`: of the step, counted from these weights' first.
  func step(_ range: Range<Int>, number: Int, rate: Double, weightDecay: Float) {
    switch rule {
    case .sgd(let own, let dampening, let nesterov):
      // The first gradient is taken whole, as PyTorch does.
      let kept = momentum.map { Float($0) } ?? own
      sgd(range, Float(rate), weightDecay, kept, number == 1 ? 1 : 1 - dampening, nesterov)
    case .adam(let beta1, let beta2, let epsilon, let isDecoupled):
      adam(range, number, rate, weightDecay, momentum ?? Double(beta1), Double(beta2), epsilon, isDecoupled)
    case .rmsProp(let alpha, let epsilon, let own, let isCentred):
      rmsProp(range, Float(rate), weightDecay, alpha, epsilon, momentum.map { Float($0) } ?? own, isCentred)
    }
  }

  private func sgd(
    _ range: Range<Int>, _ rate: Float, _ decay: Float, _ momentum: Float, _ take: Float, _ nesterov: Bool
  ) {
    guard let velocity = memories.first else {
      for i in range { values[i] -= rate * (gradients[i] + decay * values[i]) }
      return
    }
    for i in range {
      let g = gradients[i] + decay * values[i]
      let v = momentum * velocity[i] + take * g
      velocity[i] = v
      values[i] -= rate * (nesterov ? g + momentum * v : v)
    }
  }

  private func adam(
    _ range: Range<Int>, _ number: Int, _ rate: Double, _ decay: Float, _ beta1: Double, _ beta2: Double,
    _ epsilon: Float, _ isDecoupled: Bool
  ) {
    let (first, second) = (memories[0], memories[1])
    let size = Float(rate / (1 - pow(beta1, Double(number))))
    let root = Float(1 / (1 - pow(beta2, Double(number))).squareRoot())
    let shrink = isDecoupled ? Float(1 - rate * Double(decay)) : 1
    let added = isDecoupled ? 0 : decay
    let (b1, c1, b2, c2) = (Float(beta1), Float(1 - beta1), Float(beta2), Float(1 - beta2))
    for i in range {
      let g = gradients[i] + added * values[i]
      let m = b1 * first[i] + c1 * g
      let v = b2 * second[i] + c2 * g * g
      first[i] = m
      second[i] = v
      values[i] = values[i] * shrink - size * m / (v.squareRoot() * root + epsilon)
    }
  }

  private func rmsProp(
    _ range: Range<Int>, _ rate: Float, _ decay: Float, _ alpha: Float, _ epsilon: Float, _ momentum: Float,
    _ isCentred: Bool
  ) {
    let squares = memories[0]
    let means = isCentred ? memories[1] : nil
    let velocity = memories.count > (isCentred ? 2 : 1) ? memories.last : nil
    for i in range {
      let g = gradients[i] + decay * values[i]
      squares[i] = alpha * squares[i] + (1 - alpha) * g * g
      var spread = squares[i]
      if let means {
        means[i] = alpha * means[i] + (1 - alpha) * g
        spread -= means[i] * means[i]
      }
      let move = g / (spread.squareRoot() + epsilon)
      if let velocity {
        velocity[i] = momentum * velocity[i] + move
        values[i] -= rate * velocity[i]
      } else {
        values[i] -= rate * move
      }
    }
  }
}
