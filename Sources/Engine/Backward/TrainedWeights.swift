/// The numbers that training changes: every tensor of a graph, its gradient, and the running statistics of batch norms.
///
/// Trainable tensors lie one after the other in `values`, each at a multiple of 16, and their gradients at the same
/// places in `gradients`; what optimizers keep beside them can lie the same way. As a `TensorSource` it speaks
/// PyTorch's names and order, so that a plan, a weights file or another run can be made of it at any time. Owned by the
/// thread that trains.
package final class TrainedWeights: TensorSource, @unchecked Sendable {
  /// A tensor that is trained.
  package struct Parameter: Sendable {
    /// As in a `state_dict`: `layer1.0.conv1.weight`.
    package let name: String
    /// In PyTorch's order.
    package let extents: [Int]
    /// Where it lies in `values` and `gradients`.
    package let range: Range<Int>
    let order: StorageOrder
  }

  package let graph: Graph
  package let parameters: [Parameter]
  /// Running means and variances; they follow the data and have no gradient.
  package let statistics: [Parameter]
  /// How many floats `values` and `gradients` have.
  package let count: Int
  package let statisticCount: Int
  private let valueMemory: TrainingMemory
  private let gradientMemory: TrainingMemory
  private let statisticMemory: TrainingMemory
  private let places: [String: (index: Int, isStatistic: Bool)]

  package var values: UnsafeMutablePointer<Float> { valueMemory.floats }
  package var gradients: UnsafeMutablePointer<Float> { gradientMemory.floats }
  package var statisticValues: UnsafeMutablePointer<Float> { statisticMemory.floats }

  /// Copies every tensor that the graph needs.
  ///
  /// - Throws: `EngineError.graph` or `.tensor` when graph and tensors contradict each other.
  package init(graph: Graph, from source: some TensorSource) throws(EngineError) {
    self.graph = graph
    let orders = try StorageOrders(graph)
    var parameters: [Parameter] = []
    var statistics: [Parameter] = []
    var places: [String: (index: Int, isStatistic: Bool)] = [:]
    var ends = (value: 0, statistic: 0)
    for (name, extents) in try graph.requiredTensors() {
      guard source.extents(ofTensor: name) == extents else {
        let found = source.extents(ofTensor: name).map { "its extents are \($0)" } ?? "it is missing"
        throw .tensor(name: name, reason: "\(found), the graph wants \(extents)")
      }
      let length = extents.reduce(1, *)
      let isStatistic = name.hasSuffix(".running_mean") || name.hasSuffix(".running_var")
      let start = isStatistic ? ends.statistic : ends.value
      let parameter = Parameter(
        name: name, extents: extents, range: start..<(start + length), order: orders[weight: name])
      let end = (start + length + 15) / 16 * 16
      if isStatistic {
        places[name] = (statistics.count, true)
        statistics.append(parameter)
        ends.statistic = end
      } else {
        places[name] = (parameters.count, false)
        parameters.append(parameter)
        ends.value = end
      }
    }
    self.parameters = parameters
    self.statistics = statistics
    self.places = places
    (count, statisticCount) = (ends.value, ends.statistic)
    valueMemory = TrainingMemory(count: count)
    gradientMemory = TrainingMemory(count: count)
    statisticMemory = TrainingMemory(count: statisticCount)
    for parameter in parameters + statistics {
      try parameter.order.fromPyTorch(source.floats(ofTensor: parameter.name), to: memory(of: parameter.name))
    }
  }

  /// The memory of a tensor, of kernels' order; never asked for a name that the graph does not need.
  func memory(of name: String) -> UnsafeMutablePointer<Float> {
    guard let place = places[name] else { preconditionFailure("\(name) is no tensor of the graph") }
    return place.isStatistic
      ? statisticMemory.floats + statistics[place.index].range.lowerBound
      : valueMemory.floats + parameters[place.index].range.lowerBound
  }

  /// Where a trained tensor lies in `values` and `gradients`; nil if it is none.
  package func parameter(_ name: String) -> Parameter? {
    guard let place = places[name], !place.isStatistic else { return nil }
    return parameters[place.index]
  }

  /// Sets all gradients to 0: before each step, or before the first of several that are to add up.
  package func clearGradients() { gradientMemory.floats.update(repeating: 0, count: count) }

  package func extents(ofTensor name: String) -> [Int]? {
    places[name].map { ($0.isStatistic ? statistics : parameters)[$0.index].extents }
  }

  package func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let place = places[name] else { throw .tensor(name: name, reason: "is not in the graph") }
    let parameter = (place.isStatistic ? statistics : parameters)[place.index]
    return parameter.order.toPyTorch(memory(of: name), count: parameter.range.count)
  }

  /// A tensor's gradient in PyTorch's order.
  package func gradient(ofTensor name: String) -> [Float]? {
    guard let parameter = parameter(name) else { return nil }
    return parameter.order.toPyTorch(gradientMemory.floats + parameter.range.lowerBound, count: parameter.range.count)
  }

  /// Other numbers that lie as `values` do (an average of them, say), as a source of tensors.
  ///
  /// Running statistics are the present ones.
  package func replacingValues(with numbers: UnsafePointer<Float>) -> any TensorSource {
    ReplacedValues(weights: self, numbers: numbers)
  }

  private struct ReplacedValues: TensorSource {
    let weights: TrainedWeights
    let numbers: UnsafePointer<Float>

    func extents(ofTensor name: String) -> [Int]? { weights.extents(ofTensor: name) }

    func floats(ofTensor name: String) throws(EngineError) -> [Float] {
      guard let parameter = weights.parameter(name) else { return try weights.floats(ofTensor: name) }
      return parameter.order.toPyTorch(numbers + parameter.range.lowerBound, count: parameter.range.count)
    }
  }
}

