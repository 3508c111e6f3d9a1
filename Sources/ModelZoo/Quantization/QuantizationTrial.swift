package import Engine

/// Finds the scales of a network on photos and tells how well it answers with them.
///
/// The first half of the photos, at least one, gives the ranges; the others, which the ranges never saw, judge. With a
/// single photo it is judge of itself.
package struct QuantizationTrial {
  /// A network in bytes and how near it comes to the one in floats.
  package struct Candidate {
    package let method: RangeMethod
    package let quantization: Quantization
    package let agreement: Agreement
    /// The weights, rounded with compensation if that answers better.
    package let folded: FoldedNetwork
    let network: QuantizedNetwork
  }

  private let folded: FoldedNetwork
  private let calibration: Calibration
  private let input: [ByteScale]
  private let moments: LayerMoments
  private let judges: [[Float]]
  private let wanted: [[Float]]
  /// Photos that gave the ranges.
  package let calibrationCount: Int
  /// Photos that judged.
  package var heldCount: Int { judges.count }

  /// Measures the ranges.
  ///
  /// - Parameters:
  ///   - folded: the network in floats.
  ///   - photos: prepared pictures, H×W×C each; at least one.
  ///   - input: the scales of the picture's channels.
  /// - Throws: `EngineError` when graph and weights contradict each other.
  package init(of folded: FoldedNetwork, photos: [[Float]], input: [ByteScale]) throws(EngineError) {
    precondition(!photos.isEmpty, "at least one photo")
    var calibration = try Calibration(of: folded)
    let shape = folded.graph.inputShape
    // Every other one, since neighbours in a list are often alike.
    let used = photos.indices.filter { $0 % 2 == 0 }
    var moments = try LayerMoments(of: folded)
    for index in used {
      let values = calibration.everyValue(of: shape.planar(photos[index]))
      calibration.observe(values)
      moments.observe(values)
    }
    let held = photos.count > 1 ? photos.indices.filter { $0 % 2 == 1 } : used
    judges = held.map { photos[$0] }
    let plan = try CompiledNetwork(graph: folded.graph, weights: folded).plan(batchCapacity: 1)
    wanted = judges.map { plan.answer(to: $0) }
    self.folded = folded
    self.calibration = calibration
    self.moments = moments
    self.input = input
    calibrationCount = used.count
  }

  /// Tries each method with weights rounded to the nearest, and the best of each ownership with weights rounded so that
  /// errors cancel; the best of all has the highest cosine.
  package func best(of methods: [RangeMethod]) throws(EngineError) -> Candidate {
    precondition(!methods.isEmpty, "at least one method")
    var leaders: [Float: Candidate] = [:]
    for method in methods {
      let quantization = calibration.quantization(by: method, input: input)
      let candidate = try candidate(method, quantization, folded)
      if leaders[method.ownership].map({ candidate.agreement.isBetter(than: $0.agreement) }) ?? true {
        leaders[method.ownership] = candidate
      }
    }
    var all = Array(leaders.values)
    for leader in leaders.values {
      all.append(try candidate(leader.method, leader.quantization, moments.rounded(for: leader.quantization)))
    }
    return all.dropFirst().reduce(all[0]) { $1.agreement.isBetter(than: $0.agreement) ? $1 : $0 }
  }

  private func candidate(
    _ method: RangeMethod, _ quantization: Quantization, _ folded: FoldedNetwork
  ) throws(EngineError) -> Candidate {
    let network = try QuantizedNetwork(graph: folded.graph, weights: folded, quantization: quantization)
    let plan = try QuantizedPlan(network: network, batchCapacity: 1)
    var agreement = Agreement()
    for (photo, wanted) in zip(judges, wanted) { agreement.add(wanted, plan.answer(to: photo)) }
    return Candidate(
      method: method, quantization: quantization, agreement: agreement, folded: folded, network: network)
  }

  /// How far each value of a candidate is off, in the order of the graph, over at most 16 photos.
  package func errors(of candidate: Candidate) throws(EngineError) -> [(name: String, error: Double)] {
    let plan = try QuantizedPlan(network: candidate.network, batchCapacity: 1)
    var errors: [String: ValueError] = [:]
    for photo in judges.prefix(16) {
      let wanted = calibration.everyValue(of: folded.graph.inputShape.planar(photo))
      for (name, given) in plan.everyValue(image: photo) {
        if let wanted = wanted[name] { errors[name, default: ValueError()].add(wanted, given) }
      }
    }
    return folded.graph.nodes.compactMap { node in errors[node.name].map { (node.name, $0.relative) } }
  }
}

extension RangeMethod {
  /// As the command line and reports call it.
  package var name: String {
    let cut =
      switch cut {
      case .minMax: "minmax"
      case .percentile(let cut): "percentile \(((1 - cut) * 1e7).rounded() / 1e5)"
      case .entropy: "entropy"
      }
    return "\(cut), channels' own by \(ownership)"
  }
}
