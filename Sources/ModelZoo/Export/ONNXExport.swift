package import Engine

/// Writing a network as an ONNX model (opset 17), its weights as 32-bit floats.
package enum ONNXExport {
  static let opset = 17
  /// Protobuf counts a message's bytes in 31 bits.
  static let maximumBytes = Int(Int32.max)

  /// Writes the model; under `path` stands the old file or the whole new one.
  ///
  /// The input is `input` (n×C×H×W) and the answer `output` (n×classes), for any n. Tensors keep their names.
  ///
  /// - Throws: `ModelZooError.unsupported` if the weights pass 2 GiB, `.engine` if the disk or the graph refuses.
  package static func write(
    _ graph: Graph, tensors: some TensorSource, to path: String, producer: String
  ) throws(ModelZooError) {
    do throws(EngineError) {
      var writer = ONNXWriter(shapes: try graph.shapes())
      for node in graph.nodes { try writer.add(node) }
      let required = try graph.requiredTensors()
      var head = ProtobufWriter()
      head.integer(1, 8)
      head.text(2, producer)
      var operators = ProtobufWriter()
      operators.text(1, "")
      operators.integer(2, opset)
      head.message(8, operators)

      var front = writer.nodes
      front.text(2, "lookout")
      for constant in writer.constants { front.message(5, constant) }
      var back = ProtobufWriter()
      let input = graph.inputShape
      back.message(11, port(graph.inputName, [nil, input.c, input.h, input.w]))
      let classes = writer.count(of: graph.outputName)
      back.message(12, port(writer.answer(graph.outputName), [nil, classes]))

      var total = front.bytes.count + writer.ending.bytes.count + back.bytes.count
      var heads: [(head: [UInt8], bytes: Int)] = []
      for tensor in required {
        let head = tensorHead(tensor.name, tensor.extents)
        heads.append(head)
        total += head.head.count + head.bytes
      }
      guard total < maximumBytes else {
        throw EngineError.graph(
          node: "", reason: "\(total) bytes are more than one ONNX file can hold; export safetensors")
      }
      head.head(7, count: total)
      var file = try ReplacementFile(for: path)
      try file.append(head.bytes)
      try file.append(front.bytes)
      for (tensor, head) in zip(required, heads) {
        try file.append(head.head)
        let floats = try tensors.floats(ofTensor: tensor.name)
        guard floats.count * 4 == head.bytes else {
          throw EngineError.tensor(name: tensor.name, reason: "gives \(floats.count) numbers for \(tensor.extents)")
        }
        try file.append(floats.withUnsafeBytes { Array($0) })
      }
      try file.append(writer.ending.bytes)
      try file.append(back.bytes)
      try file.commit()
    } catch {
      throw .engine(error)
    }
  }

  private static func tensorHead(_ name: String, _ extents: [Int]) -> (head: [UInt8], bytes: Int) {
    let bytes = extents.reduce(4, *)
    var tensor = ProtobufWriter()
    for extent in extents { tensor.integer(1, extent) }
    tensor.integer(2, 1)
    tensor.text(8, name)
    tensor.head(9, count: bytes)
    var field = ProtobufWriter()
    field.head(5, count: tensor.bytes.count + bytes)
    return (field.bytes + tensor.bytes, bytes)
  }

  /// `ValueInfoProto` of 32-bit floats; nil is the batch.
  private static func port(_ name: String, _ extents: [Int?]) -> ProtobufWriter {
    var shape = ProtobufWriter()
    for extent in extents {
      var dimension = ProtobufWriter()
      if let extent { dimension.integer(1, extent) } else { dimension.text(2, "n") }
      shape.message(1, dimension)
    }
    var tensor = ProtobufWriter()
    tensor.integer(1, 1)
    tensor.message(2, shape)
    var type = ProtobufWriter()
    type.message(1, tensor)
    var port = ProtobufWriter()
    port.text(1, name)
    port.message(2, type)
    return port
  }
}
