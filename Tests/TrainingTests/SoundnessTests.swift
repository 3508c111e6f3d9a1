import Engine
import Imaging
import Platform
import TestSupport
import Testing
import Training

/// A run does not go on, nor end as if all were well, when what it learns from or has learnt is worth nothing.
struct SoundnessTests {
  private let runs = Runs()

  /// What a run throws.
  private func error(_ recipe: Recipe, tell: (TrainingRun, TrainingEvent) -> Void = { _, _ in }) -> TrainingError? {
    do throws(TrainingError) {
      let run = try TrainingRun(recipe, provenance: "a test")
      _ = try run.run(stop: StopRequest()) { tell(run, $0) }
      return nil
    } catch {
      return error
    }
  }

  /// A step whose loss was a number and whose weights are none must not become the last good state.
  @Test func weightsThatAreNoNumbersKeepTheOldCheckpoint() throws {
    let recipe = try runs.pictures(runs.pair(), ["checkpoint_s": "0"])
    let found = error(recipe) { run, event in
      guard case .step(let record) = event, record.step == 3, let weight = run.weights.parameter("fc2.weight") else {
        return
      }
      run.weights.values[weight.range.lowerBound] = .infinity
    }
    let text = found.map { "\($0)" } ?? "none"
    #expect(text.contains("3") && text.contains("fc2.weight") && text.contains("checkpoint.safetensors"), "\(text)")
    let again = try TrainingRun(recipe, provenance: "a test")
    #expect(try again.resume())
    #expect((0..<again.weights.count).allSatisfy { again.weights.values[$0].isFinite })
    var first: StepRecord?
    _ = try again.run(stop: StopRequest()) { event in
      if case .step(let record) = event, first == nil { first = record }
    }
    #expect(first?.step == 3)
  }

  /// The same at an epoch's end, where the model is written.
  @Test func anEpochOfNoNumbersIsNotWritten() throws {
    let found = error(try runs.pictures(runs.pair())) { run, event in
      guard case .step(let record) = event, record.batch == record.batches, record.epoch == 2 else { return }
      run.weights.values[0] = .nan
    }
    let text = found.map { "\($0)" } ?? "none"
    #expect(text.contains("conv1.weight") && text.contains("checkpoint.safetensors"), "\(text)")
  }

  /// Breaks the pictures of some places of the first epoch's order; gives the folder.
  private func folder(broken places: Range<Int>, of count: Int) throws -> String {
    let folder = runs.pair(count: count / 2)
    let dataset = try DatasetSource.read(folder, part: .train)
    var settings = LoaderSettings()
    settings.seed = 1
    let order = DataLoader(dataset, preprocessing: .torchvisionImageNet, settings: settings).order(epoch: 0)
    for place in places { Files.write(Array("no picture".utf8), to: dataset.name(of: dataset.samples[order[place]])) }
    return folder
  }

  /// Batches of four, two to a step: the first of a pair, or the second, or both cannot be read.
  @Test(arguments: [(0..<4, 2), (4..<8, 2), (8..<12, 2), (12..<16, 2), (0..<8, 1), (2..<6, 2)])
  func whatWasGatheredIsUsed(broken: Range<Int>, steps: Int) throws {
    let recipe = try runs.pictures(
      try folder(broken: broken, of: 16), ["epochs": "1", "accumulate": "2"])
    let run = try TrainingRun(recipe, provenance: "a test")
    var last = 0
    _ = try run.run(stop: StopRequest()) { event in
      if case .step(let record) = event { last = record.step }
    }
    #expect(last == steps)
  }

  @Test(arguments: ["architecture", "data"]) func nothingReadableIsAnError(normalisation: String) throws {
    let recipe = try runs.pictures(
      try folder(broken: 0..<8, of: 8), ["normalisation": normalisation])
    guard case .dataset(_, _, let reason) = error(recipe) else {
      Issue.record("\(String(describing: error(recipe)))")
      return
    }
    #expect(reason.contains("lookout dataset check"), "\(reason)")
    #expect(!Files.exists(runs.scratch("run/model.swiftweights")))
  }

  @Test func fewerPicturesThanABatchAreAnErrorIfTheLastIsDropped() throws {
    let recipe = try runs.pictures(runs.pair(count: 3), ["drop_last": "true", "batch_size": "8"])
    guard case .dataset(_, _, let reason) = error(recipe) else {
      Issue.record("no error")
      return
    }
    #expect(reason.contains("drop_last") && reason.contains("batch_size"), "\(reason)")
  }

  @Test func unreadableValidationPicturesAreTold() throws {
    let (train, validation) = (runs.pair(), runs.pair(count: 4, name: "other"))
    let broken = "\(validation)/two/1.bmp"
    Files.write(Array("no picture".utf8), to: broken)
    var told: [String] = []
    let skipping = error(try runs.pictures(train, ["validation": validation, "epochs": "1"])) { _, event in
      if case .unreadable(let picture) = event { told.append(picture.name) }
    }
    #expect(skipping == nil && told == [broken])
    let stopping = error(try runs.pictures(train, ["validation": validation, "unreadable": "stop"]))
    guard case .dataset(broken, _, _) = stopping else {
      Issue.record("\(String(describing: stopping))")
      return
    }
    for label in ["one", "two"] {
      for number in 0..<4 { Files.write(Array("no".utf8), to: "\(validation)/\(label)/\(number).bmp") }
    }
    guard case .dataset(validation, _, _) = error(try runs.pictures(train, name: "none", ["validation": validation]))
    else {
      Issue.record("a validation without pictures passed")
      return
    }
  }

  /// Large pictures on one loader: nearly all of the time is spent waiting for them.
  @Test func theRateCountsTheWaitForPictures() throws {
    let recipe = try runs.pictures(runs.pair(side: 1200, count: 8), ["epochs": "1"])
    let run = try TrainingRun(recipe, provenance: "a test")
    let started = Clock.monotonicNanoseconds()
    var (wall, shown) = (0.0, 0.0)
    _ = try run.run(stop: StopRequest()) { event in
      guard case .step(let record) = event, record.batch == record.batches else { return }
      wall = Double(Clock.monotonicNanoseconds() - started) * 1e-9
      shown = 16 / record.imagesPerSecond
    }
    #expect(shown > wall / 2, "\(shown) s of \(wall) s")
  }
}
