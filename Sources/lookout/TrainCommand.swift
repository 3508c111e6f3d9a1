internal import Engine
internal import Glibc
internal import Platform
internal import Training

/// `lookout train`: a recipe and its flags become a model.
enum TrainCommand {
  static let help = """
    usage: lookout train [RECIPE.toml] [--KEY VALUE]…

    Trains a network on labelled pictures and writes a model that the daemon takes as it is. Every key of a recipe is
    also an option and the other way round; an option wins. A key that two tables have needs its table:
    --optimizer.kind adam. Ctrl-C ends with a checkpoint; the same command goes on from it.

    """

  static func run(_ words: [String]) throws(Failure) {
    if words.contains("--help") {
      print(help + Recipe.keys.map { "  [\($0.table)] \($0.keys.joined(separator: ", "))" }.joined(separator: "\n"))
      return
    }
    let recipe = try recipe(words)
    let stop = StopRequest()
    watchSignals(stop)
    do throws(PlatformError) {
      try Directory.create(Path(recipe.output.folder), mode: 0o755)
    } catch {
      throw .output("\(error)")
    }
    let command = "lookout train " + words.joined(separator: " ")
    do throws(TrainingError) {
      let run = try TrainingRun(recipe, provenance: command, stop: stop)
      let display = TrainingDisplay()
      describe(run, display)
      if try run.resume() { display.note("goes on after \(run.history.count) epochs, from the checkpoint") }
      let end = try run.run(stop: stop) { display.show($0) }
      display.finish(end, run)
      if end != .interrupted, !recipe.data.test.isEmpty { try test(run, recipe, stop, display) }
      if end == .interrupted { exit(75) }
    } catch {
      throw failure(error)
    }
  }

  static func failure(_ error: TrainingError) -> Failure {
    switch error {
    case .stopped: Failure(code: 75, message: "stopped; the same command begins or goes on")
    case .platform: .input("\(error)")
    case .engine(.file): .input("\(error)")
    case .settings: .usage("\(error)")
    default: .data("\(error)")
    }
  }

  private static func recipe(_ words: [String]) throws(Failure) -> Recipe {
    var flags: [(name: String, value: String)] = []
    var files: [String] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        files.append(word)
        continue
      }
      let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        .map(String.init)
      guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else { throw .usage("\(word) needs a value") }
      flags.append((parts[0], value))
    }
    guard files.count <= 1 else { throw .usage("train takes one recipe") }
    var text: [UInt8] = []
    if let file = files.first {
      do throws(PlatformError) {
        text = try AtomicFile.read(Path(file), limit: 1 << 20)
      } catch {
        throw .input("\(error)")
      }
    }
    do throws(RecipeError) {
      return try Recipe.read(text, file: files.first ?? "the command line", flags: flags)
    } catch {
      throw .data("\(error)")
    }
  }

  /// SIGINT and SIGTERM ask the run to stop; a second one ends at once.
  private static func watchSignals(_ stop: StopRequest) {
    SignalSet.block()
    _ = OwnedThread(name: "signals") {
      while true {
        switch SignalSet.wait(for: .seconds(3600)) {
        case .interrupt, .terminate:
          if stop.isAsked { exit(75) }
          stop.ask()
        default: continue
        }
      }
    }
  }

  private static func describe(_ run: TrainingRun, _ display: TrainingDisplay) {
    let shape = run.start.graph.inputShape
    let numbers = run.weights.parameters.reduce(0) { $0 + $1.range.count }
    display.note(
      "\(run.training.samples.count) pictures of \(run.training.classes.count) classes to learn, "
        + "\(run.validation?.samples.count ?? 0) to validate; \(numbers) weights, input \(shape.c)×\(shape.h)×\(shape.w)"
    )
    if !run.start.replaced.isEmpty { display.note("new: " + run.start.replaced.joined(separator: ", ")) }
  }

  /// The best model on the test data, with a report beside it.
  private static func test(
    _ run: TrainingRun, _ recipe: Recipe, _ stop: StopRequest, _ display: TrainingDisplay
  ) throws(TrainingError) {
    let dataset = try DatasetSource.read(
      recipe.data.test, part: .test, images: recipe.data.images, classes: run.training.classes)
    let report = try ModelEvaluation(
      modelPath: String(decoding: run.modelPath.bytes, as: UTF8.self), dataset: dataset, threads: recipe.train.threads,
      history: run.history, stop: stop)
    for picture in report.unreadable {
      guard !recipe.data.stopsAtUnreadable else {
        throw .dataset(path: picture.name, place: "the picture", reason: picture.reason)
      }
      display.show(.unreadable(picture))
    }
    try report.write(
      json: "\(recipe.output.folder)/test.json", html: "\(recipe.output.folder)/report.html")
    display.note(
      "test: \(percent(report.metrics.accuracy)) of \(report.metrics.count) pictures right, "
        + "macro F1 \(percent(report.metrics.macro.f1)); \(recipe.output.folder)/report.html")
  }
}

/// A share with two digits behind the point.
func percent(_ share: Double) -> String { fixed(share * 100, 2) + " %" }

/// A number with so many digits behind the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, value.magnitude < 1e12 else { return "\(value)" }
  var factor = 1.0
  for _ in 0..<digits { factor *= 10 }
  let whole = Int((value.magnitude * factor).rounded())
  let unit = Int(factor)
  let rest = String(whole % unit)
  let sign = value < 0 && whole > 0 ? "-" : ""
  return digits == 0
    ? "\(sign)\(whole)" : "\(sign)\(whole / unit).\(String(repeating: "0", count: digits - rest.count))\(rest)"
}
