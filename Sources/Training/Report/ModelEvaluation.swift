package import Engine
internal import Imaging
internal import Platform

/// A written model on labelled pictures: metrics, the worst mistakes, and reports of both.
package struct ModelEvaluation {
  /// A wrong answer, for people.
  package struct Mistake {
    package let name: String
    package let truth: String
    package let answer: String
    /// How sure the network was of its answer.
    package let confidence: Double
    /// A small PNG of the picture as the network saw it.
    let thumbnail: [UInt8]
  }

  package let modelPath: String
  package let digest: String
  package let metrics: ClassificationMetrics
  package let mistakes: [Mistake]
  package let unreadable: [UnreadablePicture]
  let history: [EpochRecord]

  /// Answers every picture.
  ///
  /// - Throws: `TrainingError.settings` if the classes are not the model's, `.dataset` if no picture can be read, `.stopped`
  ///   if `stop` is asked.
  package init(
    modelPath: String, dataset: Dataset, threads: Int, history: [EpochRecord] = [], shownMistakes: Int = 24,
    stop: StopRequest = StopRequest()
  ) throws(TrainingError) {
    let file: WeightsFile
    let preprocessing: Preprocessing
    let evaluator: Evaluator
    let batch = 64
    let lanes = ThreadLanes(count: threads)
    do throws(EngineError) {
      file = try WeightsFile.open(path: modelPath)
      evaluator = try Evaluator(graph: file.graph, weights: file, batch: batch, lanes: lanes)
    } catch {
      throw .engine(error)
    }
    do throws(ImagingError) {
      preprocessing = try Preprocessing(json: file.preprocessingJSON)
    } catch {
      throw .settings(reason: "\(modelPath): \(error)")
    }
    let labels = file.labels.isEmpty ? (0..<evaluator.classes).map { "\($0)" } : file.labels
    let matched = try Self.matched(dataset, labels, modelPath)
    guard !dataset.isMultiLabel || file.graph.answerKind == .independent else {
      throw .settings(
        reason:
          "\(modelPath) answers with one class, and the pictures show several or none; a network that was trained "
          + "with binary_cross_entropy answers for each class")
    }
    var settings = LoaderSettings()
    (settings.batchSize, settings.isShuffled, settings.workers) = (batch, false, threads)
    let loader = DataLoader(matched, preprocessing: preprocessing, settings: settings)
    let outcome = evaluator.evaluate(loader, loss: .crossEntropy(classWeights: nil, labelSmoothing: 0), stop: stop)
    if stop.isAsked { throw .stopped }
    guard !outcome.truths.isEmpty else { throw .unreadable("the data to test by", count: dataset.samples.count) }
    let kind = file.graph.answerKind
    let probabilities =
      kind == .scores ? ClassificationMetrics.softmax(outcome.answers, classes: evaluator.classes) : outcome.answers
    let truths = outcome.truths.map(\.classes)
    metrics =
      kind == .independent
      ? ClassificationMetrics(probabilities: probabilities, truths: truths, classes: labels)
      : ClassificationMetrics(probabilities: probabilities, labels: truths.map { $0[0] }, classes: labels)
    mistakes = Self.worst(
      probabilities, kind == .independent ? .from(0.5) : .largest, outcome, matched, preprocessing,
      count: shownMistakes)
    unreadable = outcome.unreadable
    digest = file.digest
    self.modelPath = modelPath
    self.history = history
  }

  /// The data's classes by the model's numbers.
  private static func matched(
    _ dataset: Dataset, _ labels: [String], _ modelPath: String
  ) throws(TrainingError) -> Dataset {
    if dataset.classes == labels { return dataset }
    // Data without names of its own has numbers for names.
    let isNumbered = dataset.classes == dataset.classes.indices.map { "\($0)" }
    var samples: [Dataset.Sample] = []
    for sample in dataset.samples {
      var own: [Int] = []
      for number in sample.truth.classes {
        let name = dataset.classes[number]
        guard let label = isNumbered && number < labels.count ? number : labels.firstIndex(of: name) else {
          throw .settings(reason: "\(modelPath) has no class '\(name)'; it has \(labels.joined(separator: ", "))")
        }
        own.append(label)
      }
      if case .one = sample.truth {
        samples.append(Dataset.Sample(place: sample.place, label: own[0]))
      } else {
        samples.append(Dataset.Sample(place: sample.place, truth: .several(own.sorted())))
      }
    }
    return Dataset(classes: labels, samples: samples, packed: dataset.packed)
  }

  /// Wrong answers, the surest first: by the largest probability that speaks for a class which is not there, or against one
  /// which is.
  private static func worst(
    _ probabilities: [Float], _ decision: Decision, _ outcome: Evaluator.Outcome, _ dataset: Dataset,
    _ preprocessing: Preprocessing, count: Int
  ) -> [Mistake] {
    let width = dataset.classes.count
    var wrong: [(row: Int, answer: [Int], confidence: Float)] = []
    probabilities.withUnsafeBufferPointer { all in
      for (n, truth) in outcome.truths.enumerated() {
        let row = UnsafeBufferPointer(rebasing: all[(n * width)..<((n + 1) * width)])
        let (answer, wanted) = (decision.classes(in: row), truth.classes)
        guard answer != wanted else { continue }
        var confidence = answer.filter { !wanted.contains($0) }.map { row[$0] }.max() ?? 0
        if case .from = decision {
          confidence = wanted.filter { !answer.contains($0) }.reduce(confidence) { max($0, 1 - row[$1]) }
        }
        wrong.append((n, answer, confidence))
      }
    }
    wrong.sort { ($0.confidence, $1.row) > ($1.confidence, $0.row) }
    let reader = PictureReader(dataset, preprocessing: preprocessing)
    return wrong.prefix(count).compactMap { row, answer, confidence in
      let sample = dataset.samples[outcome.samples[row]]
      guard let picture = try? reader.picture(of: sample, isResized: true),
        let png = try? PNGWriter.encode(
          width: picture.width, height: picture.height, channels: picture.channels, samples: picture.samples)
      else { return nil }
      return Mistake(
        name: dataset.name(of: sample), truth: dataset.names(of: sample.truth),
        answer: dataset.names(of: .several(answer)), confidence: Double(confidence), thumbnail: png)
    }
  }

  /// The report as JSON.
  package var json: JSON {
    .object([
      "model": .string(modelPath), "digest": .string(digest), "metrics": metrics.json,
      "mistakes": .array(
        mistakes.map {
          .object([
            "picture": .string($0.name), "class": .string($0.truth), "answer": .string($0.answer),
            "confidence": JSON(.number("\($0.confidence)")),
          ])
        }), "unreadable": .array(unreadable.map { .string("\($0.name): \($0.reason)") }),
      "history": .array(history.map(\.json)),
    ])
  }

  /// Writes the reports that are asked for.
  package func write(json jsonPath: String?, html htmlPath: String?) throws(TrainingError) {
    do throws(PlatformError) {
      if let jsonPath { try AtomicFile.write(Path(jsonPath), Array((json.text + "\n").utf8), mode: 0o644) }
      if let htmlPath {
        try AtomicFile.write(Path(htmlPath), Array(HTMLReport(self, history: history).text.utf8), mode: 0o644)
      }
    } catch {
      throw .platform(error)
    }
  }
}
