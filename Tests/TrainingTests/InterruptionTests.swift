import TestSupport
import Testing
import Training

/// Wherever a run is stopped or killed, it goes on as if it had not been.
struct InterruptionTests {
  private let runs = Runs()

  /// Where nothing learns no epoch is better than the first, and patience ends.
  @Test func patienceOutlivesAKillAtAnyCheckpoint() throws {
    let flags: KeyValuePairs = [
      "epochs": "9", "patience": "1", "learning_rate": "0", "validation_ratio": "0.2",
    ]
    let pictures = runs.pair()
    let run = try TrainingRun(try runs.pictures(pictures, flags), provenance: "a test")
    var checkpoints: [[UInt8]] = []
    let path = runs.scratch("run/checkpoint.safetensors")
    let end = try run.run(stop: StopRequest()) { event in
      if case .checkpoint = event { checkpoints.append(Files.read(path) ?? []) }
    }
    #expect(end == .early && run.history.count == 3 && checkpoints.count == 3)
    for checkpoint in checkpoints {
      let recipe = try runs.pictures(pictures, name: "again", flags)
      Files.write(checkpoint, to: runs.scratch("again/checkpoint.safetensors"))
      let again = try TrainingRun(recipe, provenance: "a test")
      #expect(try again.resume())
      #expect(try again.run(stop: StopRequest()) { _ in } == .early)
      #expect(again.history.count == 3)
    }
  }

  /// What is frozen has made no steps when it thaws, and its optimizer's state begins then.
  @Test(arguments: [3, 10, 11, 13])
  func resumesAroundAThawToTheBit(steps: Int) throws {
    let flags: KeyValuePairs = [
      "optimizer.kind": "adamw", "freeze": "[\"*\", \"!fc3*\"]", "thaw_epoch": "1",
    ]
    try resumesToTheBit(flags) { $0.step == steps }
  }

  /// Stops a run behind a step and goes on with it; gives it as it was then, as it ended, and one that was never stopped.
  @discardableResult
  private func resumesToTheBit(
    _ flags: KeyValuePairs<String, String>, behind isLast: (StepRecord) -> Bool
  ) throws -> (first: TrainingRun, second: TrainingRun, whole: TrainingRun) {
    let pictures = runs.pair()
    let whole = try TrainingRun(try runs.pictures(pictures, name: "whole", flags), provenance: "a test")
    _ = try whole.run(stop: StopRequest()) { _ in }
    let stop = StopRequest()
    let recipe = try runs.pictures(pictures, name: "parts", flags)
    let first = try TrainingRun(recipe, provenance: "a test")
    #expect(
      try first.run(stop: stop) { event in
        if case .step(let record) = event, isLast(record) { stop.ask() }
      } == .interrupted)
    let second = try TrainingRun(recipe, provenance: "a test")
    #expect(try second.resume())
    #expect(try second.run(stop: StopRequest()) { _ in } == .finished)
    #expect(Runs.bits(second) == Runs.bits(whole))
    return (first, second, whole)
  }

  /// Asked while it validates it does not do so to the end, and does it anew when it goes on.
  @Test func stopsInsideAValidation() throws {
    let (first, second, whole) = try resumesToTheBit(["validation_ratio": "0.5"]) { $0.batch == $0.batches }
    #expect(first.history.isEmpty)
    #expect(second.history.map(\.validationLoss) == whole.history.map(\.validationLoss))
  }

  @Test func stopsBeforeTheFirstStep() throws {
    let stop = StopRequest()
    let run = try TrainingRun(try runs.pictures(runs.pair()), provenance: "a test")
    stop.ask()
    var steps = 0
    #expect(
      try run.run(stop: stop) { event in
        if case .step = event { steps += 1 }
      } == .interrupted)
    #expect(steps == 0)
  }

  @Test func stopsWhileItIsSetUp() throws {
    let stop = StopRequest()
    stop.ask()
    let recipe = try runs.pictures(runs.pair(), ["normalisation": "data"])
    #expect(throws: TrainingError.stopped) { try TrainingRun(recipe, provenance: "a test", stop: stop) }
  }

  @Test func stopsTheLastTest() throws {
    let (pictures, stop) = (runs.pair(), StopRequest())
    _ = try TrainingRun(try runs.pictures(pictures), provenance: "a test").run(stop: stop) { _ in }
    stop.ask()
    let dataset = try DatasetSource.read(pictures, part: .test)
    let model = runs.scratch("run/model.swiftweights")
    #expect(throws: TrainingError.stopped) {
      try ModelEvaluation(modelPath: model, dataset: dataset, threads: 1, stop: stop)
    }
  }

  /// A checkpoint from before each tensor's steps were counted goes on with what was counted then.
  @Test func olderCheckpointsAreRead() throws {
    let (flags, pictures): (KeyValuePairs<String, String>, String) = (["optimizer.kind": "adam"], runs.pair())
    let whole = try TrainingRun(try runs.pictures(pictures, name: "whole", flags), provenance: "a test")
    _ = try whole.run(stop: StopRequest()) { _ in }
    let stop = StopRequest()
    let recipe = try runs.pictures(pictures, name: "parts", flags)
    _ = try TrainingRun(recipe, provenance: "a test").run(stop: stop) { event in
      if case .step(let record) = event, record.step == 3 { stop.ask() }
    }
    let path = runs.scratch("parts/checkpoint.safetensors")
    var bytes = try #require(Files.read(path))
    let name = try #require(bytes.firstRange(of: Array("parameter_steps".utf8)))
    bytes.replaceSubrange(name, with: Array("something_other".utf8))
    Files.write(bytes, to: path)
    let second = try TrainingRun(recipe, provenance: "a test")
    #expect(try second.resume())
    _ = try second.run(stop: StopRequest()) { _ in }
    #expect(Runs.bits(second) == Runs.bits(whole))
  }
}
