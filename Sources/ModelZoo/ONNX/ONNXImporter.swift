package import Engine

/// Follows an ONNX model from its input to its answer.
///
/// Opsets 11 to 21; what depends on no picture is computed at once, so shapes that a model works out for itself are plain
/// numbers here.
struct ONNXImporter {
  enum Value {
    case constant(ConstantTensor)
    case feature(FeatureMap)
  }

  let model: ONNXModel
  var tracer: NetworkTracer
  var values: [String: Value] = [:]
  var notes: [String] = []
  /// How many numbers were computed that depend on no picture.
  var foldedCount = 0
  private let inputName: String
  private let outputName: String

  static let opsets = 11...21

  /// - Throws: `TraceFault` if the model's input or output is not what a classifier of pictures has.
  init(_ model: ONNXModel, size: Extent2D?, output: String?) throws(TraceFault) {
    guard ONNXImporter.opsets.contains(model.opset) else {
      throw TraceFault(
        "ONNX opset \(model.opset); opsets \(ONNXImporter.opsets.lowerBound) to "
          + "\(ONNXImporter.opsets.upperBound) are read: export the model again")
    }
    self.model = model
    let inputs = model.graph.inputs.filter { model.graph.constants[$0.name] == nil }
    guard let input = inputs.first, inputs.count == 1 else {
      throw TraceFault("\(inputs.count) inputs (\(inputs.map(\.name).joined(separator: ", "))); one picture is wanted")
    }
    guard input.extents.count == 4 else {
      throw TraceFault("the input '\(input.name)' has \(input.extents.count) axes; N, C, H, W are wanted")
    }
    let channels: Set<Int?> = [1, 3, 4]
    let isChannelsLast = channels.contains(input.extents[3]) && !channels.contains(input.extents[1])
    let axes: [[Axis]] = isChannelsLast ? [[.n], [.h], [.w], [.c]] : [[.n], [.c], [.h], [.w]]
    let places = isChannelsLast ? (c: 3, h: 1, w: 2) : (c: 1, h: 2, w: 3)
    guard let c = input.extents[places.c] else { throw TraceFault("the input's channels are not given as a number") }
    guard let h = size?.h ?? input.extents[places.h], let w = size?.w ?? input.extents[places.w] else {
      throw TraceFault("the input's height and width are left open; give them with --input-size")
    }
    try NetworkTracer.bounded(Shape(c: c, h: h, w: w))
    let batch = input.extents[0] ?? 1
    guard batch <= 1 << 20 else { throw TraceFault("a batch of \(batch)") }
    tracer = NetworkTracer(shape: Shape(c: c, h: h, w: w), axes: axes, batch: batch)
    inputName = input.name
    let outputs = model.graph.outputs.map(\.name)
    guard let first = output ?? outputs.first else { throw TraceFault("the model has no output") }
    outputName = first
    if output == nil, outputs.count > 1 {
      notes.append("of the outputs \(outputs.joined(separator: ", ")) the first is taken; --output NAME takes another")
    }
    values[inputName] = .feature(tracer.input)
    for (name, tensor) in model.graph.constants { values[name] = .constant(tensor) }
  }

  /// - Throws: `TraceFault` naming the operator that is not known or not followed.
  mutating func run() throws(TraceFault) -> ImportedNetwork {
    let nodes = ONNXPatterns.simplified(needed(ONNXPatterns.withNorms(model.graph), for: [outputName]))
    for node in needed(nodes, for: [outputName]) { try follow(node) }
    guard case .feature(let answer)? = values[outputName] else {
      throw TraceFault("no value is called '\(outputName)', or it does not depend on the picture")
    }
    return try tracer.finish(answer, notes: notes)
  }

  mutating func follow(_ node: ONNXModel.Node) throws(TraceFault) {
    do throws(TraceFault) {
      try step(node)
    } catch {
      throw error.reason.hasPrefix("node '") ? error : TraceFault("\(node.label): \(error.reason)")
    }
  }

