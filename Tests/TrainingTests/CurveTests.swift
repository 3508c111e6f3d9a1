import Engine
import ModelZoo
import Testing
import Training

/// Twenty steps of training from the same weights on the same batches lose what they lose in PyTorch.
struct CurveTests {
  /// Weights by their names, as `Tests/Vectors/training.py` fills them.
  private struct Filled: TensorSource {
    let shapes: [String: [Int]]
    let constants: InitialWeights

    func extents(ofTensor name: String) -> [Int]? { shapes[name] }

    func floats(ofTensor name: String) throws(EngineError) -> [Float] {
      if Graph.isConstant(tensor: name) { return try constants.floats(ofTensor: name) }
      let extents = shapes[name] ?? []
      let count = extents.reduce(1, *)
      if name.hasSuffix("running_var") || name.hasSuffix("weight") && extents.count == 1 {
        return [Float](repeating: 1, count: count)
      }
      if extents.count == 1 { return [Float](repeating: 0, count: count) }
      let seed = name.utf8.enumerated().reduce(0) { $0 + ($1.offset + 1) * Int($1.element) }
      let spread = Float((6 / Double(extents.dropFirst().reduce(1, *))).squareRoot())
      return Counted.floats(UInt64(seed), count).map { $0 * spread }
    }
  }

  @Test(arguments: ["simplecnn", "resnet20", "mobilenet_v2"])
  func lossesArePyTorchs(name: String) throws {
    let curves = try #require(OptimisationTests.vectors["curves"]).elements
    let vector = try #require(curves.first { (try? $0["name"]?.string("name")) == name })
    let size = Int(try #require(vector["size"]).double)
    let batch = Int(try #require(vector["batch"]).double)
    let rate = try #require(vector["rate"]).double
    let architecture = try #require(Architecture.named(name))
    let graph = architecture.graph(classes: 10, inputShape: Shape(c: 3, h: size, w: size))
    let shapes = Dictionary(uniqueKeysWithValues: try graph.requiredTensors().map { ($0.name, $0.extents) })
    let start = Filled(shapes: shapes, constants: try architecture.initialWeights(for: graph, seed: 0))
    let weights = try TrainedWeights(graph: graph, from: start)
    var options = TrainingOptions()
    options.drops = false
    options.frozen = Set(weights.parameters.map(\.name).filter { Graph.isConstant(tensor: $0) })
    MatrixLibrary.useOneThread()
    let lanes = ThreadLanes(count: 2)
    let plan = try TrainingPlan(weights: weights, batchCapacity: batch, lanes: lanes, options: options)
    let learning = weights.parameters.filter { !options.frozen.contains($0.name) }
    let optimizer = Optimizer(
      .sgd(momentum: 0.9, nesterov: false),
      groups: learning.map { ParameterGroup(ranges: [$0.range], weightDecay: 5e-4) }, count: weights.count)
    let loss = Loss.crossEntropy(classWeights: nil, labelSmoothing: 0)
    var losses: [Double] = []
    for step in 0..<20 {
      let pictures = Counted.floats(UInt64(1000 + step % 4), batch * 3 * size * size)
      let area = size * size
      for n in 0..<batch {
        for c in 0..<3 {
          for p in 0..<area { plan.input[(n * area + p) * 3 + c] = pictures[(n * 3 + c) * area + p] }
        }
      }
      let targets = Targets.classes((0..<batch).map { ($0 * 7 + step % 4 * 3) % 10 })
      weights.clearGradients()
      plan.forward(count: batch, isTraining: true)
      losses.append(
        loss.evaluate(
          answers: plan.output, targets: targets, count: batch, classes: 10, gradient: plan.outputGradient))
      plan.backward()
      optimizer.step(weights, rate: rate, lanes: lanes)
    }
    // Rounding grows from step to step: PyTorch's own single precision strays by 2 % from its double precision here.
    let expected = try #require(vector["losses"]).doubles
    expectClose(Array(losses.prefix(5)), Array(expected.prefix(5)), relative: 2e-3, "the first steps")
    expectClose(losses, expected, relative: 0.04, "all steps")
  }
}
