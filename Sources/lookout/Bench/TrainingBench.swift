internal import Engine
internal import ModelZoo
internal import Platform
internal import Training

/// `lookout bench training`: whole steps (forward, loss, backward, optimizer) on drawn pictures, for each network.
enum TrainingBench {
  private static let networks: [(name: String, side: Int)] = [
    ("simplecnn", 32), ("resnet20", 32), ("mobilenet_v2", 96),
  ]

  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(words, options: ["--batch", "--threads", "--count"], switches: ["--json"])
    func number(_ option: String, _ usual: Int) throws(Failure) -> Int {
      guard let number = Int(arguments[option] ?? "\(usual)"), (1...4096).contains(number) else {
        throw .usage("\(option) takes a number from 1 to 4096")
      }
      return number
    }
    let (batch, threads, count) = (
      try number("--batch", 128), try number("--threads", 2), try number("--count", 8)
    )
    let wanted = networks.filter { arguments.operands.isEmpty || arguments.operands.contains($0.name) }
    guard wanted.count >= arguments.operands.count, !wanted.isEmpty else {
      throw .usage("bench training measures \(networks.map(\.name).joined(separator: ", "))")
    }
    for network in wanted {
      let measurement: Measurement
      do throws(EngineError) {
        measurement = try measure(network.name, network.side, batch, threads, count)
      } catch {
        throw .data("\(network.name): \(error)")
      }
      print(
        arguments.has("--json") ? String(decoding: measurement.json, as: UTF8.self) : BenchTable.text([measurement]))
    }
  }

  private static func measure(
    _ name: String, _ side: Int, _ batch: Int, _ threads: Int, _ count: Int
  ) throws(EngineError) -> Measurement {
    guard let architecture = Architecture.named(name) else { throw .graph(node: name, reason: "no architecture") }
    let graph = architecture.graph(classes: 10, inputShape: Shape(c: 3, h: side, w: side))
    let weights = try TrainedWeights(graph: graph, from: architecture.initialWeights(for: graph, seed: 1))
    let lanes = ThreadLanes(count: threads)
    var options = TrainingOptions()
    options.frozen = Set(weights.parameters.map(\.name).filter { Graph.isConstant(tensor: $0) })
    let plan = try TrainingPlan(weights: weights, batchCapacity: batch, lanes: lanes, options: options)
    let groups = weights.parameters.map { ParameterGroup(ranges: [$0.range], weightDecay: 5e-4) }
    let optimizer = Optimizer(.sgd(momentum: 0.9, nesterov: false), groups: groups, count: weights.count)
    let loss = Loss.crossEntropy(classWeights: nil, labelSmoothing: 0)
    var generator = KeyedGenerator(seed: 1, .augmentation)
    for i in 0..<(batch * 3 * side * side) { plan.input[i] = Float(generator.uniform(-1, 1)) }
    let targets = Targets.classes((0..<batch).map { $0 % 10 })
    var rates: [Double] = []
    for step in 0..<(count + 2) {
      let start = Clock.monotonicNanoseconds()
      weights.clearGradients()
      plan.forward(count: batch, isTraining: true, step: UInt64(step))
      _ = loss.evaluate(
        answers: plan.output, targets: targets, count: batch, classes: 10, gradient: plan.outputGradient)
      plan.backward()
      optimizer.step(weights, rate: 0.01, lanes: lanes)
      if step >= 2 { rates.append(Double(batch) / (Double(Clock.monotonicNanoseconds() - start) * 1e-9)) }
    }
    return Measurement(
      "training", [("network", name), ("batch", "\(batch)"), ("threads", "\(threads)"), ("side", "\(side)")],
      unit: "images/s", samples: rates)
  }
}