  /// The nodes on which the named values depend, in their order.
  private func needed(_ nodes: [ONNXModel.Node], for names: Set<String>) -> [ONNXModel.Node] {
    var wanted = names
    var kept: [ONNXModel.Node] = []
    for node in nodes.reversed() where node.outputs.contains(where: wanted.contains) {
      wanted.formUnion(node.inputs)
      for attribute in node.attributes.values {
        for inner in attribute.graph?.nodes ?? [] { wanted.formUnion(inner.inputs) }
        for output in attribute.graph?.outputs ?? [] { wanted.insert(output.name) }
      }
      kept.append(node)
    }
    return kept.reversed()
  }

  // MARK: Operands

  func operand(_ node: ONNXModel.Node, _ place: Int) -> Value? {
    guard node.inputs.indices.contains(place), !node.inputs[place].isEmpty else { return nil }
    return values[node.inputs[place]]
  }

  func feature(_ node: ONNXModel.Node, _ place: Int = 0) throws(TraceFault) -> FeatureMap {
    guard case .feature(let feature)? = operand(node, place) else {
      throw TraceFault("operand \(place + 1) does not depend on the picture or is missing")
    }
    return feature
  }

  func constant(_ node: ONNXModel.Node, _ place: Int) throws(TraceFault) -> ConstantTensor {
    guard case .constant(let tensor)? = operand(node, place) else {
      throw TraceFault("operand \(place + 1) must be a constant")
    }
    return tensor
  }

  /// The constant at a place, or nil if it is left out.
  func optional(_ node: ONNXModel.Node, _ place: Int) throws(TraceFault) -> ConstantTensor? {
    operand(node, place) == nil ? nil : try constant(node, place)
  }

  /// Whole numbers that older opsets give as an attribute and newer ones as an operand.
  func integers(_ node: ONNXModel.Node, _ name: String, _ place: Int) throws(TraceFault) -> [Int]? {
    if let attribute = node.attributes[name] {
      return attribute.integers.isEmpty ? attribute.integer.map { [$0] } ?? [] : attribute.integers
    }
    guard let tensor = try optional(node, place) else { return nil }
    guard let numbers = tensor.integers() else { throw TraceFault("operand \(place + 1) must be whole numbers") }
    return numbers
  }

  /// What the node's weights are called in the graph: as the tensor is, without its ending; else as the node.
  func name(_ node: ONNXModel.Node, weight place: Int? = nil) -> String {
    if let place, node.inputs.indices.contains(place), node.inputs[place].hasSuffix(".weight") {
      return String(node.inputs[place].dropLast(".weight".count))
    }
    return node.name.isEmpty ? node.outputs.first ?? node.operation : node.name
  }

  /// An axis counted from the front, however it was given.
  func place(_ axis: Int, of count: Int) throws(TraceFault) -> Int {
    let place = axis < 0 ? axis + count : axis
    guard (0..<max(1, count)).contains(place) else { throw TraceFault("an axis \(axis) of \(count)") }
    return place
  }
}

/// Reading a whole `.onnx` file.
package enum ONNXFile {
  /// Follows the model in a file; its `external_data` is looked for beside it.
  ///
  /// `size` is height and width, where the model leaves them open or others are wanted; `output` the value that is the
  /// answer, if not the model's first output.
  ///
  /// - Throws: `ModelZooError` naming the byte, or the operator that is not known.
  package static func read(path: String, size: Extent2D?, output: String?) throws(ModelZooError) -> ImportedNetwork {
    let file = try MappedFile(path: path)
    let model = try file.read { bytes throws(FormatFault) in try ONNXReader(bytes, bytes: file).model() }
    return try network(model, path: path, size: size, output: output)
  }

  /// The same from bytes in memory; a model that names other files is refused.
  package static func read(
    bytes: [UInt8], size: Extent2D? = nil, output: String? = nil
  ) throws(ModelZooError) -> ImportedNetwork {
    let memory = MemoryBytes(bytes)
    let model: ONNXModel
    do throws(FormatFault) {
      model = try memory.withBytes { file throws(FormatFault) in try ONNXReader(file, bytes: memory).model() }
    } catch {
      throw error.error(path: "the model")
    }
    return try network(model, path: "the model", size: size, output: output)
  }

  private static func network(
    _ model: ONNXModel, path: String, size: Extent2D?, output: String?
  ) throws(ModelZooError) -> ImportedNetwork {
    do throws(TraceFault) {
      var importer = try ONNXImporter(model, size: size, output: output)
      return try importer.run()
    } catch {
      throw .unsupported(path: path, reason: error.reason)
    }
  }
}
