package import Engine

/// A kind of network that weights can be imported for: how to build its graph and how pictures are fed to it.
///
/// Nodes carry the module paths of the PyTorch model that its weights come from, so a `state_dict` fits as it is.
package struct Architecture: Sendable {
  /// As it is called in `--architecture`.
  package let name: String
  /// One line for people.
  package let summary: String
  /// C, H and W of the pictures it was made for.
  package let inputShape: Shape
  /// The tensor whose first extent is the number of classes.
  package let classifierWeight: String
  /// How its weights start before training.
  package let initialization: Initialization
  /// Parts that a checkpoint may hold and that only training uses.
  let trainingPrefixes: [String]
  private let preprocessing: @Sendable (_ height: Int, _ width: Int) -> String
  private let build: @Sendable (_ classes: Int, _ input: Shape) -> Graph

  init(
    name: String, summary: String, inputShape: Shape, classifierWeight: String, initialization: Initialization,
    trainingPrefixes: [String] = [], preprocessing: @escaping @Sendable (_ height: Int, _ width: Int) -> String,
    build: @escaping @Sendable (_ classes: Int, _ input: Shape) -> Graph
  ) {
    self.name = name
    self.summary = summary
    self.inputShape = inputShape
    self.classifierWeight = classifierWeight
    self.initialization = initialization
    self.trainingPrefixes = trainingPrefixes
    self.preprocessing = preprocessing
    self.build = build
  }

  /// The network for so many classes, at the size it was made for.
  package func graph(classes: Int) -> Graph { build(classes, inputShape) }

  /// The network for so many classes and pictures of another size or channel count; whether it can be is told by
  /// `Graph.shapes()`.
  package func graph(classes: Int, inputShape: Shape) -> Graph { build(classes, inputShape) }

  /// How pictures are fed to it unless the importer says otherwise: the JSON object that `Imaging` reads.
  package var preprocessingJSON: String { preprocessing(inputShape.h, inputShape.w) }

  /// The same for pictures of another size, resized in proportion.
  package func preprocessingJSON(height: Int, width: Int) -> String { preprocessing(height, width) }

  /// Weights to start training from.
  package func initialWeights(for graph: Graph, seed: UInt64) throws(EngineError) -> InitialWeights {
    try InitialWeights(graph: graph, initialization: initialization, seed: seed)
  }

  /// Every architecture, in the order in which they are listed to people.
  package static let all: [Architecture] =
    [.lenet5, .simpleCNN, .alexNet] + vgg + [
      .resNet18, .resNet34, .resNet50, .resNet101, .resNet152, .cifarResNet20, .cifarResNet32, .cifarResNet56,
      .googLeNet, .inceptionV3, .squeezeNet10, .squeezeNet11, .mobileNetV2, .mobileNetV3Small, .mobileNetV3Large,
    ] + efficientNets + efficientNetLites

  /// The architecture of that name; `-` and `_` are the same, as is the case of letters.
  package static func named(_ name: String) -> Architecture? {
    func plain(_ name: String) -> String { name.lowercased().filter { $0 != "-" && $0 != "_" } }
    return all.first { plain($0.name) == plain(name) }
  }

  /// The graph that these tensors fill; class count and input channels are taken from the tensors' shapes.
  ///
  /// `size` is the pictures' height and width, if not those the architecture was made for.
  ///
  /// - Throws: `ModelZooError.mismatch` listing every tensor that is missing, left over or of another shape.
  package func graph(fitting tensors: StateDict, size: Extent2D? = nil) throws(ModelZooError) -> Graph {
    let limit = 1 << 20
    let classes = tensors.extents(ofTensor: classifierWeight)?.first ?? 1
    var shape = inputShape
    if let size { (shape.h, shape.w) = (size.h, size.w) }
    for node in graph(classes: 1).nodes {
      guard case .convolution = node.operation else { continue }
      if let extents = tensors.extents(ofTensor: "\(node.name).weight"), extents.count == 4 {
        shape.c = max(1, min(extents[1], limit))
      }
      break
    }
    let graph = build(max(1, min(classes, limit)), shape)
    let required: [(name: String, extents: [Int])]
    do throws(EngineError) {
      required = try graph.requiredTensors().filter { !Graph.isConstant(tensor: $0.name) }
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
    let unexpected = tensors.names.filter { name in
      !names.contains(name) && !Graph.isConstant(tensor: name)
        && !trainingPrefixes.contains { name.hasPrefix($0) }
    }
    guard missing.isEmpty, unexpected.isEmpty, misshaped.isEmpty else {
      throw .mismatch(architecture: name, missing: missing, unexpected: unexpected, misshaped: misshaped)
    }
    return graph
  }
}
