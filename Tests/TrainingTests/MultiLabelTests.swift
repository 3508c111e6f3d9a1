import Engine
import Glibc
import Imaging
import TestSupport
import Testing
import Training

/// Pictures that show several classes or none, from the labels file to the model that answers for each.
struct MultiLabelTests {
  private let runs = Runs()
  private var scratch: Scratch { runs.scratch }
  private static let names = ["bottom", "left", "right"]

  /// Grey pictures with a bright bar for each class that they show, and a labels file beside them; gives its path.
  private func bars(_ count: Int, name: String = "bars") throws -> String {
    let folder = scratch.folder(name)
    var text = "labels,filename\n"
    let noise = Counted.bytes(7, 28 * 28 * count)
    for number in 0..<count {
      let shown = (0..<3).filter { number >> $0 & 1 == 1 }
      var samples = (0..<(28 * 28)).map { noise[number * 28 * 28 + $0] / 4 }
      for y in 0..<28 {
        for x in 0..<28 {
          let isBright = [y >= 22, x < 6 && y < 20, x >= 22 && y < 20]
          if shown.contains(where: { isBright[$0] }) { samples[y * 28 + x] += 150 }
        }
      }
      Files.write(
        try PNGWriter.encode(width: 28, height: 28, channels: 1, samples: samples), to: "\(folder)/\(number).png")
      text += "\(shown.reversed().map { Self.names[$0] }.joined(separator: ";")),\(number).png\n"
    }
    Files.write(Array(text.utf8), to: "\(folder)/labels.csv")
    return "\(folder)/labels.csv"
  }

  @Test func labelsFilesListClasses() throws {
    let labels = try bars(8)
    let dataset = try DatasetSource.read(labels, part: .train)
    #expect(dataset.classes == Self.names && dataset.isMultiLabel && dataset.counts == [4, 4, 4])
    #expect(dataset.samples.map(\.truth.classes) == [[], [0], [1], [0, 1], [2], [0, 2], [1, 2], [0, 1, 2]])
    #expect(dataset.names(of: .several([0, 2])) == "bottom; right" && dataset.names(of: .several([])) == "none")
    func read(_ text: String, _ name: String) throws -> Dataset {
      Files.write(Array(text.utf8), to: scratch("bars/\(name)"))
      return try DatasetSource.read(scratch("bars/\(name)"), part: .test, classes: Self.names)
    }
    let lines = try read(
      "{\"filename\":\"0.png\",\"labels\":[]}\n{\"labels\":[\"right\",\"left\"],\"filename\":\"1.png\"}\n", "l.jsonl")
    #expect(lines.samples.map(\.truth) == [.several([]), .several([1, 2])])
    let faults = [
      ("filename,labels\n0.png,left;left\n", "f.csv", "'left' stands there twice"),
      ("filename,labels\n0.png,left;\n", "f.csv", "a label is empty"),
      ("filename,labels\n0.png,left;up\n", "f.csv", "no class 'up'"),
      ("{\"filename\":\"0.png\",\"labels\":\"left\"}\n", "f.jsonl", "labels"),
      ("filename,tags\n", "f.csv", "filename and label, or labels"),
    ]
    for (text, name, word) in faults {
      do throws(TrainingError) {
        let dataset = try Result { try read(text, name) }.mapError { $0 as? TrainingError ?? .stopped }.get()
        Issue.record("\(text) gave \(dataset.samples)")
      } catch {
        #expect("\(error)".contains(word) && "\(error)".contains(name), "\(error)")
      }
    }
  }

