internal import Glibc

/// How the learning rate goes over a run, as PyTorch's schedulers of the same names have it.
package enum Schedule: Equatable, Sendable {
  case constant
  /// `StepLR`: times gamma every `size` epochs.
  case step(size: Int, gamma: Double)
  /// `MultiStepLR`: times gamma at each of these epochs.
  case multiStep(milestones: [Int], gamma: Double)
  /// `ExponentialLR`: times gamma every epoch.
  case exponential(gamma: Double)
  /// `CosineAnnealingLR` over the run's epochs, moved every step.
  case cosine(minimum: Double)
  /// `OneCycleLR` with cosine annealing, moved every step; the rate is the largest one. Momentum goes the other way.
  case oneCycle(rise: Double, startDivisor: Double, endDivisor: Double, momentum: ClosedRange<Double>)
  /// `ReduceLROnPlateau` on the validation loss (`threshold` relative).
  case plateau(factor: Double, patience: Int, threshold: Double, minimum: Double)

  /// Where a run stands.
  package struct Position: Equatable, Sendable {
    /// Steps made so far, of `totalSteps`.
    package var step: Int
    package var totalSteps: Int
    /// Epochs finished so far.
    package var epoch: Int

    package init(step: Int, totalSteps: Int, epoch: Int) {
      self.step = step
      self.totalSteps = totalSteps
      self.epoch = epoch
    }
  }

  /// The learning rate of the next step.
  package func rate(base: Double, at position: Position, plateau: PlateauState = PlateauState()) -> Double {
    switch self {
    case .constant: return base
    case .step(let size, let gamma): return base * pow(gamma, Double(position.epoch / size))
    case .multiStep(let milestones, let gamma):
      return base * pow(gamma, Double(milestones.filter { $0 <= position.epoch }.count))
    case .exponential(let gamma): return base * pow(gamma, Double(position.epoch))
    case .cosine(let minimum):
      let part = Double(position.step) / Double(max(1, position.totalSteps))
      return minimum + (base - minimum) * (1 + cos(.pi * part)) / 2
    case .oneCycle(let rise, let startDivisor, let endDivisor, _):
      let start = base / startDivisor
      return Self.cycle(position, rise: rise, (start, base, start / endDivisor))
    case .plateau(_, _, _, let minimum): return max(minimum, base * plateau.factor)
    }
  }

  /// Whether there is a momentum at every position.
  package var movesMomentum: Bool {
    if case .oneCycle = self { return true }
    return false
  }

  /// The momentum of the next step, if the schedule moves it.
  package func momentum(at position: Position) -> Double? {
    guard case .oneCycle(let rise, _, _, let range) = self else { return nil }
    return Self.cycle(position, rise: rise, (range.upperBound, range.lowerBound, range.upperBound))
  }

  /// From the first number to the second over `rise` of the run, then to the third, along half cosines.
  private static func cycle(_ position: Position, rise: Double, _ n: (Double, Double, Double)) -> Double {
    func between(_ a: Double, _ b: Double, _ part: Double) -> Double { b + (a - b) * (1 + cos(.pi * part)) / 2 }
    let top = rise * Double(position.totalSteps) - 1
    let last = Double(position.totalSteps - 1)
    let step = min(Double(position.step), last)
    if step <= top { return between(n.0, n.1, top > 0 ? step / top : 1) }
    return between(n.1, n.2, last > top ? (step - top) / (last - top) : 1)
  }

  /// Takes an epoch's validation loss.
  package func update(_ state: inout PlateauState, loss: Double) {
    guard case .plateau(let factor, let patience, let threshold, _) = self else { return }
    if loss < state.best * (1 - threshold) || state.best == .infinity {
      (state.best, state.waited) = (loss, 0)
    } else {
      state.waited += 1
    }
    if state.waited > patience {
      state.factor *= factor
      state.waited = 0
    }
  }
}

/// What `Schedule.plateau` remembers between epochs.
package struct PlateauState: Equatable, Sendable {
  package var factor = 1.0
  package var best = Double.infinity
  package var waited = 0

  package init() {}
}

/// The first steps of a run go slower: `LinearLR` from `startFactor` to 1 over `steps`, times the schedule.
package struct WarmUp: Equatable, Sendable {
  package var steps: Int
  package var startFactor: Double

  package init(steps: Int, startFactor: Double = 1.0 / 3) {
    self.steps = steps
    self.startFactor = startFactor
  }

  package func factor(step: Int) -> Double {
    steps > 0 ? startFactor + (1 - startFactor) * Double(min(step, steps)) / Double(steps) : 1
  }
}
