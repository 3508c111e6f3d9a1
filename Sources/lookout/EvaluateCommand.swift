internal import Engine
internal import Glibc
internal import Platform
internal import Training

/// `lookout evaluate`: how well a model answers labelled pictures.
enum EvaluateCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ["--html", "--images", "--part", "--threads", "--report"], switches: ["--json"])
    guard arguments.operands.count == 2 else { throw .usage("evaluate takes a model and labelled pictures") }
    guard let part = DatasetSource.Part(rawValue: arguments["--part"] ?? "test") else {
      throw .usage("--part is train, validation or test")
    }
    guard let threads = Int(arguments["--threads"] ?? "2"), (1...64).contains(threads) else {
      throw .usage("--threads is a number from 1 to 64")
    }
    do throws(TrainingError) {
      let dataset = try DatasetSource.read(
        arguments.operands[1], part: part, images: arguments["--images"] ?? "")
      let evaluation = try ModelEvaluation(modelPath: arguments.operands[0], dataset: dataset, threads: threads)
      try evaluation.write(json: arguments["--report"], html: arguments["--html"])
      print(arguments.has("--json") ? evaluation.json.text : text(evaluation))
    } catch {
      throw TrainCommand.failure(error)
    }
  }

  private static func text(_ evaluation: ModelEvaluation) -> String {
    let m = evaluation.metrics
    var headline = "\(percent(m.accuracy)) of \(m.count) pictures right"
    if let topFive = m.topFive { headline += ", \(percent(topFive)) among the first five" }
    if let more = m.multiLabel {
      headline +=
        " in every class, mean average precision \(percent(more.meanAveragePrecision)), "
        + "\(percent(more.hammingLoss)) of the decisions wrong"
    }
    var lines = [
      headline,
      "macro F1 \(percent(m.macro.f1)), log loss \(fixed(m.logLoss, 4)), calibration error "
        + percent(m.calibrationError),
      "", "precision   recall       F1  pictures  class",
    ]
    func padded(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    for (name, row) in zip(m.classes, m.perClass) {
      lines.append(
        padded(percent(row.precision), 9) + padded(percent(row.recall), 9) + padded(percent(row.f1), 9)
          + padded("\(row.support)", 10) + "  " + name)
    }
    lines += evaluation.unreadable.map { "left out: \($0.name): \($0.reason)" }
    return lines.joined(separator: "\n")
  }
}

/// `lookout dataset check`: what is wrong with labelled pictures, before training.
enum DatasetCommand {
  static func run(_ words: [String]) throws(Failure) {
    guard words.first == "check" else { throw .usage("dataset has one verb: check") }
    let arguments = try Arguments(
      Array(words.dropFirst()), options: ["--validation", "--validation-ratio", "--seed", "--test", "--images"],
      switches: [])
    guard arguments.operands.count == 1 else { throw .usage("dataset check takes the training data") }
    var recipe = Recipe()
    recipe.data.train = arguments.operands[0]
    recipe.data.validation = arguments["--validation"] ?? ""
    recipe.data.test = arguments["--test"] ?? ""
    recipe.data.images = arguments["--images"] ?? ""
    if let text = arguments["--validation-ratio"] {
      guard let ratio = Double(text), (0...0.9).contains(ratio) else {
        throw .usage("--validation-ratio is a number from 0 to 0.9")
      }
      recipe.data.validationRatio = ratio
    }
    if let text = arguments["--seed"] {
      guard let seed = Int(text), seed >= 0 else { throw .usage("--seed is a whole number") }
      recipe.train.seed = seed
    }
    do throws(TrainingError) {
      let check = DatasetCheck(try DatasetCheck.parts(of: recipe), tell: progress)
      report(check)
      if !check.isSound { exit(65) }
    } catch {
      throw TrainCommand.failure(error)
    }
  }

  private static func progress(_ done: Int, _ total: Int) {
    guard isatty(STDERR_FILENO) == 1 else { return }
    let text = Array((done == total ? "\r\u{1B}[K" : "\r\(done) of \(total) pictures read").utf8)
    _ = write(STDERR_FILENO, text, text.count)
  }

  private static func report(_ check: DatasetCheck) {
    for part in check.parts {
      let counts = part.dataset.counts
      print("\(part.name): \(part.dataset.samples.count) pictures of \(counts.count) classes")
      for (name, count) in zip(part.dataset.classes, counts) { print("  \(count)  \(name)") }
    }
    for picture in check.unreadable { print("unreadable: \(picture.name): \(picture.reason)") }
    for twins in check.twins {
      let kind = twins.isContradiction ? "contradiction" : twins.isLeak ? "leak" : "duplicate"
      print("\(kind): \(twins.members.joined(separator: " = "))")
    }
    let duplicates = check.twins.count - Set(check.leaks.map(\.members) + check.contradictions.map(\.members)).count
    print(
      "\(check.unreadable.count) unreadable, \(check.contradictions.count) contradictions, \(check.leaks.count) leaks "
        + "between parts, \(duplicates) harmless duplicates: \(check.isSound ? "sound" : "not sound")")
  }
}
