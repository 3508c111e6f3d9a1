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
}
