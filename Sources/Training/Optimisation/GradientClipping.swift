package import Engine

/// Keeps a step's gradient within bounds.
package enum GradientClipping: Equatable, Sendable {
  /// `clip_grad_norm_`: the whole gradient is shrunk to this Euclidean length if it is longer.
  case norm(Float)
  /// `clip_grad_value_`: each number is kept within ± this.
  case value(Float)

  /// Clips the weights' gradients; gives their length before.
  @discardableResult
  package func apply(to weights: TrainedWeights) -> Double {
    var squares = 0.0
    for i in 0..<weights.count { squares += Double(weights.gradients[i]) * Double(weights.gradients[i]) }
    let length = squares.squareRoot()
    switch self {
    case .norm(let limit):
      let factor = Float(min(1, Double(limit) / (length + 1e-6)))
      if factor < 1 { for i in 0..<weights.count { weights.gradients[i] *= factor } }
    case .value(let limit):
      for i in 0..<weights.count { weights.gradients[i] = min(limit, max(-limit, weights.gradients[i])) }
    }
    return length
  }
}

/// The exponential moving average of the weights: average ← decay · average + (1 − decay) · weights, from the first
/// step's weights on (`AveragedModel` with `get_ema_multi_avg_fn`).
package struct WeightAverage: Sendable {
  package let decay: Float
  package internal(set) var values: [Float] = []

  package init(decay: Float) { self.decay = decay }

  package mutating func add(_ weights: TrainedWeights) {
    let now = UnsafeBufferPointer(start: weights.values, count: weights.count)
    guard !values.isEmpty else {
      values = Array(now)
      return
    }
    for i in values.indices { values[i] += (1 - decay) * (now[i] - values[i]) }
  }
}

/// Tells when a run no longer gets better.
package struct EarlyStopping: Equatable, Sendable {
  /// How many epochs without improvement are borne.
  package let patience: Int
  /// What counts as an improvement.
  package let minimumChange: Double
  package internal(set) var best = Double.infinity
  package internal(set) var waited = 0

  package init(patience: Int, minimumChange: Double = 0) {
    self.patience = patience
    self.minimumChange = minimumChange
  }

  /// Whether it is time to stop.
  package var isOver: Bool { waited > patience }

  /// Takes an epoch's validation loss.
  package mutating func add(_ loss: Double) {
    if loss < best - minimumChange {
      (best, waited) = (loss, 0)
    } else {
      waited += 1
    }
  }
}
