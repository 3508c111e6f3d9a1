import Engine
import ModelZoo
import TestSupport
import Testing
import Training

/// Numbers of an evaluation against scikit-learn's and NumPy's, and what its reports say.
struct MetricsTests {
  private let runs = Runs()

  /// Rows with equal answers among them, as `Tests/Vectors/metrics.py` makes them.
  @Test func topFiveAndCalibrationAreTheirs() throws {
    let vector = Fixture.json("metrics.json")
    let classes = (0..<12).map { "\($0)" }
    var logits = Counted.floats(21, 64 * 12).map { $0 * 3 }
    for c in 3..<11 { logits[60 * 12 + c] = logits[60 * 12] }
    for c in 0..<12 { logits[61 * 12 + c] = 0 }
    for c in 0..<2 { logits[62 * 12 + c] = 9 }
    logits[63 * 12 + 7] = 40
    let metrics = ClassificationMetrics(
      probabilities: ClassificationMetrics.softmax(logits, classes: 12),
      labels: try #require(vector["labels"]).integers, classes: classes)
    expectClose([metrics.accuracy], [try #require(vector["accuracy"]).double], relative: 1e-12, "accuracy")
    expectClose([try #require(metrics.topFive)], [try #require(vector["top_five"]).double], relative: 1e-12, "top five")
    expectClose(
      [metrics.calibrationError], [try #require(vector["calibration_error"]).double], relative: 1e-6, "calibration")
    let bins = try #require(vector["bins"]).elements.map(\.doubles)
    #expect(metrics.calibration.map(\.count) == bins.map { Int($0[0]) })
    expectClose(metrics.calibration.map(\.confidence), bins.map { $0[1] }, relative: 1e-6, "confidence")
    expectClose(metrics.calibration.map(\.accuracy), bins.map { $0[2] }, relative: 1e-12, "accuracy of the bins")
  }

  @Test func amongFourClassesEachIsAmongTheFirstFive() {
    let metrics = ClassificationMetrics(
      probabilities: [0.7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.7], labels: [3, 0], classes: ["a", "b", "c", "d"])
    #expect(metrics.topFive == 1 && metrics.accuracy == 0)
    #expect((metrics.calibrationError - 0.7).magnitude < 1e-6)
  }

  /// A short run's model on its own pictures, one of which is none.
  private func evaluation() throws -> ModelEvaluation {
    let pictures = runs.pair()
    let run = try TrainingRun(try runs.pictures(pictures), provenance: "a test")
    _ = try run.run(stop: StopRequest()) { _ in }
    Files.write(Array("no picture".utf8), to: "\(pictures)/two/<i>&.bmp")
    return try ModelEvaluation(
      modelPath: runs.scratch("run/model.swiftweights"), dataset: try DatasetSource.read(pictures, part: .test),
      threads: 2, history: run.history, shownMistakes: 3)
  }

  /// No picture right of no picture is no result.
  @Test func nothingReadableIsNoMeasurement() throws {
    let pictures = runs.pair(count: 2)
    _ = try TrainingRun(try runs.pictures(pictures), provenance: "a test").run(stop: StopRequest()) { _ in }
    for label in ["one", "two"] {
      for number in 0..<2 { Files.write(Array("no".utf8), to: "\(pictures)/\(label)/\(number).bmp") }
    }
    do throws(TrainingError) {
      let dataset = try DatasetSource.read(pictures, part: .test)
      _ = try ModelEvaluation(modelPath: runs.scratch("run/model.swiftweights"), dataset: dataset, threads: 1)
      Issue.record("no error")
    } catch {
      #expect("\(error)".contains("none of the 4 can be read"), "\(error)")
    }
  }

  @Test func theReportsSayWhatWasMeasured() throws {
    let evaluation = try evaluation()
    let metrics = evaluation.metrics
    // Two epochs are too few to tell noise from noise.
    #expect(metrics.count == 40 && metrics.accuracy < 1 && !evaluation.mistakes.isEmpty)
    #expect(evaluation.mistakes.count <= 3)
    try evaluation.write(json: runs.scratch("report.json"), html: runs.scratch("report.html"))

    let json = try JSON(parsing: Files.text(runs.scratch("report.json")))
    let numbers = try #require(json["metrics"])
    #expect(numbers["images"]?.double == 40 && numbers["accuracy"]?.double == metrics.accuracy)
    #expect(numbers["top_5_accuracy"]?.double == 1 && numbers["log_loss"]?.double == metrics.logLoss)
    #expect(numbers["confusion"]?.elements.map(\.integers) == metrics.confusion)
    #expect(numbers["calibration"]?.elements.count == 15)
    #expect(try numbers["classes"]?.elements.map { try $0["class"]?.string("class") } == ["one", "two"])
    #expect(json["mistakes"]?.elements.count == evaluation.mistakes.count)
    #expect(json["history"]?.elements.count == 2 && json["unreadable"]?.elements.count == 1)
    #expect(try json["digest"]?.string("digest") == evaluation.digest)

    let html = Files.text(runs.scratch("report.html"))
    #expect(html.hasPrefix("<!doctype html>") && html.contains(evaluation.digest))
    #expect(html.contains("of 40 pictures right"))
    // Nothing of a file's name is taken for markup.
    #expect(html.contains("&lt;i&gt;&amp;.bmp") && !html.contains("<i>"))
    for text in ["<tr><td>one<td>", "<tr><td>two<td>", "<h2>Curves</h2>", "<h2>Calibration</h2>", "<h2>Left out</h2>"] {
      #expect(html.contains(text), "\(text)")
    }
    #expect(html.split(separator: "<figure>").count == evaluation.mistakes.count + 1)
    #expect(html.split(separator: "data:image/png;base64,iVBORw0KGgo").count == evaluation.mistakes.count + 1)
    for (row, counts) in metrics.confusion.enumerated() {
      for (column, count) in counts.enumerated() where count > 0 {
        let names = metrics.classes
        #expect(html.contains("<title>\(names[row]) as \(names[column]): \(count)</title>"))
      }
    }
    // One page that needs nothing else.
    #expect(["<script", "<link", "href=", "src=\"http", "src=\"/", "url("].allSatisfy { !html.contains($0) })
  }
}
