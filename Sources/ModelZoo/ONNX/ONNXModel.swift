/// What an ONNX file says: operators, constants, inputs and outputs, before any of it is understood.
struct ONNXModel {
  struct Node {
    var name: String
    /// The operator, with its domain before it if that is not ONNX's own.
    var operation: String
    /// An empty name is an operand left out.
    var inputs: [String]
    var outputs: [String]
    var attributes: [String: Attribute]

    /// How messages call it.
    var label: String {
      let own = name.isEmpty ? outputs.first ?? "" : name
      return "node '\(own)' (\(operation))"
    }
  }

  /// A parameter of an operator; only the part of its kind is filled.
  struct Attribute {
    var float: Float?
    var integer: Int?
    var text: String?
    var integers: [Int] = []
    var floats: [Float] = []
    var tensor: ConstantTensor?
    var graph: Subgraph?
  }

  /// A value that comes from outside: what is fed, or what is answered.
  struct Port {
    let name: String
    /// nil where the file gives no number.
    let extents: [Int?]
  }

  struct Subgraph {
    var nodes: [Node] = []
    var constants: [String: ConstantTensor] = [:]
    var inputs: [Port] = []
    var outputs: [Port] = []
  }

  var graph = Subgraph()
  /// The version of ONNX's own operators.
  var opset = 0
  var producer = ""
}

/// Reads the messages of onnx.proto that a network needs; of the rest only the lengths are looked at.
struct ONNXReader {
  private static let maximumNodes = 1 << 17
  private static let maximumDepth = 8

  private let file: UnsafeRawBufferPointer
  private let bytes: any ByteSource

  /// `bytes` owns the memory that `file` shows.
  init(_ file: UnsafeRawBufferPointer, bytes: any ByteSource) {
    self.file = file
    self.bytes = bytes
  }

  func model() throws(FormatFault) -> ONNXModel {
    var model = ONNXModel()
    var hasGraph = false
    var reader = ProtobufReader(file, 0..<file.count)
    while let (number, value) = try reader.next() {
      switch (number, value) {
      case (2, _): model.producer = ProtobufReader.text(value, in: file)
      case (7, .bytes(let range)):
        model.graph = try graph(range, depth: 0)
        hasGraph = true
      case (8, .bytes(let range)):
        let (domain, version) = try operatorSet(range)
        if domain.isEmpty || domain == "ai.onnx" { model.opset = version }
      case (25, .bytes): throw FormatFault(offset: reader.position, reason: "functions of its own", isRefusal: true)
      default: break
      }
    }
    guard hasGraph, !model.graph.nodes.isEmpty else {
      throw FormatFault(offset: file.count, reason: "holds no network: no ONNX model, or cut short")
    }
    return model
  }

  private func operatorSet(_ range: Range<Int>) throws(FormatFault) -> (domain: String, version: Int) {
    var (domain, version) = ("", 0)
    var reader = ProtobufReader(file, range)
    while let (number, value) = try reader.next() {
      if number == 1 { domain = ProtobufReader.text(value, in: file) }
      if number == 2, case .varint(let found) = value { version = Int(truncatingIfNeeded: found) }
    }
    return (domain, version)
  }

  private func graph(_ range: Range<Int>, depth: Int) throws(FormatFault) -> ONNXModel.Subgraph {
    guard depth < ONNXReader.maximumDepth else {
      throw FormatFault(offset: range.lowerBound, reason: "graphs within graphs, too deep", isRefusal: true)
    }
    var graph = ONNXModel.Subgraph()
    var reader = ProtobufReader(file, range)
    while let (number, value) = try reader.next() {
      guard case .bytes(let part) = value else { continue }
      switch number {
      case 1:
        guard graph.nodes.count < ONNXReader.maximumNodes else {
          throw FormatFault(offset: part.lowerBound, reason: "too many operators", isRefusal: true)
        }
        graph.nodes.append(try node(part, depth: depth))
      case 5:
        let (name, tensor) = try self.tensor(part)
        graph.constants[name] = tensor
      case 11: graph.inputs.append(try port(part))
      case 12: graph.outputs.append(try port(part))
      case 15: throw FormatFault(offset: part.lowerBound, reason: "sparse weights", isRefusal: true)
      default: break
      }
    }
    return graph
  }

  private func node(_ range: Range<Int>, depth: Int) throws(FormatFault) -> ONNXModel.Node {
    var node = ONNXModel.Node(name: "", operation: "", inputs: [], outputs: [], attributes: [:])
    var domain = ""
    var reader = ProtobufReader(file, range)
    while let (number, value) = try reader.next() {
      switch (number, value) {
      case (1, _): node.inputs.append(ProtobufReader.text(value, in: file))
      case (2, _): node.outputs.append(ProtobufReader.text(value, in: file))
      case (3, _): node.name = ProtobufReader.text(value, in: file)
      case (4, _): node.operation = ProtobufReader.text(value, in: file)
      case (5, .bytes(let part)):
        let (name, attribute) = try self.attribute(part, depth: depth)
        node.attributes[name] = attribute
      case (7, _): domain = ProtobufReader.text(value, in: file)
      default: break
      }
    }
    if !domain.isEmpty, domain != "ai.onnx" { node.operation = "\(domain).\(node.operation)" }
    return node
  }

