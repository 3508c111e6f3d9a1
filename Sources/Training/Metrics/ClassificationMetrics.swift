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
  /// The share of pictures whose class is among the five largest answers (all, if there are fewer classes); nil where a
  /// picture may show several.
  package let topFive: Double?
  package let perClass: [PerClass]
  /// Row: the true class; column: the answer.
  ///
  /// Empty where a picture may show several.
  package let confusion: [[Int]]
  /// Mean over the classes that occur in truth or answers; where a picture may show several, over all.
  package let macro: PerClass
  /// Over all decisions; for one answer a picture all three are the accuracy.
  package let micro: PerClass
  /// Expected calibration error over 15 equal bins of the largest probability (Guo and others, 2017).
  package let calibrationError: Double
  package let calibration: [CalibrationBin]
  /// The mean cross-entropy.
  package let logLoss: Double
  /// Nil where a picture shows one class.
  package let multiLabel: MultiLabel?

  init(
    classes: [String], count: Int, accuracy: Double, topFive: Double? = nil, perClass: [PerClass],
    confusion: [[Int]] = [], macro: PerClass, micro: PerClass, bins: CalibrationBins, logLoss: Double,
    multiLabel: MultiLabel? = nil
  ) {
    (self.classes, self.count, self.accuracy, self.topFive) = (classes, count, accuracy, topFive)
    (self.perClass, self.confusion, self.macro, self.micro) = (perClass, confusion, macro, micro)
    (calibration, calibrationError) = (bins.means, bins.error)
    (self.logLoss, self.multiLabel) = (logLoss, multiLabel)
  }

  /// - Parameters:
  ///   - probabilities: a row a picture, each summing to 1.
  ///   - labels: the true classes, below the number of `classes`.
  ///   - classes: their names.
  package init(probabilities: [Float], labels: [Int], classes: [String]) {
    let width = classes.count
    precondition(probabilities.count == labels.count * width, "a row a picture")
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: width), count: width)
    var amongFive = 0
    var losses = 0.0
    var bins = CalibrationBins()
    for (n, label) in labels.enumerated() {
      let row = probabilities[(n * width)..<((n + 1) * width)]
      let answer = Self.largest(row)
      confusion[label][answer] += 1
      let own = row[n * width + label]
      // As in `top_k_accuracy_score`, of equals the ones behind come first.
      let above = row.indices.filter { row[$0] > own || row[$0] == own && $0 > n * width + label }.count
      if above < 5 { amongFive += 1 }
      losses -= log(max(Double(own), Double(Float.ulpOfOne)))
      bins.add(Double(row[n * width + answer]), isRight: answer == label)
    }
    let total = Double(max(1, labels.count))
    let accuracy = Double(confusion.indices.reduce(0) { $0 + confusion[$1][$1] }) / total
    let rows = confusion.indices.map { c in
      let answered = confusion.reduce(0) { $0 + $1[c] }
      let support = confusion[c].reduce(0, +)
      let precision = answered > 0 ? Double(confusion[c][c]) / Double(answered) : 0
      let recall = support > 0 ? Double(confusion[c][c]) / Double(support) : 0
      let f1 = answered + support > 0 ? 2 * Double(confusion[c][c]) / Double(answered + support) : 0
      return PerClass(precision: precision, recall: recall, f1: f1, support: support)
    }
    let present = confusion.indices.filter { c in confusion[c].contains { $0 > 0 } || confusion.contains { $0[c] > 0 } }
    func mean(_ number: (PerClass) -> Double) -> Double {
      present.reduce(0) { $0 + number(rows[$1]) } / Double(max(1, present.count))
    }
    self.init(
      classes: classes, count: labels.count, accuracy: accuracy, topFive: Double(amongFive) / total, perClass: rows,
      confusion: confusion,
      macro: PerClass(precision: mean(\.precision), recall: mean(\.recall), f1: mean(\.f1), support: labels.count),
      micro: PerClass(precision: accuracy, recall: accuracy, f1: accuracy, support: labels.count), bins: bins,
      logLoss: losses / total)
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
}

/// Fifteen equal bins of how sure answers were.
struct CalibrationBins {
  private var bins = [(sum: Double, right: Int, count: Int)](repeating: (0, 0, 0), count: 15)

  mutating func add(_ confidence: Double, isRight: Bool) {
    let bin = min(14, max(0, Int((confidence * 15).rounded(.up)) - 1))
    bins[bin].sum += confidence
    bins[bin].right += isRight ? 1 : 0
    bins[bin].count += 1
  }

  var means: [ClassificationMetrics.CalibrationBin] {
    bins.map { bin in
      let n = Double(max(1, bin.count))
      return ClassificationMetrics.CalibrationBin(
        confidence: bin.sum / n, accuracy: Double(bin.right) / n, count: bin.count)
    }
  }

  /// The mean distance of the two, weighed by the answers.
  var error: Double {
    let total = Double(max(1, bins.reduce(0) { $0 + $1.count }))
    return means.reduce(0) { $0 + ($1.confidence - $1.accuracy).magnitude * Double($1.count) / total }
  }
}
