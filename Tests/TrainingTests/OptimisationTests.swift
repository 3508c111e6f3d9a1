import Engine
import Testing
import Training

/// Losses, optimizers and schedules against PyTorch's numbers.
struct OptimisationTests {
  static let vectors = Fixture.json("training.json")

  @Test func lossesArePyTorchs() throws {
    let classes = Targets.classes([3, 0, 4, 3])
    for vector in try #require(Self.vectors["losses"]).elements {
      let name = try #require(vector["name"]).string("name")
      let weights = vector["weights"]?.floats
      let smoothing = Float(vector["smoothing"]?.double ?? 0)
      let loss: Loss =
        switch name {
        case "cross_entropy": .crossEntropy(classWeights: weights, labelSmoothing: smoothing)
        case "binary_cross_entropy": .binaryCrossEntropy(positiveWeights: weights)
        case "negative_log_likelihood": .negativeLogLikelihood(classWeights: weights)
        default: .meanSquaredError
        }
      let answers = try #require(vector["answers"]).floats
      let targets = vector["rows"].map { Targets.rows($0.floats) } ?? classes
      var gradient = [Float](repeating: 0, count: answers.count)
      let value = loss.evaluate(answers: answers, targets: targets, count: 4, classes: 5, gradient: &gradient)
      expectClose([value], [try #require(vector["loss"]).double], relative: 1e-5, name)
      expectClose(
        gradient.map { Double($0) }, try #require(vector["gradient"]).doubles, relative: 1e-4, absolute: 1e-7, name)
    }
  }

  /// A layer of twelve weights to move.
  private func weights(_ values: [Float]) throws -> TrainedWeights {
    let node = Graph.Node(
      name: "l", operation: .linear(Linear(inFeatures: 4, outFeatures: 3, bias: false)), inputs: ["input"])
    let graph = Graph(inputShape: Shape(c: 4), nodes: [node], outputName: "l")
    let weights = try TrainedWeights(graph: graph, from: NoTensors(extents: [3, 4]))
    for (i, value) in values.enumerated() { weights.values[i] = value }
    return weights
  }

  private struct NoTensors: TensorSource {
    let extents: [Int]
    func extents(ofTensor name: String) -> [Int]? { extents }
    func floats(ofTensor name: String) throws(EngineError) -> [Float] { [Float](repeating: 0, count: 12) }
  }

  static let rules: [(name: String, rule: OptimizerRule, rate: Double, decay: Float)] = [
    ("sgd", .sgd(momentum: 0, nesterov: false), 0.1, 0), ("sgd decay", .sgd(momentum: 0, nesterov: false), 0.1, 0.02),
    ("sgd momentum", .sgd(momentum: 0.9, nesterov: false), 0.1, 0.01),
    ("sgd dampening", .sgd(momentum: 0.9, dampening: 0.3, nesterov: false), 0.1, 0),
    ("sgd nesterov", .sgd(momentum: 0.9, nesterov: true), 0.1, 0.01), ("adam", .adam(isDecoupled: false), 0.01, 0),
    ("adam decay", .adam(beta1: 0.8, beta2: 0.99, isDecoupled: false), 0.01, 0.1),
    ("adamw", .adam(isDecoupled: true), 0.01, 0.1), ("rmsprop", .rmsProp(), 0.01, 0),
    ("rmsprop momentum", .rmsProp(alpha: 0.9, momentum: 0.8), 0.01, 0.1),
    ("rmsprop centred", .rmsProp(momentum: 0.5, isCentred: true), 0.01, 0),
  ]

  @Test func optimizersArePyTorchs() throws {
    let lanes = ThreadLanes(count: 2)
    for (name, rule, rate, decay) in Self.rules {
      let rows = try #require(Self.vectors["optimizers"]?[name]).elements.map(\.doubles)
      let weights = try weights(Counted.floats(5, 12))
      let optimizer = Optimizer(
        rule, groups: [ParameterGroup(ranges: [0..<12], weightDecay: decay)], count: weights.count)
      for step in 0..<20 {
        for (i, g) in Counted.floats(UInt64(100 + step), 12).enumerated() { weights.gradients[i] = g }
        optimizer.step(weights, rate: rate, lanes: lanes)
        guard let expected = [0: rows[0], 1: rows[1], 19: rows[2]][step] else { continue }
        expectClose(
          (0..<12).map { Double(weights.values[$0]) }, expected, relative: 2e-5, absolute: 2e-6,
          "\(name), step \(step + 1)")
      }
    }
  }

  /// Each step's weights under a rule: `weights` are moved twenty times; `before` is called before each of them.
  private func expectMoves(
    _ optimizer: Optimizer, _ rows: JSON?, at steps: [Int], _ what: String,
    before: (_ step: Int) -> (rate: Double, momentum: Double?)
  ) throws {
    let rows = try #require(rows).elements.map(\.doubles)
    let lanes = ThreadLanes(count: 2)
    let weights = try weights(Counted.floats(5, 12))
    for step in 0..<20 {
      let (rate, momentum) = before(step)
      for (i, g) in Counted.floats(UInt64(100 + step), 12).enumerated() { weights.gradients[i] = g }
      optimizer.step(weights, rate: rate, momentum: momentum, lanes: lanes)
      guard let row = steps.firstIndex(of: step) else { continue }
      expectClose(
        (0..<12).map { Double(weights.values[$0]) }, rows[row], relative: 2e-5, absolute: 2e-6,
        "\(what), step \(step + 1)")
    }
  }

  static let cycled: [(name: String, rule: OptimizerRule, rate: Double)] = [
    ("sgd", .sgd(momentum: 0, nesterov: false), 0.1), ("sgd momentum", .sgd(momentum: 0.9, nesterov: false), 0.1),
    ("rmsprop", .rmsProp(), 0.01), ("rmsprop centred", .rmsProp(isCentred: true), 0.01),
    ("adam", .adam(isDecoupled: false), 0.01),
  ]

  /// One cycle moves the momentum of every rule that can have one, also if the recipe gives it none.
  @Test func oneCycleMovesTheMomentum() throws {
    let vectors = Fixture.json("optimizers.json")
    let schedule = Schedule.oneCycle(rise: 0.3, startDivisor: 25, endDivisor: 1e4, momentum: 0.85...0.95)
    for (name, rule, rate) in Self.cycled {
      let optimizer = Optimizer(
        rule, groups: [ParameterGroup(ranges: [0..<12])], count: 16, movesMomentum: schedule.movesMomentum)
      try expectMoves(optimizer, vectors["one_cycle"]?[name], at: [0, 1, 19], name) { step in
        let position = Schedule.Position(step: step, totalSteps: 20, epoch: 0)
        return (schedule.rate(base: rate, at: position), schedule.momentum(at: position))
      }
    }
  }

  static let thawed: [(name: String, rule: OptimizerRule, rate: Double, decay: Float)] = [
    ("sgd", .sgd(momentum: 0.9, dampening: 0.3, nesterov: false), 0.1, 0),
    ("adam", .adam(isDecoupled: false), 0.01, 0), ("adamw", .adam(isDecoupled: true), 0.01, 0.1),
    ("rmsprop", .rmsProp(momentum: 0.8), 0.01, 0),
  ]

  /// Weights that join later are at their first step then, whatever the others have behind them.
  @Test func thawedWeightsBeginTheirOwnCount() throws {
    let vectors = Fixture.json("optimizers.json")
    for (name, rule, rate, decay) in Self.thawed {
      func groups(_ ranges: [Range<Int>]) -> [ParameterGroup] {
        ranges.map { ParameterGroup(ranges: [$0], weightDecay: decay) }
      }
      let optimizer = Optimizer(rule, groups: groups([0..<4]), count: 16)
      try expectMoves(optimizer, vectors["thawed"]?[name], at: [7, 8, 19], name) { step in
        if step == 8 { optimizer.groups = groups([0..<4, 4..<12]) }
        return (rate, nil)
      }
    }
  }

  @Test func clippingAndAverageArePyTorchs() throws {
    let weights = try weights(Counted.floats(5, 12))
    func setGradient() { for (i, g) in Counted.floats(6, 12).enumerated() { weights.gradients[i] = g * 3 } }
    func gradient() -> [Double] { (0..<12).map { Double(weights.gradients[$0]) } }
    setGradient()
    let length = GradientClipping.norm(1.5).apply(to: weights)
    let expected = try #require(Self.vectors["clip_norm"])
    expectClose([length], [try #require(expected["length"]).double], relative: 1e-5, "length")
    expectClose(gradient(), try #require(expected["gradient"]).doubles, relative: 1e-5, "clipped by length")
    setGradient()
    GradientClipping.value(1.25).apply(to: weights)
    expectClose(gradient(), try #require(Self.vectors["clip_value"]).doubles, relative: 1e-5, "clipped by value")
    var average = WeightAverage(decay: 0.9)
    for step in 0..<20 {
      // PyTorch's matrix is 3 × 4, the kernels' is 4 × 3.
      let drawn = Counted.floats(UInt64(200 + step), 12)
      for i in 0..<12 { weights.values[i] = drawn[i % 3 * 4 + i / 3] }
      average.add(weights)
    }
    let wanted = try #require(Self.vectors["average"]).doubles
    let found = average.values.prefix(12).map { Double($0) }
    expectClose((0..<12).map { found[$0 % 4 * 3 + $0 / 4] }, wanted, relative: 1e-4, absolute: 1e-6, "average")
  }

  @Test func schedulesArePyTorchs() throws {
    let schedules: [(String, Schedule)] = [
      ("step", .step(size: 4, gamma: 0.3)), ("multi_step", .multiStep(milestones: [3, 7, 10], gamma: 0.2)),
      ("exponential", .exponential(gamma: 0.8)), ("cosine", .cosine(minimum: 0.001)),
      ("one_cycle", .oneCycle(rise: 0.3, startDivisor: 25, endDivisor: 1e4, momentum: 0.85...0.95)),
      ("plateau", .plateau(factor: 0.1, patience: 2, threshold: 1e-4, minimum: 0)), ("warm_up", .constant),
    ]
    let losses = try #require(Self.vectors["plateau_losses"]).doubles
    for (name, schedule) in schedules {
      let expected = try #require(Self.vectors["schedules"]?[name])
      let warmUp = WarmUp(steps: name == "warm_up" ? 10 : 0)
      var plateau = PlateauState()
      var rates: [Double] = []
      var momenta: [Double] = []
      for step in 0..<60 {
        let position = Schedule.Position(step: step, totalSteps: 60, epoch: step / 5)
        rates.append(schedule.rate(base: 0.5, at: position, plateau: plateau) * warmUp.factor(step: step))
        if let momentum = schedule.momentum(at: position) { momenta.append(momentum) }
        if step % 5 == 4 { schedule.update(&plateau, loss: losses[step / 5]) }
      }
      expectClose(rates, try #require(expected["rates"]).doubles, relative: 1e-6, name)
      if let wanted = expected["momenta"] { expectClose(momenta, wanted.doubles, relative: 1e-6, name) }
    }
  }

  @Test func earlyStoppingWaitsAsLongAsItMay() {
    var stopping = EarlyStopping(patience: 2)
    var answers: [Bool] = []
    for loss in [3.0, 2.0, 2.5, 2.1, 2.0] {
      stopping.add(loss)
      answers.append(stopping.isOver)
    }
    #expect(answers == [false, false, false, false, true])
  }
}