/// Decides for each weight in which order its kernel wants it.
struct StorageOrders {
  private var orders: [String: StorageOrder] = [:]
  /// Flattening nodes that only feed linear layers: those read channels-last memory as it is.
  private(set) var aliases: Set<String> = []

  /// Element-wise nodes whose input is such a flattening: their output lies in memory as their input does.
  private var flatChain: Set<String> = []

  subscript(weight name: String) -> StorageOrder { orders[name] ?? .asPyTorch }

  func isFlatChain(_ node: Graph.Node) -> Bool { flatChain.contains(node.name) }

  init(_ graph: Graph) throws(EngineError) {
    let shapes = try graph.shapes()
    var unflattened = shapes
    var consumers: [String: [Graph.Node]] = [:]
    for node in graph.nodes {
      for input in node.inputs { consumers[input, default: []].append(node) }
    }
    func feedsOnlyLinear(_ name: String) -> Bool {
      guard name != graph.outputName else { return false }
      return (consumers[name] ?? []).allSatisfy { node in
        switch node.operation {
        case .linear: true
        case .dropout, .activation: feedsOnlyLinear(node.name)
        default: false
        }
      }
    }
    for node in graph.nodes {
      switch node.operation {
      case .flatten where feedsOnlyLinear(node.name):
        aliases.insert(node.name)
        flatChain.insert(node.name)
        unflattened[node.name] = unflattened[node.inputs[0]]
      case .dropout, .activation:
        unflattened[node.name] = unflattened[node.inputs[0]]
        if flatChain.contains(node.inputs[0]) { flatChain.insert(node.name) }
      case .convolution(let c):
        let area = c.kernel.h * c.kernel.w
        let isDepthwise = c.groups > 1 && c.groups == c.inChannels && c.outChannels == c.inChannels
        orders["\(node.name).weight"] =
          isDepthwise
          ? .depthwise(channels: c.inChannels, area: area)
          : .patches(
            groups: c.groups, outGroup: c.outChannels / c.groups, inGroup: c.inChannels / c.groups, area: area)
      case .linear(let l):
        let shape = unflattened[node.inputs[0]] ?? Shape(c: l.inFeatures)
        orders["\(node.name).weight"] = .features(channels: shape.c, area: shape.h * shape.w, out: l.outFeatures)
      default: break
      }
    }
  }
}
