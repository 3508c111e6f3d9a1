package import Engine
internal import Glibc
package import Imaging
internal import ModelZoo

/// The network a run begins with: graph, weights, and how pictures are fed to it.
package struct StartingModel {
  package let graph: Graph
  package let weights: TrainedWeights
  package let preprocessing: Preprocessing
  /// Tensors that were not taken from the weights file, because their shape follows the number of classes.
  package let replaced: [String]

  /// Builds or loads it.
  ///
  /// - Throws: `TrainingError.settings` when model, weights and data do not fit each other.
  package init(_ model: Recipe.Model, classes: Int, seed: UInt64) throws(TrainingError) {
    do throws(EngineError) {
      if model.weights.hasSuffix(".swiftweights") {
        let file = try WeightsFile.open(path: model.weights)
        graph = try Self.resized(file.graph.endingInScores(), model).replacingClassifier(classes: classes)
        let source = TransferSource(old: file, graph: graph, seed: seed, fresh: nil)
        weights = try TrainedWeights(graph: graph, from: source)
        replaced = try source.replaced()
        preprocessing = try Self.adapted(file.preprocessingJSON, model, graph.inputShape)
        return
      }
      guard let architecture = Architecture.named(model.architecture) else {
        throw EngineError.graph(
          node: "",
          reason: "no architecture is called '\(model.architecture)'; there are "
            + Architecture.all.map(\.name).joined(separator: ", "))
      }
      var shape = architecture.inputShape
      if model.height > 0 { shape.h = model.height }
      if model.width > 0 { shape.w = model.width }
      if model.channels > 0 { shape.c = model.channels }
      graph = architecture.graph(classes: classes, inputShape: shape)
      let fresh = try architecture.initialWeights(for: graph, seed: seed)
      if model.weights.isEmpty {
        weights = try TrainedWeights(graph: graph, from: fresh)
        replaced = []
      } else {
        let source = TransferSource(old: try Self.open(model.weights), graph: graph, seed: seed, fresh: fresh)
        weights = try TrainedWeights(graph: graph, from: source)
        replaced = try source.replaced()
      }
      preprocessing = try Self.adapted(
        architecture.preprocessingJSON(height: shape.h, width: shape.w), model, graph.inputShape)
    } catch {
      throw .engine(error)
    }
  }

  /// The network of a weights file at the recipe's size; whether it can be is told by `Graph.shapes()`.
  private static func resized(_ graph: Graph, _ model: Recipe.Model) throws(EngineError) -> Graph {
    var graph = graph
    if model.height > 0 { graph.inputShape.h = model.height }
    if model.width > 0 { graph.inputShape.w = model.width }
    guard model.channels == 0 || model.channels == graph.inputShape.c else {
      throw .graph(
        node: graph.inputName, reason: "\(model.weights) takes \(graph.inputShape.c) channels, not \(model.channels)")
    }
    return graph
  }

  private static func open(_ path: String) throws(EngineError) -> StateDict {
    do throws(ModelZooError) {
      return try StateDict.open(path: path)
    } catch {
      if case .engine(let error) = error { throw error }
      throw .damaged(path: path, offset: 0, reason: "\(error)")
    }
  }

  /// The usual preprocessing with the recipe's size, channels, mean and deviation.
  private static func adapted(
    _ json: String, _ model: Recipe.Model, _ shape: Shape
  ) throws(EngineError) -> Preprocessing {
    do throws(ImagingError) {
      let usual = try Preprocessing(json: json).resized(height: shape.h, width: shape.w)
      let channels: Preprocessing.Channels = shape.c == 1 ? .grey : usual.channels == .grey ? .rgb : usual.channels
      guard channels.count == shape.c else {
        throw ImagingError.preprocessing(key: "channels", reason: "\(shape.c) channels are no kind of picture")
      }
      var (mean, std, scale) = (usual.mean, usual.std, usual.scale)
      if model.normalisation == .given || !model.mean.isEmpty {
        (mean, std, scale) = (model.mean, model.std, 1 / 255.0)
      }
      if mean.count != shape.c {
        mean = [Double](repeating: mean.reduce(0, +) / Double(max(1, mean.count)), count: shape.c)
        std = [Double](repeating: std.reduce(0, +) / Double(max(1, std.count)), count: shape.c)
      }
      return try Preprocessing(
        cropRatio: usual.cropRatio, resize: usual.resize, filter: usual.filter, centerCrop: usual.centerCrop,
        channels: channels, scale: scale, mean: mean, std: std)
    } catch {
      throw .graph(node: "input", reason: "\(error)")
    }
  }
}

