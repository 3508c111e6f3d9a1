package import Engine

/// A kind of network that weights can be imported for: how to build its graph and how pictures are fed to it.
///
/// Nodes carry the module paths of the PyTorch model that its weights come from, so a `state_dict` fits as it is.
package struct Architecture: Sendable {
  /// As it is called in `--architecture`.
  package let name: String
  /// One line for people.
  package let summary: String
  /// The tensor whose first extent is the number of classes.
  package let classifierWeight: String
  /// How pictures are fed to it unless the importer says otherwise: the JSON object that `Imaging` reads.
  package let preprocessingJSON: String
  private let build: @Sendable (_ classes: Int) -> Graph

  init(
    name: String, summary: String, classifierWeight: String, preprocessingJSON: String,
    build: @escaping @Sendable (_ classes: Int) -> Graph
  ) {
    self.name = name
    self.summary = summary
    self.classifierWeight = classifierWeight
    self.preprocessingJSON = preprocessingJSON
    self.build = build
  }

  /// The network for so many classes.
  package func graph(classes: Int) -> Graph { build(classes) }

  /// Every architecture, in the order in which they are listed to people.
  package static let all: [Architecture] =
    [
      .efficientNetLite0, .efficientNetLite1, .efficientNetLite2, .resNet18, .resNet34, .resNet50, .mobileNetV2,
      .simpleCNN,
    ]

  package static func named(_ name: String) -> Architecture? { all.first { $0.name == name } }

  /// The graph that these tensors fill, its class count taken from the classifier's shape.
  ///
  /// - Throws: `ModelZooError.mismatch` listing every tensor that is missing, left over or of another shape.
  package func graph(fitting tensors: StateDict) throws(ModelZooError) -> Graph {
    let classes = tensors.extents(ofTensor: classifierWeight)?.first ?? 1
    let graph = build(max(1, min(classes, 1 << 20)))
    let required: [(name: String, extents: [Int])]
    do throws(EngineError) {
      required = try graph.requiredTensors().map { ($0.name, $0.extents) }
    } catch {
      throw .engine(error)
    }
    var missing: [String] = []
    var misshaped: [String] = []
    for tensor in required {
      guard let extents = tensors.extents(ofTensor: tensor.name) else {
        missing.append(tensor.name)
        continue
      }
      if extents != tensor.extents { misshaped.append("\(tensor.name) \(extents), expected \(tensor.extents)") }
    }
    let names = Set(required.map(\.name))
    let unexpected = tensors.names.filter { !names.contains($0) }
    guard missing.isEmpty, unexpected.isEmpty, misshaped.isEmpty else {
      throw .mismatch(architecture: name, missing: missing, unexpected: unexpected, misshaped: misshaped)
    }
    return graph
  }
}
