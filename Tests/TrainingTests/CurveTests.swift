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

  /// Twenty steps of SGD with momentum; `thaws` is the step from which on everything learns, not the classifier alone.
  private func losses(
    _ architecture: Architecture, _ vector: JSON, decay: Float, thaws: Int = 0, keepsStatistics: Bool = false
  ) throws -> [Double] {
    let size = Int(try #require(vector["size"]).double)
    let batch = Int(try #require(vector["batch"]).double)
    let rate = try #require(vector["rate"]).double
    let graph = architecture.graph(classes: 10, inputShape: Shape(c: 3, h: size, w: size))
    let shapes = Dictionary(uniqueKeysWithValues: try graph.requiredTensors().map { ($0.name, $0.extents) })
    let start = Filled(shapes: shapes, constants: try architecture.initialWeights(for: graph, seed: 0))
    let weights = try TrainedWeights(graph: graph, from: start)
    let lanes = ThreadLanes(count: 2)
    let classifier = architecture.classifierWeight.dropLast("weight".count)
    let names = weights.parameters.map(\.name)
    let constant = Set(names.filter { Graph.isConstant(tensor: $0) })
    let body = constant.union(thaws > 0 ? names.filter { !$0.hasPrefix(classifier) } : [])
    func plan(frozen: Set<String>, frozenNorms: Set<String>) throws -> TrainingPlan {
      var options = TrainingOptions()
      options.drops = false
      (options.frozen, options.frozenNorms) = (frozen, frozenNorms)
      return try TrainingPlan(weights: weights, batchCapacity: batch, lanes: lanes, options: options)
    }
    func groups(frozen: Set<String>) -> [ParameterGroup] {
      weights.parameters.filter { !frozen.contains($0.name) }.map {
        ParameterGroup(
          ranges: [$0.range], rateFactor: body.contains($0.name) ? 0.1 : 1, weightDecay: decay)
      }
    }
    let nodes = Set(graph.nodes.map(\.name))
    var running = try plan(frozen: body, frozenNorms: thaws > 0 ? nodes : [])
    let optimizer = Optimizer(
      .sgd(momentum: 0.9, nesterov: false), groups: groups(frozen: body), count: weights.count)
    let loss = Loss.crossEntropy(classWeights: nil, labelSmoothing: 0)
    return try (0..<20).map { step in
      if thaws > 0, step == thaws {
        running = try plan(frozen: constant, frozenNorms: keepsStatistics ? nodes : [])
        optimizer.groups = groups(frozen: constant)
      }
      let pictures = Counted.floats(UInt64(1000 + step % 4), batch * 3 * size * size)
      let area = size * size
      for n in 0..<batch {
        for c in 0..<3 {
          for p in 0..<area { running.input[(n * area + p) * 3 + c] = pictures[(n * 3 + c) * area + p] }
        }
      }
      let targets = Targets.classes((0..<batch).map { ($0 * 7 + step % 4 * 3) % 10 })
      weights.clearGradients()
      running.forward(count: batch, isTraining: true)
      let value = loss.evaluate(
        answers: running.output, targets: targets, count: batch, classes: 10, gradient: running.outputGradient)
      running.backward()
      optimizer.step(weights, rate: rate, lanes: lanes)
      return value
    }
  }

  /// Rounding grows from step to step: PyTorch's own single precision strays by 2 % from its double precision here.
  private func expectPyTorchs(_ losses: [Double], _ vector: JSON) throws {
    let expected = try #require(vector["losses"]).doubles
    expectClose(Array(losses.prefix(5)), Array(expected.prefix(5)), relative: 2e-3, "the first steps")
    expectClose(losses, expected, relative: 0.04, "all steps")
  }

  @Test(arguments: ["simplecnn", "resnet20", "mobilenet_v2"])
  func lossesArePyTorchs(name: String) throws {
    let curves = try #require(OptimisationTests.vectors["curves"]).elements
    let vector = try #require(curves.first { (try? $0["name"]?.string("name")) == name })
    let architecture = try #require(Architecture.named(name))
    try expectPyTorchs(try losses(architecture, vector, decay: 5e-4), vector)
  }

  /// EfficientNet-Lite0, the classifier alone and then everything.
  @Test(arguments: ["batch", "kept"])
  func lossesAroundTheThawArePyTorchs(statistics: String) throws {
    let curves = try #require(OptimisationTests.vectors["thawing"]).elements
    let vector = try #require(curves.first { (try? $0["statistics"]?.string("statistics")) == statistics })
    let architecture = try #require(Architecture.named("efficientnet-lite0"))
    let thaws = Int(try #require(vector["thaws"]).double)
    let found = try losses(architecture, vector, decay: 1e-4, thaws: thaws, keepsStatistics: statistics == "kept")
    try expectPyTorchs(found, vector)
  }
}