extension Preprocessing {
  /// The same for another size of the prepared pictures, in proportion.
  fileprivate func resized(height: Int, width: Int) -> Preprocessing {
    let old = output
    guard old != Extent(height: height, width: width) else { return self }
    var new = self
    func scaled(_ extent: Extent) -> Extent {
      Extent(
        height: (extent.height * height + old.height / 2) / old.height,
        width: (extent.width * width + old.width / 2) / old.width)
    }
    switch resize {
    case .exact(let extent): new.resize = .exact(scaled(extent))
    case .pad(let extent): new.resize = .pad(scaled(extent))
    case .shortSide(let side):
      let (before, after) = (max(old.height, old.width), max(height, width))
      new.resize = .shortSide(max(after, (side * after + before / 2) / before))
    }
    if centerCrop != nil { new.centerCrop = Extent(height: height, width: width) }
    return new
  }
}

/// Old weights where names and shapes fit, new ones for a classifier of another size.
private struct TransferSource<Old: TensorSource>: TensorSource {
  let old: Old
  let graph: Graph
  let seed: UInt64
  /// The architecture's own start; nil draws uniformly within ±1/√(numbers an output).
  let fresh: InitialWeights?

  private var required: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: ((try? graph.requiredTensors()) ?? []).map { ($0.name, $0.extents) })
  }

  /// Names of the tensors that are new.
  func replaced() throws(EngineError) -> [String] {
    try graph.requiredTensors().filter { old.extents(ofTensor: $0.name) != $0.extents }.map(\.name)
  }

  /// Only the classifier may differ from the old weights.
  func extents(ofTensor name: String) -> [Int]? {
    guard let wanted = required[name] else { return nil }
    let found = old.extents(ofTensor: name)
    let classifier = graph.classifier?.name
    return found == wanted || name == "\(classifier ?? "").weight" || name == "\(classifier ?? "").bias"
      ? wanted : found
  }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    let extents = required[name] ?? []
    if old.extents(ofTensor: name) == extents { return try old.floats(ofTensor: name) }
    if let fresh { return try fresh.floats(ofTensor: name) }
    let fan = (required[name.replacingBias] ?? extents).dropFirst().reduce(1, *)
    let bound = 1 / Double(max(1, fan)).squareRoot()
    var generator = KeyedGenerator(seed: seed, .weights, index: name.hasSuffix("bias") ? 1 : 0)
    return (0..<extents.reduce(1, *)).map { _ in Float(generator.uniform(-bound, bound)) }
  }
}

extension String {
  /// The weight's name for a bias's.
  fileprivate var replacingBias: String { hasSuffix(".bias") ? dropLast(4) + "weight" : self }
}

extension Graph {
  /// The last node with weights on the way to the output: the layer whose outputs are the classes.
  package var classifier: Node? {
    nodes.last { node in
      switch node.operation {
      case .linear: true
      case .convolution(let c): c.kernel == Extent2D(1)
      default: false
      }
    }
  }

  /// The same network for another number of classes.
  ///
  /// - Throws: `EngineError.graph` if the output does not come from a linear layer or a 1×1 convolution.
  package func replacingClassifier(classes: Int) throws(EngineError) -> Graph {
    guard let last = classifier, let index = nodes.firstIndex(where: { $0.name == last.name }) else {
      throw .graph(node: outputName, reason: "no layer whose outputs are the classes was found")
    }
    var graph = self
    switch last.operation {
    case .linear(var linear):
      linear.outFeatures = classes
      graph.nodes[index].operation = .linear(linear)
    case .convolution(var convolution):
      convolution.outChannels = classes
      graph.nodes[index].operation = .convolution(convolution)
    default: break
    }
    guard let shape = try graph.shapes()[graph.outputName], shape.countPerImage == classes else {
      throw .graph(node: last.name, reason: "its outputs are not the network's classes")
    }
    return graph
  }
}
