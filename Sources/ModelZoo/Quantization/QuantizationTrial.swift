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
    /// The weights, with biases corrected.
    package let folded: FoldedNetwork
    let network: QuantizedNetwork
  }

  private let folded: FoldedNetwork
  private let calibration: Calibration
  private let input: [ByteScale]
  private let used: [[Float]]
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
    self.used = used.map { photos[$0] }
    for index in used { calibration.observe(shape.planar(photos[index])) }
    let held = photos.count > 1 ? photos.indices.filter { $0 % 2 == 1 } : used
    judges = held.map { photos[$0] }
    let plan = try CompiledNetwork(graph: folded.graph, weights: folded).plan(batchCapacity: 1)
    wanted = judges.map { plan.answer(to: $0) }
    self.folded = folded
    self.calibration = calibration
    self.input = input
    calibrationCount = used.count
  }

  /// Tries each method; the best has the most equal answers, then the highest cosine.
  package func best(of methods: [RangeMethod]) throws(EngineError) -> Candidate {
    var best: Candidate?
    for method in methods {
      let candidate = try candidate(method)
      if best.map({ candidate.agreement.isBetter(than: $0.agreement) }) ?? true { best = candidate }
    }
    guard let best else { preconditionFailure("at least one method") }
    return best
  }

  private func candidate(_ method: RangeMethod) throws(EngineError) -> Candidate {
    try candidate(method, calibration.quantization(by: method, input: input), folded)
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

  /// Adds to biases what rounding took from the mean of each channel, layer after layer, where no activation hides it.
  ///
  /// Rounding weights shifts the mean of a layer's output (Nagel et al., arXiv:1906.04721, section 4.2). The shift is
  /// measured on up to 64 of the photos that gave the ranges.
  ///
  /// - Returns: the corrected candidate, or the one given if it judges better.
  package func corrected(_ candidate: Candidate) throws(EngineError) -> Candidate {
    var folded = candidate.folded
    for node in folded.graph.nodes where isVisible(node) {
      let network = try QuantizedNetwork(graph: folded.graph, weights: folded, quantization: candidate.quantization)
      let plan = try QuantizedPlan(network: network, batchCapacity: 1)
      var sums = [Double](repeating: 0, count: 0)
      var count = 0
      for photo in used.prefix(64) {
        guard let values = plan.everyValue(image: photo)[node.name] else { continue }
        let channels = calibration.means(of: node.name).count
        if sums.isEmpty { sums = [Double](repeating: 0, count: channels) }
        let area = values.count / max(1, channels)
        for (index, value) in values.enumerated() { sums[index / area] += Double(value) }
        count += area
      }
      guard count > 0, var bias = try? folded.floats(ofTensor: "\(node.name).bias"), bias.count == sums.count else {
        continue
      }
      for (channel, mean) in calibration.means(of: node.name).enumerated() {
        bias[channel] += mean - Float(sums[channel] / Double(count))
      }
      folded.replace("\(node.name).bias", by: bias)
    }
    let made = try self.candidate(candidate.method, candidate.quantization, folded)
    return made.agreement.isBetter(than: candidate.agreement) ? made : candidate
  }

  /// A layer whose own output can be seen: nothing was computed in one go with it.
  private func isVisible(_ node: Graph.Node) -> Bool {
    switch node.operation {
    case .convolution, .linear:
      let readers = folded.graph.nodes.filter { $0.inputs.contains(node.name) }
      return readers.allSatisfy {
        switch $0.operation {
        case .activation, .add: readers.count > 1
        default: true
        }
      }
    default: return false
    }
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
