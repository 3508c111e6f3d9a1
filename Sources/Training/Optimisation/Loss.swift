internal import Glibc

/// What the answers to a batch should have been.
package enum Targets: Sendable {
  /// The class of each image.
  case classes([Int])
  /// A row of numbers an image: probabilities of the classes (mixup), labels of 0 and 1, or values to be met.
  case rows([Float])

  /// Class numbers where each picture shows one, rows of 0 and 1 where one may show several.
  package init(_ truths: [Dataset.Truth], classes: Int) {
    var numbers: [Int] = []
    for truth in truths { if case .one(let label) = truth { numbers.append(label) } }
    self = .classes(numbers)
    guard numbers.count < truths.count else { return }
    var rows = [Float](repeating: 0, count: truths.count * classes)
    for (n, truth) in truths.enumerated() { for label in truth.classes { rows[n * classes + label] = 1 } }
    self = .rows(rows)
  }
}

/// How a network's answers to a picture are read.
package enum Decision: Sendable {
  /// The class with the largest answer.
  case largest
  /// Each class whose answer reaches this.
  case from(Float)

  /// The classes that a row of answers stands for, ascending.
  package func classes(in row: UnsafeBufferPointer<Float>) -> [Int] {
    switch self {
    case .largest: row.indices.max { row[$0] < row[$1] }.map { [$0] } ?? []
    case .from(let least): row.indices.filter { row[$0] >= least }
    }
  }
}

/// How wrong a network's answers are, as PyTorch's losses of the same names measure it with `reduction="mean"`.
package enum Loss: Sendable {
  /// `CrossEntropyLoss` of logits, with an optional weight a class.
  case crossEntropy(classWeights: [Float]?, labelSmoothing: Float)
  /// `BCEWithLogitsLoss`: each class is a question of its own; positive examples may weigh more.
  case binaryCrossEntropy(positiveWeights: [Float]?)
  /// `NLLLoss`; the answers are log-probabilities.
  case negativeLogLikelihood(classWeights: [Float]?)
  /// `MSELoss`.
  case meanSquaredError

  /// The mean loss of a batch, and its gradient by the answers times `scale`.
  ///
  /// `answers` and `gradient` have `count` rows of `classes` numbers. Class numbers in the targets must be below
  /// `classes`, rows as long as the answers.
  package func evaluate(
    answers: UnsafePointer<Float>, targets: Targets, count: Int, classes: Int,
    gradient: UnsafeMutablePointer<Float>? = nil, scale: Float = 1
  ) -> Double {
    let total = count * classes
    var slopes = [Double](repeating: 0, count: total)
    var loss = 0.0
    switch self {
    case .crossEntropy(let weights, let smoothing):
      loss = Self.crossEntropy(answers, targets, count, classes, weights, Double(smoothing), &slopes)
    case .negativeLogLikelihood(let weights):
      let rows = Self.weighted(targets, count, classes, weights, 0)
      for i in 0..<total {
        loss -= rows.shares[i] * Double(answers[i])
        slopes[i] = -rows.shares[i]
      }
    case .binaryCrossEntropy(let positive):
      let wanted = Self.rows(targets, count, classes)
      for i in 0..<total {
        let (x, t) = (Double(answers[i]), Double(wanted[i]))
        let weight = Double(positive?[i % classes] ?? 1)
        // log(1 + e^−x), without overflow.
        let soft = max(-x, 0) + log1p(exp(-x.magnitude))
        loss += ((1 - t) * x + (1 + (weight - 1) * t) * soft) / Double(total)
        let sigmoid = 1 / (1 + exp(-x))
        slopes[i] = ((1 - t) - (1 + (weight - 1) * t) * (1 - sigmoid)) / Double(total)
      }
    case .meanSquaredError:
      let wanted = Self.rows(targets, count, classes)
      for i in 0..<total {
        let difference = Double(answers[i]) - Double(wanted[i])
        loss += difference * difference / Double(total)
        slopes[i] = 2 * difference / Double(total)
      }
    }
    if let gradient {
      for i in 0..<total { gradient[i] = Float(slopes[i]) * scale }
    }
    return loss
  }

  private static func crossEntropy(
    _ answers: UnsafePointer<Float>, _ targets: Targets, _ count: Int, _ classes: Int, _ weights: [Float]?,
    _ smoothing: Double, _ slopes: inout [Double]
  ) -> Double {
    let wanted = weighted(targets, count, classes, weights, smoothing)
    var loss = 0.0
    for n in 0..<count {
      let row = answers + n * classes
      var most = -Double.infinity
      for c in 0..<classes { most = max(most, Double(row[c])) }
      var sum = 0.0
      for c in 0..<classes { sum += exp(Double(row[c]) - most) }
      let logSum = most + log(sum)
      var mass = 0.0
      for c in 0..<classes {
        let share = wanted.shares[n * classes + c]
        loss -= share * (Double(row[c]) - logSum)
        mass += share
      }
      for c in 0..<classes {
        slopes[n * classes + c] = mass * exp(Double(row[c]) - logSum) - wanted.shares[n * classes + c]
      }
    }
    return loss
  }

  /// What each logarithm counts in the mean.
  ///
  /// Class numbers are averaged by the weights of their classes, rows of probabilities by the number of images, as in
  /// PyTorch.
  private static func weighted(
    _ targets: Targets, _ count: Int, _ classes: Int, _ weights: [Float]?, _ smoothing: Double
  ) -> (shares: [Double], divisor: Double) {
    func weight(_ c: Int) -> Double { Double(weights?[c] ?? 1) }
    var shares = [Double](repeating: 0, count: count * classes)
    var divisor = Double(count)
    switch targets {
    case .classes(let numbers):
      divisor = numbers.reduce(0) { $0 + weight($1) }
      for (n, number) in numbers.enumerated() {
        for c in 0..<classes where smoothing > 0 { shares[n * classes + c] = smoothing / Double(classes) * weight(c) }
        shares[n * classes + number] += (1 - smoothing) * weight(number)
      }
    case .rows(let rows):
      for i in 0..<(count * classes) {
        shares[i] = (Double(rows[i]) * (1 - smoothing) + smoothing / Double(classes)) * weight(i % classes)
      }
    }
    for i in shares.indices { shares[i] /= divisor }
    return (shares, divisor)
  }

  /// Class numbers become rows with a single 1.
  private static func rows(_ targets: Targets, _ count: Int, _ classes: Int) -> [Float] {
    switch targets {
    case .rows(let rows): return rows
    case .classes(let numbers):
      var rows = [Float](repeating: 0, count: count * classes)
      for (n, number) in numbers.enumerated() { rows[n * classes + number] = 1 }
      return rows
    }
  }
}