  /// Each class has its share on both sides, whatever else its pictures show.
  @Test func splitsKeepTheSharesOfAllClasses() {
    let samples = (0..<400).map { number -> Dataset.Sample in
      let shown = [number % 2 == 0, number % 5 < 2, number % 40 == 3, number % 100 == 1]
      return Dataset.Sample(place: .packed(number), truth: .several(shown.indices.filter { shown[$0] }))
    }
    let dataset = Dataset(classes: ["a", "b", "c", "d"], samples: samples)
    #expect(dataset.counts == [200, 160, 10, 4])
    let split = dataset.split(ratio: 0.25, seed: 3)
    #expect(split.kept.samples.count + split.aside.samples.count == 400)
    #expect(Set((split.kept.samples + split.aside.samples).map(\.place)).count == 400)
    for (found, wanted) in zip(split.aside.counts, [50, 40, 3, 1]) {
      #expect((found - wanted).magnitude <= max(1, wanted / 10), "\(split.aside.counts)")
    }
    #expect(dataset.split(ratio: 0.25, seed: 3).aside.samples.map(\.place) == split.aside.samples.map(\.place))
  }

  @Test func batchesAskForEachClass() throws {
    let dataset = try DatasetSource.read(try bars(8), part: .train)
    var settings = LoaderSettings()
    (settings.batchSize, settings.isShuffled) = (8, false)
    let preprocessing = try Preprocessing(
      resize: .exact(.init(height: 28, width: 28)), filter: .bilinear, channels: .grey, scale: 1 / 255.0, mean: [0.5],
      std: [0.5])
    func rows() throws -> [Float] {
      let batches = DataLoader(dataset, preprocessing: preprocessing, settings: settings).epoch(0)
      let batch = try #require(batches.next())
      guard case .rows(let rows) = batch.targets else {
        Issue.record("\(batch.targets)")
        return []
      }
      return rows
    }
    let wanted: [Float] = [0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1]
    #expect(try rows() == wanted)
    settings.augmentation.mixupAlpha = 1
    let mixed = try rows()
    // The second picture with the first, which shows nothing; the third with the second.
    #expect(mixed[3] > 0 && mixed[3] < 1 && mixed[4] == 0)
    #expect((mixed[6] + mixed[7] - 1).magnitude < 1e-6 && (mixed[7] - mixed[3]).magnitude < 1e-6)
    settings.isBalanced = true
    let order = DataLoader(
      dataset.with(samples: [dataset.samples[0]] + [Dataset.Sample](repeating: dataset.samples[1], count: 99)),
      preprocessing: preprocessing, settings: settings
    ).order(epoch: 0)
    #expect((30...70).contains(order.count { $0 == 0 }), "pictures that show nothing are half of what is drawn")
  }

