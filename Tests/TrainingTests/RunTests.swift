import Engine
import Imaging
import ModelZoo
import TestSupport
import Testing
import Training

/// Whole runs on scikit-learn's handwritten digits.
struct RunTests {
  private let runs = Runs()
  private var scratch: Scratch { runs.scratch }

  @Test func leNetLearnsDigits() throws {
    let recipe = try runs.digits(
      """
      [train]
      epochs = 16
      batch_size = 32
      [schedule]
      kind = "one_cycle"
      [augment]
      affine_degrees = 15
      affine_translate = 0.1
      affine_scale = [0.8, 1.2]
      affine_shear_degrees = 10
      """)
    let run = try TrainingRun(recipe, provenance: "a test")
    #expect(try run.run(stop: StopRequest()) { _ in } == .finished)
    let best = run.history.compactMap(\.validationAccuracy).max() ?? 0
    #expect(best >= 0.97, "\(best) of the test digits are right")
    // What was written answers as the run did, and proves itself on its canary.
    let dataset = try DatasetSource.read("\(Fixture.folder)/digits", part: .test)
    let evaluation = try ModelEvaluation(modelPath: scratch("run/model.swiftweights"), dataset: dataset, threads: 2)
    #expect((evaluation.metrics.accuracy - best).magnitude < 1e-9)
    let file = try WeightsFile.open(path: scratch("run/model.swiftweights"))
    let plan = try InferencePlan(
      network: CompiledNetwork(graph: file.graph, weights: file), batchCapacity: 1)
    #expect(plan.discrepancy(to: try #require(file.canary)) == nil)
    #expect(file.labels == (0..<10).map { "\($0)" })
  }

  /// Stopped at any step and gone on with, a run ends with the same bits as one that was never stopped.
  @Test(arguments: [1, 2, 44, 45, 46, 67])
  func resumesToTheBit(steps: Int) throws {
    let settings = """
      [train]
      epochs = 2
      batch_size = 32
      average_decay = 0.9
      accumulate = 2
      clip_norm = 1
      [schedule]
      kind = "one_cycle"
      [augment]
      horizontal_flip = 0.5
      mixup_alpha = 0.2
      """
    let whole = try TrainingRun(try runs.digits(settings, name: "whole"), provenance: "a test")
    _ = try whole.run(stop: StopRequest()) { _ in }
    let recipe = try runs.digits(settings, name: "parts")
    let first = try TrainingRun(recipe, provenance: "a test")
    let stop = StopRequest()
    var seen = 0
    let end = try first.run(stop: stop) { event in
      guard case .step = event else { return }
      seen += 1
      if seen == steps { stop.ask() }
    }
    #expect(end == .interrupted)
    let second = try TrainingRun(recipe, provenance: "a test")
    #expect(try second.resume())
    #expect(try second.run(stop: StopRequest()) { _ in } == .finished)
    #expect(Runs.bits(second) == Runs.bits(whole))
    #expect(second.history.map(\.trainLoss) == whole.history.map(\.trainLoss))
  }

  @Test func anotherRecipesCheckpointIsRefused() throws {
    let stop = StopRequest()
    let run = try TrainingRun(try runs.digits("[train]\nepochs = 3"), provenance: "a test")
    _ = try run.run(stop: stop) { _ in stop.ask() }
    let other = try TrainingRun(try runs.digits("[train]\nepochs = 4"), provenance: "a test")
    #expect(throws: TrainingError.self) { try other.resume() }
    Files.write(Array("nothing".utf8), to: scratch("run/checkpoint.safetensors"))
    #expect(throws: TrainingError.self) { try run.resume() }
  }

  @Test func aLossThatIsNoNumberNamesTheLayer() throws {
    let run = try TrainingRun(try runs.digits("[train]\nbatch_size = 32"), provenance: "a test")
    let first = try #require(run.weights.parameter("conv2.weight"))
    run.weights.values[first.range.lowerBound] = .nan
    do {
      _ = try run.run(stop: StopRequest()) { _ in }
      Issue.record("the run went on")
    } catch {
      guard case .unsound(let step, let layer, let checkpoint) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(step == 0 && layer == "conv2" && checkpoint == nil)
    }
  }

  /// A network for ten digits becomes one for two; what is frozen stays, and thaws when told to.
  @Test func transferKeepsWhatIsFrozen() throws {
    let run = try TrainingRun(try runs.digits("[train]\nepochs = 1"), provenance: "a test")
    _ = try run.run(stop: StopRequest()) { _ in }
    let text = """
      [data]
      train = "\(runs.pair())"
      [model]
      weights = "\(scratch("run/model.swiftweights"))"
      freeze = ["*", "!fc*"]
      thaw_epoch = 1
      [train]
      epochs = 2
      batch_size = 8
      [optimizer]
      learning_rate = 0.01
      groups = { "conv*" = 0.1 }
      [output]
      folder = "\(scratch.folder("transfer"))"
      """
    let transfer = try TrainingRun(try Recipe.read(Array(text.utf8), file: "recipe", flags: []), provenance: "a test")
    #expect(transfer.start.replaced == ["fc3.weight", "fc3.bias"])
    let before = try transfer.weights.floats(ofTensor: "conv1.weight")
    var afterFirst: [Float] = []
    _ = try transfer.run(stop: StopRequest()) { event in
      if case .epoch(let record, _) = event, record.epoch == 1 {
        afterFirst = (try? transfer.weights.floats(ofTensor: "conv1.weight")) ?? []
      }
    }
    #expect(afterFirst == before)
    #expect(try transfer.weights.floats(ofTensor: "conv1.weight") != before)
    #expect(Files.exists(scratch("transfer/samples.png")))
  }

  /// Once thawed, batch norms learn and move their statistics, or learn and keep them; and the network of a weights
  /// file takes pictures of another size.
  @Test(arguments: ["batch", "kept"])
  func thawedNormsGoByWhatTheRecipeSays(statistics: String) throws {
    let architecture = try #require(Architecture.named("resnet20"))
    let graph = architecture.graph(classes: 10, inputShape: Shape(c: 3, h: 32, w: 32))
    try ModelWriter.write(
      to: scratch("begin.swiftweights"), graph: graph, weights: try architecture.initialWeights(for: graph, seed: 1),
      labels: (0..<10).map { "\($0)" }, preprocessing: try .square(side: 32), provenance: "a test")
    let text = """
      [data]
      train = "\(runs.pair(side: 16))"
      [model]
      weights = "\(scratch("begin.swiftweights"))"
      height = 16
      freeze = ["*", "!linear*"]
      thaw_epoch = 1
      norm_statistics = "\(statistics)"
      [train]
      epochs = 2
      batch_size = 8
      [optimizer]
      learning_rate = 0.001
      [output]
      folder = "\(scratch.folder("norms"))"
      tensorboard = false
      contact_sheet = 0
      """
    let run = try TrainingRun(try Recipe.read(Array(text.utf8), file: "recipe", flags: []), provenance: "a test")
    #expect(run.start.graph.inputShape == Shape(c: 3, h: 16, w: 16))
    #expect(run.preprocessing.output == Preprocessing.Extent(height: 16, width: 16))
    _ = try run.run(stop: StopRequest()) { _ in }
    for node in ["bn1", "layer3.2.bn2"] {
      #expect(try run.weights.floats(ofTensor: "\(node).weight").contains { $0 != 1 })
      let moved = try run.weights.floats(ofTensor: "\(node).running_mean").contains { $0 != 0 }
      #expect(moved == (statistics == "batch"))
    }
  }
}
