package import Engine
internal import Glibc

/// How well a classifier answers: scikit-learn's numbers, from each picture's answers and its true class.
package struct ClassificationMetrics: Sendable {
  /// One class's numbers; 0 where nothing was predicted or nothing was there, as with `zero_division=0`.
  package struct PerClass: Equatable, Sendable {
    package var precision: Double
    package var recall: Double
    package var f1: Double
    /// Pictures of this class.
    package var support: Int
  }

  /// `calibration_curve`'s bins: how sure the network was, and how often it was right.
  package struct CalibrationBin: Equatable, Sendable {
    package var confidence: Double
    package var accuracy: Double
    package var count: Int
  }

  package let classes: [String]
  package let count: Int
  package let accuracy: Double
  /// The share of pictures whose class is among the five largest answers (all, if there are fewer classes).
  package let topFive: Double
  package let perClass: [PerClass]
  /// Row: the true class; column: the answer.
  package let confusion: [[Int]]
  /// Mean over the classes that occur in truth or answers.
  package let macro: PerClass
  /// Over all decisions; for one answer a picture all three are the accuracy.
  package let micro: PerClass
  /// Expected calibration error over 15 equal bins of the largest probability (Guo and others, 2017).
  package let calibrationError: Double
  package let calibration: [CalibrationBin]
  /// The mean cross-entropy.
  package let logLoss: Double

  /// - Parameters:
  ///   - probabilities: a row a picture, each summing to 1.
  ///   - labels: the true classes, below the number of `classes`.
  ///   - classes: their names.
  package init(probabilities: [Float], labels: [Int], classes: [String]) {
    let width = classes.count
    precondition(probabilities.count == labels.count * width, "a row a picture")
    self.classes = classes
    count = labels.count
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: width), count: width)
    var amongFive = 0
    var losses = 0.0
    var bins = [(sum: Double, right: Int, count: Int)](repeating: (0, 0, 0), count: 15)
    for (n, label) in labels.enumerated() {
      let row = probabilities[(n * width)..<((n + 1) * width)]
      let answer = Self.largest(row)
      confusion[label][answer] += 1
      let own = row[n * width + label]
      // As in `top_k_accuracy_score`, of equals the ones behind come first.
      let above = row.indices.filter { row[$0] > own || row[$0] == own && $0 > n * width + label }.count
      if above < 5 { amongFive += 1 }
      losses -= log(max(Double(own), Double(Float.ulpOfOne)))
      let confidence = Double(row[n * width + answer])
      let bin = min(14, max(0, Int((confidence * 15).rounded(.up)) - 1))
      bins[bin].sum += confidence
      bins[bin].right += answer == label ? 1 : 0
      bins[bin].count += 1
    }
    self.confusion = confusion
    let total = Double(max(1, labels.count))
    let right = confusion.indices.reduce(0) { $0 + confusion[$1][$1] }
    accuracy = Double(right) / total
    topFive = Double(amongFive) / total
    logLoss = losses / total
    perClass = confusion.indices.map { c in
      let answered = confusion.reduce(0) { $0 + $1[c] }
      let support = confusion[c].reduce(0, +)
      let precision = answered > 0 ? Double(confusion[c][c]) / Double(answered) : 0
      let recall = support > 0 ? Double(confusion[c][c]) / Double(support) : 0
      let f1 = answered + support > 0 ? 2 * Double(confusion[c][c]) / Double(answered + support) : 0
      return PerClass(precision: precision, recall: recall, f1: f1, support: support)
    }
    let present = confusion.indices.filter { c in confusion[c].contains { $0 > 0 } || confusion.contains { $0[c] > 0 } }
    let rows = perClass
    func mean(_ number: (PerClass) -> Double) -> Double {
      present.reduce(0) { $0 + number(rows[$1]) } / Double(max(1, present.count))
    }
    macro = PerClass(
      precision: mean(\.precision), recall: mean(\.recall), f1: mean(\.f1), support: labels.count)
    micro = PerClass(precision: accuracy, recall: accuracy, f1: accuracy, support: labels.count)
    calibration = bins.map { bin in
      let n = Double(max(1, bin.count))
      return CalibrationBin(confidence: bin.sum / n, accuracy: Double(bin.right) / n, count: bin.count)
    }
    calibrationError = calibration.reduce(0) {
      $0 + ($1.confidence - $1.accuracy).magnitude * Double($1.count) / total
    }
  }

  /// The first of the largest numbers, counted from the row's start.
  private static func largest(_ row: ArraySlice<Float>) -> Int {
    var best = row.startIndex
    for index in row.indices where row[index] > row[best] { best = index }
    return best - row.startIndex
  }

  /// Logits to probabilities, a row a picture.
  package static func softmax(_ rows: [Float], classes: Int) -> [Float] {
    var result = rows
    for start in stride(from: 0, to: rows.count, by: classes) {
      let most = rows[start..<(start + classes)].max() ?? 0
      var sum = 0.0
      for i in start..<(start + classes) { sum += exp(Double(rows[i] - most)) }
      for i in start..<(start + classes) { result[i] = Float(exp(Double(rows[i] - most)) / sum) }
    }
    return result
  }

  package var json: JSON {
    func number(_ value: Double) -> JSON { value.isFinite ? JSON(.number("\(value)")) : .null }
    func object(_ name: String, _ row: PerClass) -> JSON {
      .object([
        "class": .string(name), "precision": number(row.precision), "recall": number(row.recall), "f1": number(row.f1),
        "support": .integer(row.support),
      ])
    }
    return .object([
      "images": .integer(count), "accuracy": number(accuracy), "top_5_accuracy": number(topFive),
      "log_loss": number(logLoss), "expected_calibration_error": number(calibrationError),
      "macro": object("macro", macro), "micro": object("micro", micro),
      "classes": .array(zip(classes, perClass).map { object($0, $1) }),
      "confusion": .array(confusion.map { .array($0.map { .integer($0) }) }),
      "calibration": .array(
        calibration.map {
          .object([
            "confidence": number($0.confidence), "accuracy": number($0.accuracy), "count": .integer($0.count),
          ])
        }),
    ])
  }
}