  /// scikit-learn's numbers of the answers that `Tests/Vectors/metrics.py` makes.
  @Test func metricsAreTheirs() throws {
    let vector = try #require(Fixture.json("metrics.json")["multi_label"])
    let width = 6
    var logits = Counted.floats(31, 80 * width).map { $0 * 3 }
    for n in 40..<60 { logits[n * width + 2] = logits[40 * width + 2] }
    let truths = try #require(vector["truths"]).elements.map(\.integers)
    let probabilities = logits.map { Float(1 / (1 + exp(-Double($0)))) }
    let metrics = ClassificationMetrics(
      probabilities: probabilities, truths: truths, classes: (0..<width).map { "\($0)" })
    let more = try #require(metrics.multiLabel)
    func number(_ name: String) throws -> [Double] { [try #require(vector[name]).double] }
    func close(_ found: [Double], _ wanted: [Double], _ what: String) {
      expectClose(found, wanted, relative: 1e-6, what)
    }
    close([metrics.accuracy], try number("accuracy"), "accuracy")
    close([more.hammingLoss], try number("hamming_loss"), "Hamming loss")
    close([metrics.logLoss], try number("log_loss"), "log loss")
    close([metrics.calibrationError], try number("calibration_error"), "calibration error")
    close(more.averagePrecision, try #require(vector["average_precision"]).doubles, "average precision")
    close([more.meanAveragePrecision], try number("mean_average_precision"), "its mean")
    func rows(_ rows: [ClassificationMetrics.PerClass]) -> [Double] {
      rows.flatMap { [$0.precision, $0.recall, $0.f1] }
    }
    close(rows(metrics.perClass), try #require(vector["classes"]).elements.flatMap(\.doubles), "classes")
    close(rows([metrics.macro, metrics.micro]), try #require(vector["means"]).elements.flatMap(\.doubles), "means")
    let decisions = more.decisions.flatMap {
      [$0.trueNegatives, $0.falsePositives, $0.falseNegatives, $0.truePositives]
    }
    #expect(decisions == (try #require(vector["decisions"]).elements.flatMap(\.integers)))
    #expect(metrics.topFive == nil && metrics.confusion.isEmpty)
  }

  @Test func aRunLearnsEachClassAndItsModelAnswersForEach() throws {
    let labels = try bars(64)
    let recipe = try runs.pictures(
      labels,
      [
        "loss": "binary_cross_entropy", "epochs": "12", "batch_size": "8", "optimizer.kind": "adam",
        "learning_rate": "0.003", "class_weights": "true", "data.validation": labels,
      ])
    let run = try TrainingRun(recipe, provenance: "a test")
    #expect(try run.run(stop: StopRequest()) { _ in } == .finished)
    let last = try #require(run.history.last)
    #expect(last.validationAccuracy ?? 0 >= 0.95, "\(run.history)")
    let model = scratch("run/model.swiftweights")
    let dataset = try DatasetSource.read(labels, part: .test)
    let evaluation = try ModelEvaluation(modelPath: model, dataset: dataset, threads: 2)
    // The model with the smallest loss is kept.
    let best = try #require(run.history.min { ($0.validationLoss ?? 9) < ($1.validationLoss ?? 9) })
    #expect((evaluation.metrics.accuracy - (best.validationAccuracy ?? 0)).magnitude < 1e-9)
    #expect((evaluation.metrics.logLoss - (best.validationLoss ?? 0)).magnitude < 1e-4)
    #expect(evaluation.metrics.multiLabel?.meanAveragePrecision ?? 0 > 0.98)
    try evaluation.write(json: scratch("r.json"), html: scratch("r.html"))
    #expect(Files.text(scratch("r.html")).contains("average precision"))
    #expect(Files.text(scratch("r.json")).contains("\"hamming_loss\""))

    let (file, network) = try WeightsFile.load(path: model)
    #expect(network.answerKind == .independent && file.labels == Self.names)
    // Going on from it starts at its scores, with as many classes as the new pictures have.
    let further = try TrainingRun(
      try runs.pictures(
        runs.pair(), name: "further", ["weights": model, "epochs": "1", "architecture": ""]), provenance: "a test")
    #expect(further.start.graph.answerKind == .scores && further.start.replaced.count == 2)
  }

  @Test func aLossOfOneClassAPictureIsRefused() throws {
    let labels = try bars(8)
    func message(_ body: () throws(TrainingError) -> Void) -> String {
      do throws(TrainingError) {
        try body()
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    let recipe = try runs.pictures(labels)
    let refusal = message { () throws(TrainingError) in _ = try TrainingRun(recipe, provenance: "a test") }
    #expect(refusal.contains("train.loss") && refusal.contains("binary_cross_entropy"), "\(refusal)")
    // Whether a picture shows one thing or not is a question too.
    Files.write(Array("filename,labels\n0.png,left\n1.png,\n2.png,left\n".utf8), to: scratch("bars/one.csv"))
    let one = try TrainingRun(
      try runs.pictures(scratch("bars/one.csv"), name: "one", ["loss": "binary_cross_entropy", "epochs": "1"]),
      provenance: "a test")
    #expect(try one.run(stop: StopRequest()) { _ in } == .finished && one.start.graph.classifier != nil)
    let single = try TrainingRun(try runs.pictures(runs.pair(), name: "single"), provenance: "a test")
    _ = try single.run(stop: StopRequest()) { _ in }
    let pictures = try DatasetSource.read(labels, part: .test)
    let mismatch = message { () throws(TrainingError) in
      _ = try ModelEvaluation(
        modelPath: scratch("single/model.swiftweights"),
        dataset: Dataset(classes: ["one", "two"], samples: Array(pictures.samples.prefix(3))), threads: 1)
    }
    #expect(mismatch.contains("answers with one class"), "\(mismatch)")
  }
}