  private func attribute(
    _ range: Range<Int>, depth: Int
  ) throws(FormatFault) -> (name: String, attribute: ONNXModel.Attribute) {
    var name = ""
    var attribute = ONNXModel.Attribute()
    var reader = ProtobufReader(file, range)
    while let (number, value) = try reader.next() {
      switch (number, value) {
      case (1, _): name = ProtobufReader.text(value, in: file)
      case (2, .fixed32(let bits)): attribute.float = Float(bitPattern: bits)
      case (3, .varint(let bits)): attribute.integer = Int(truncatingIfNeeded: bits)
      case (4, .bytes): attribute.text = ProtobufReader.text(value, in: file)
      case (5, .bytes(let part)): attribute.tensor = try tensor(part).tensor
      case (6, .bytes(let part)): attribute.graph = try graph(part, depth: depth + 1)
      case (7, _): try ProtobufReader.append(value, width: 4, to: &attribute.floats, in: file)
      case (8, _): try ProtobufReader.append(value, to: &attribute.integers, in: file)
      default: break
      }
    }
    return (name, attribute)
  }

  private func port(_ range: Range<Int>) throws(FormatFault) -> ONNXModel.Port {
    var name = ""
    var extents: [Int?] = []
    var reader = ProtobufReader(file, range)
    while let (number, value) = try reader.next() {
      if number == 1 { name = ProtobufReader.text(value, in: file) }
      // ValueInfoProto.type, TypeProto.tensor_type, Tensor.shape, TensorShapeProto.dim
      guard number == 2, let type = try first(1, in: value), let shape = try first(2, in: type),
        case .bytes(let part) = shape
      else { continue }
      var dimensions = ProtobufReader(file, part)
      while let (number, dimension) = try dimensions.next() {
        guard number == 1 else { continue }
        if case .varint(let extent)? = try first(1, in: dimension), (1..<(1 << 31)).contains(extent) {
          extents.append(Int(extent))
        } else {
          extents.append(nil)
        }
      }
    }
    return ONNXModel.Port(name: name, extents: extents)
  }

  /// The first field of that number in a message.
  private func first(_ number: Int, in value: ProtobufReader.Value) throws(FormatFault) -> ProtobufReader.Value? {
    guard case .bytes(let range) = value else { return nil }
    var reader = ProtobufReader(file, range)
    while let (found, value) = try reader.next() {
      if found == number { return value }
    }
    return nil
  }
}

// MARK: Tensors

extension ONNXReader {
  private func tensor(_ range: Range<Int>) throws(FormatFault) -> (name: String, tensor: ConstantTensor) {
    var name = ""
    var extents: [Int] = []
    var type = 0
    var floats: [Float] = []
    var integers: [Int] = []
    var raw: Range<Int>?
    /// `float_data` or `double_data` in a single run, whose bytes are those that `raw_data` would have.
    var run: Range<Int>?
    var isExternal = false
    var external: [String: String] = [:]
    var reader = ProtobufReader(file, range)
    while let (number, value) = try reader.next() {
      switch (number, value) {
      case (1, _): try ProtobufReader.append(value, to: &extents, in: file)
      case (2, .varint(let bits)): type = Int(truncatingIfNeeded: bits)
      case (4, .bytes(let part)) where type == 1 && run == nil && floats.isEmpty,
        (10, .bytes(let part)) where type == 11 && run == nil && floats.isEmpty:
        run = part
      case (4, _), (10, _):
        let width = number == 4 ? 4 : 8
        if let first = run { try ProtobufReader.append(.bytes(first), width: width, to: &floats, in: file) }
        run = nil
        try ProtobufReader.append(value, width: width, to: &floats, in: file)
      case (5, _), (7, _), (11, _): try ProtobufReader.append(value, to: &integers, in: file)
      case (8, _): name = ProtobufReader.text(value, in: file)
      case (9, .bytes(let part)): raw = part
      case (13, .bytes(let part)):
        guard let key = try first(1, in: .bytes(part)), let text = try first(2, in: .bytes(part)) else { continue }
        external[ProtobufReader.text(key, in: file)] = ProtobufReader.text(text, in: file)
      case (14, .varint(let place)): isExternal = place == 1
      default: break
      }
    }
    func fault(_ reason: String) -> FormatFault {
      FormatFault(offset: range.lowerBound, reason: "the tensor '\(name)' \(reason)")
    }
    guard let count = ConstantTensor.count(of: extents) else { throw fault("has a senseless shape \(extents)") }
    guard let element = ConstantTensor.Element(onnx: type) else {
      throw FormatFault(
        offset: range.lowerBound, reason: "the tensor '\(name)' of ONNX's type \(type)", isRefusal: true)
    }
    if isExternal {
      let (source, part) = try bytes.companion(external, offset: range.lowerBound)
      guard part.count == count * element.width else {
        throw fault("takes \(count * element.width) bytes, not \(part.count)")
      }
      return (name, ConstantTensor(extents: extents, stored: element, in: source, at: part))
    }
    if let raw = raw ?? run {
      guard raw.count == count * element.width else {
        throw fault("takes \(count * element.width) bytes, not \(raw.count)")
      }
      return (name, ConstantTensor(extents: extents, stored: element, in: bytes, at: raw))
    }
    if !floats.isEmpty || (integers.isEmpty && element.isFloat) {
      guard floats.count == count else { throw fault("has \(floats.count) numbers, its shape wants \(count)") }
      return (name, ConstantTensor(extents: extents, floats: floats))
    }
    guard integers.count == count else { throw fault("has \(integers.count) numbers, its shape wants \(count)") }
    if element == .f16 {
      return (name, ConstantTensor(extents: extents, floats: integers.map { ConstantTensor.half($0) }))
    }
    return (name, ConstantTensor(extents: extents, integers: integers))
  }
}
