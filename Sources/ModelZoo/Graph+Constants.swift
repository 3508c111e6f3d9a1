package import Engine

/// Tensors that belong to a network's structure: no checkpoint holds them and no training changes them.
extension Graph {
  /// The ending of the names of convolutions whose weights are such tensors.
  static let constantSuffix = ".constant"

  /// The same for convolutions of imported networks that only move channels or put zeros around.
  static let selectionSuffix = ".selection"

  /// Whether a tensor stays as it is: it is neither trained nor found in a `state_dict`.
  package static func isConstant(tensor name: String) -> Bool {
    name.contains(constantSuffix + ".") || name.contains(selectionSuffix + ".")
  }

  /// The numbers of every constant tensor, by name.
  ///
  /// A constant convolution is 1×1 without bias and copies its inputs into the middle of its outputs, the outer ones
  /// staying 0: with a stride of 2 the parameterless shortcut ("option A") of He et al., 2015, section 4.2.
  package var constants: [String: [Float]] {
    var constants: [String: [Float]] = [:]
    for node in nodes {
      guard node.name.hasSuffix(Graph.constantSuffix), case .convolution(let c) = node.operation,
        c.kernel == Extent2D(1), c.groups == 1
      else { continue }
      var weights = [Float](repeating: 0, count: c.inChannels * c.outChannels)
      let first = (c.outChannels - c.inChannels) / 2
      for channel in 0..<c.inChannels where (0..<c.outChannels).contains(first + channel) {
        weights[(first + channel) * c.inChannels + channel] = 1
      }
      constants["\(node.name).weight"] = weights
    }
    return constants
  }
}

/// A source of tensors with others laid over it.
package struct OverlaidTensors: TensorSource, Sendable {
  private let base: any TensorSource & Sendable
  private let overlay: [String: (extents: [Int], floats: [Float])]

  package init(base: any TensorSource & Sendable, overlay: [String: (extents: [Int], floats: [Float])]) {
    self.base = base
    self.overlay = overlay
  }

  /// A checkpoint's tensors and the graph's own constants.
  package init(completing base: any TensorSource & Sendable, for graph: Graph) throws(EngineError) {
    var overlay: [String: (extents: [Int], floats: [Float])] = [:]
    let constants = graph.constants
    for tensor in try graph.requiredTensors() {
      if let floats = constants[tensor.name] { overlay[tensor.name] = (tensor.extents, floats) }
    }
    self.init(base: base, overlay: overlay)
  }

  package func extents(ofTensor name: String) -> [Int]? {
    overlay[name]?.extents ?? base.extents(ofTensor: name)
  }

  package func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    if let found = overlay[name] { return found.floats }
    return try base.floats(ofTensor: name)
  }

  package var readsRows: Bool { base.readsRows }

  package func floatsAtOnce(ofTensor name: String) -> Int? { base.floatsAtOnce(ofTensor: name) }

  package func floats(ofTensor name: String, rows: Range<Int>) throws(EngineError) -> [Float] {
    guard let found = overlay[name] else { return try base.floats(ofTensor: name, rows: rows) }
    let row = found.floats.count / max(1, found.extents.first ?? 1)
    return Array(found.floats[(rows.lowerBound * row)..<(rows.upperBound * row)])
  }
}
