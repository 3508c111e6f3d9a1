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
    var settings = LoaderSettings()
    (settings.batchSize, settings.isShuffled, settings.workers) = (batch, false, threads)
    let loader = DataLoader(matched, preprocessing: preprocessing, settings: settings)
    let outcome = evaluator.evaluate(loader, loss: .crossEntropy(classWeights: nil, labelSmoothing: 0), stop: stop)
    if stop.isAsked { throw .stopped }
    guard !outcome.labels.isEmpty else { throw .unreadable("the data to test by", count: dataset.samples.count) }
    var isProbability = false
    if let last = file.graph.nodes.first(where: { $0.name == file.graph.outputName }), case .softmax = last.operation {
      isProbability = true
    }
    let probabilities =
      isProbability ? outcome.answers : ClassificationMetrics.softmax(outcome.answers, classes: evaluator.classes)
    metrics = ClassificationMetrics(probabilities: probabilities, labels: outcome.labels, classes: labels)
    mistakes = Self.worst(
      probabilities, outcome, matched, preprocessing, labels, count: shownMistakes)
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
      let name = dataset.classes[sample.label]
      guard let label = isNumbered && sample.label < labels.count ? sample.label : labels.firstIndex(of: name) else {
        throw .settings(reason: "\(modelPath) has no class '\(name)'; it has \(labels.joined(separator: ", "))")
      }
      samples.append(Dataset.Sample(place: sample.place, label: label))
    }
    return Dataset(classes: labels, samples: samples, packed: dataset.packed)
  }

  private static func worst(
    _ probabilities: [Float], _ outcome: Evaluator.Outcome, _ dataset: Dataset, _ preprocessing: Preprocessing,
    _ labels: [String], count: Int
  ) -> [Mistake] {
    let width = labels.count
    var wrong: [(row: Int, answer: Int, confidence: Float)] = []
    for (n, label) in outcome.labels.enumerated() {
      let row = probabilities[(n * width)..<((n + 1) * width)]
      guard let best = row.indices.max(by: { row[$0] < row[$1] }), best - n * width != label else { continue }
      wrong.append((n, best - n * width, row[best]))
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
        name: dataset.name(of: sample), truth: labels[outcome.labels[row]], answer: labels[answer],
        confidence: Double(confidence), thumbnail: png)
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
