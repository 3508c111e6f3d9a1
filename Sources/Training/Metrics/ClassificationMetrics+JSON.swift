package import Engine

extension ClassificationMetrics {
  /// The report's numbers; what does not apply is left out.
  package var json: JSON {
    func object(_ name: String, _ row: PerClass, _ averagePrecision: Double? = nil) -> JSON {
      var members = [
        JSON.Member(name: "class", value: .string(name)),
        JSON.Member(name: "precision", value: Self.number(row.precision)),
        JSON.Member(name: "recall", value: Self.number(row.recall)),
        JSON.Member(name: "f1", value: Self.number(row.f1)), JSON.Member(name: "support", value: .integer(row.support)),
      ]
      if let averagePrecision {
        members.append(JSON.Member(name: "average_precision", value: Self.number(averagePrecision)))
      }
      return JSON(.object(members))
    }
    var members = [
      JSON.Member(name: "images", value: .integer(count)), JSON.Member(name: "accuracy", value: Self.number(accuracy)),
    ]
    func add(_ name: String, _ value: JSON) { members.append(JSON.Member(name: name, value: value)) }
    if let topFive { add("top_5_accuracy", Self.number(topFive)) }
    if let multiLabel {
      add("mean_average_precision", Self.number(multiLabel.meanAveragePrecision))
      add("hamming_loss", Self.number(multiLabel.hammingLoss))
    }
    add("log_loss", Self.number(logLoss))
    add("expected_calibration_error", Self.number(calibrationError))
    add("macro", object("macro", macro))
    add("micro", object("micro", micro))
    add(
      "classes",
      .array(classes.indices.map { object(classes[$0], perClass[$0], multiLabel?.averagePrecision[$0]) }))
    if let multiLabel {
      add("decisions", .array(multiLabel.decisions.map(\.json)))
    } else {
      add("confusion", .array(confusion.map { .array($0.map { .integer($0) }) }))
    }
    add(
      "calibration",
      .array(
        calibration.map {
          .object([
            "confidence": Self.number($0.confidence), "accuracy": Self.number($0.accuracy), "count": .integer($0.count),
          ])
        }))
    return JSON(.object(members))
  }

  private static func number(_ value: Double) -> JSON { value.isFinite ? JSON(.number("\(value)")) : .null }
}

extension ClassificationMetrics.Decisions {
  fileprivate var json: JSON {
    .object([
      "true_negatives": .integer(trueNegatives), "false_positives": .integer(falsePositives),
      "false_negatives": .integer(falseNegatives), "true_positives": .integer(truePositives),
    ])
  }
}
