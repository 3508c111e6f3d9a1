internal import Glibc

/// exp(x − max) / Σ exp(x − max) over the channels of each pixel.
final class TrainingSoftmax: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue

  init(name: String, input: TrainingValue, output: TrainingValue) {
    self.name = name
    inputs = [StepInput(value: input)]
    self.output = output
  }

  func forward(_ lane: LaneWork) {
    let channels = output.shape.c
    for n in lane.images {
      for p in 0..<output.pixels {
        let (row, out) = (inputs[0].value.image(n) + p * channels, output.image(n) + p * channels)
        var most = row[0]
        for c in 1..<max(1, channels) where row[c] > most { most = row[c] }
        var sum: Float = 0
        for c in 0..<channels {
          out[c] = expf(row[c] - most)
          sum += out[c]
        }
        for c in 0..<channels { out[c] /= sum }
      }
    }
  }

  /// dx = y · (dy − Σ dy·y).
  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    guard input.value.wantsGradient else { return }
    let channels = output.shape.c
    for n in lane.images {
      for p in 0..<output.pixels {
        let (y, g) = (output.image(n) + p * channels, output.gradient(lane, n) + p * channels)
        let target = input.value.gradient(lane, n) + p * channels
        var dot: Float = 0
        for c in 0..<channels { dot += g[c] * y[c] }
        for c in 0..<channels { target[c] = (input.accumulates ? target[c] : 0) + y[c] * (g[c] - dot) }
      }
    }
  }
}

/// x / d^beta with d = k + alpha/size · Σ x² over `size` neighbouring channels, ⌊size/2⌋ of them before.
final class TrainingResponseNorm: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let size: Int
  private let (alpha, beta, k): (Float, Float, Float)

  init(
    name: String, size: Int, alpha: Float, beta: Float, k: Float, input: TrainingValue, output: TrainingValue
  ) {
    self.name = name
    self.size = size
    (self.alpha, self.beta, self.k) = (alpha, beta, k)
    inputs = [StepInput(value: input)]
    self.output = output
  }

  var scratchCount: Int { 2 * output.shape.c }

  private func neighbours(_ c: Int) -> ClosedRange<Int> {
    max(0, c - size / 2)...min(output.shape.c - 1, c + (size - 1) / 2)
  }

  private func denominator(_ row: UnsafePointer<Float>, _ c: Int) -> Float {
    var sum: Float = 0
    for other in neighbours(c) { sum += row[other] * row[other] }
    return k + alpha / Float(size) * sum
  }

  func forward(_ lane: LaneWork) {
    let channels = output.shape.c
    for n in lane.images {
      for p in 0..<output.pixels {
        let (row, out) = (inputs[0].value.image(n) + p * channels, output.image(n) + p * channels)
        for c in 0..<channels { out[c] = row[c] / powf(denominator(row, c), beta) }
      }
    }
  }

  /// dx_i = dy_i · d_i^−β − 2αβ/size · x_i · Σ dy_j·x_j·d_j^(−β−1) over all j whose neighbourhood holds i.
  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    guard input.value.wantsGradient else { return }
    let channels = output.shape.c
    let (shares, powers) = (lane.scratch.floats, lane.scratch.floats + channels)
    for n in lane.images {
      for p in 0..<output.pixels {
        let (row, g) = (input.value.image(n) + p * channels, output.gradient(lane, n) + p * channels)
        let target = input.value.gradient(lane, n) + p * channels
        for c in 0..<channels {
          let d = denominator(row, c)
          powers[c] = powf(d, -beta)
          shares[c] = g[c] * row[c] * powers[c] / d
        }
        for c in 0..<channels {
          var sum: Float = 0
          for j in max(0, c - (size - 1) / 2)...min(channels - 1, c + size / 2) { sum += shares[j] }
          let before = input.accumulates ? target[c] : 0
          target[c] = before + g[c] * powers[c] - 2 * alpha * beta / Float(size) * row[c] * sum
        }
      }
    }
  }
}

/// Sets numbers to 0 with a probability and scales the others up; which ones, its seed, the step and the image decide.
final class TrainingDropout: TrainingStep {
  let name: String
  var inputs: [StepInput]
  let output: TrainingValue
  private let probability: Float
  private let seed: UInt64

  init(name: String, probability: Float, seed: UInt64, input: TrainingValue, output: TrainingValue) {
    self.name = name
    self.probability = probability
    self.seed = seed
    inputs = [StepInput(value: input)]
    self.output = output
  }

  /// SplitMix64's finalizer over seed, step, image and place.
  private func keeps(_ key: UInt64, _ index: Int) -> Bool {
    var z = key &+ UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Float((z ^ (z >> 31)) >> 40) * 0x1p-24 >= probability
  }

  private func key(_ lane: LaneWork, _ image: Int) -> UInt64 {
    (seed ^ lane.step &* 0xD134_2543_DE82_EF95) &+ UInt64(truncatingIfNeeded: image) &* 0xA076_1D64_78BD_642F
  }

  func forward(_ lane: LaneWork) {
    let count = output.shape.countPerImage
    let scale = probability < 1 ? 1 / (1 - probability) : 0
    for n in lane.images {
      let (x, out) = (inputs[0].value.image(n), output.image(n))
      guard lane.isTraining else {
        out.update(from: x, count: count)
        continue
      }
      let key = key(lane, n)
      for i in 0..<count { out[i] = keeps(key, i) ? x[i] * scale : 0 }
    }
  }

  func backward(_ lane: LaneWork) {
    let input = inputs[0]
    guard input.value.wantsGradient else { return }
    let scale = !lane.isTraining ? 1 : probability < 1 ? 1 / (1 - probability) : 0
    for n in lane.images {
      let (gradient, target) = (output.gradient(lane, n), input.value.gradient(lane, n))
      let key = key(lane, n)
      for i in 0..<output.shape.countPerImage {
        let part = !lane.isTraining || keeps(key, i) ? gradient[i] * scale : 0
        target[i] = (input.accumulates ? target[i] : 0) + part
      }
    }
  }
}
