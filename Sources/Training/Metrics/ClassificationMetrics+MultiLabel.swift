internal import Glibc

extension ClassificationMetrics {
  /// What else is measured where a picture may show several classes or none.
  package struct MultiLabel: Equatable, Sendable {
    /// `average_precision_score` of each class; 0 where no picture shows it.
    package var averagePrecision: [Double]
    /// Their mean.
    package var meanAveragePrecision: Double
    /// The share of wrong decisions among all, a picture and a class each.
    package var hammingLoss: Double
    /// `multilabel_confusion_matrix`: a class's pictures rightly and wrongly left out, missed, and found.
    package var decisions: [Decisions]
  }

  /// How often a class was and was not said of pictures that do and do not show it.
  package struct Decisions: Equatable, Sendable {
    package var trueNegatives = 0
    package var falsePositives = 0
    package var falseNegatives = 0
    package var truePositives = 0

    var wrong: Int { falsePositives + falseNegatives }

    static func + (one: Decisions, other: Decisions) -> Decisions {
      Decisions(
        trueNegatives: one.trueNegatives + other.trueNegatives,
        falsePositives: one.falsePositives + other.falsePositives,
        falseNegatives: one.falseNegatives + other.falseNegatives,
        truePositives: one.truePositives + other.truePositives)
    }

    var perClass: PerClass {
      func share(_ part: Int, _ whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }
      return PerClass(
        precision: share(truePositives, truePositives + falsePositives),
        recall: share(truePositives, truePositives + falseNegatives),
        f1: share(2 * truePositives, 2 * truePositives + wrong), support: truePositives + falseNegatives)
    }
  }

  /// Each class as a question of its own, answered by yes from one half on.
  ///
  /// Accuracy is the share of pictures that are right in every class (`accuracy_score`); calibration and log loss are over
  /// all decisions.
  ///
  /// - Parameters:
  ///   - probabilities: a row a picture.
  ///   - truths: the classes that each picture shows, below the number of `classes`.
  ///   - classes: their names.
  package init(probabilities: [Float], truths: [[Int]], classes: [String]) {
    let width = classes.count
    precondition(probabilities.count == truths.count * width, "a row a picture")
    var decisions = [Decisions](repeating: Decisions(), count: width)
    var isTrue = [Bool](repeating: false, count: probabilities.count)
    for (n, truth) in truths.enumerated() { for label in truth { isTrue[n * width + label] = true } }
    var allRight = 0
    var losses = 0.0
    var bins = CalibrationBins()
    for n in truths.indices {
      var isRight = true
      for c in 0..<width {
        let (probability, isThere) = (probabilities[n * width + c], isTrue[n * width + c])
        switch (probability >= 0.5, isThere) {
        case (true, true): decisions[c].truePositives += 1
        case (true, false): decisions[c].falsePositives += 1
        case (false, true): decisions[c].falseNegatives += 1
        case (false, false): decisions[c].trueNegatives += 1
        }
        isRight = isRight && (probability >= 0.5) == isThere
        let own = Double(isThere ? probability : 1 - probability)
        losses -= log(max(own, Double(Float.ulpOfOne)))
        bins.add(Double(probability), isRight: isThere)
      }
      allRight += isRight ? 1 : 0
    }
    let count = Double(max(1, truths.count))
    let precisions = (0..<width).map { c in
      Self.averagePrecision(truths.indices.map { (probabilities[$0 * width + c], isTrue[$0 * width + c]) })
    }
    let rows = decisions.map(\.perClass)
    func mean(_ numbers: [Double]) -> Double { numbers.reduce(0, +) / Double(max(1, numbers.count)) }
    let all = decisions.reduce(Decisions(), +)
    self.init(
      classes: classes, count: truths.count, accuracy: Double(allRight) / count, perClass: rows,
      macro: PerClass(
        precision: mean(rows.map(\.precision)), recall: mean(rows.map(\.recall)), f1: mean(rows.map(\.f1)),
        support: truths.count), micro: all.perClass, bins: bins, logLoss: losses / (count * Double(max(1, width))),
      multiLabel: MultiLabel(
        averagePrecision: precisions, meanAveragePrecision: mean(precisions),
        hammingLoss: Double(all.wrong) / (count * Double(max(1, width))), decisions: decisions))
  }

  /// Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct answers from the largest down.
  private static func averagePrecision(_ answers: [(probability: Float, isTrue: Bool)]) -> Double {
    let sorted = answers.sorted { $0.probability > $1.probability }
    let positives = sorted.count { $0.isTrue }
    guard positives > 0 else { return 0 }
    var (found, result) = (0, 0.0)
    var start = 0
    while start < sorted.count {
      var end = start
      while end < sorted.count, sorted[end].probability == sorted[start].probability { end += 1 }
      let more = sorted[start..<end].count { $0.isTrue }
      found += more
      result += Double(more) / Double(positives) * Double(found) / Double(end)
      start = end
    }
    return result
  }
}
