/// The form in which a graph stands in a weights file.
///
/// `{"input":{"name","channels","height","width"},"output":…,"nodes":[{"name","op","inputs","attributes"}…]}`.
/// Reading is strict: every attribute must be there, none may be unknown, so that a text has one meaning only.
extension Graph {
  /// The graph as one line of JSON; `init(json:)` gives the same graph again.
  package var json: String {
    JSON.object([
      "input": .object([
        "name": .string(inputName), "channels": .integer(inputShape.c), "height": .integer(inputShape.h),
        "width": .integer(inputShape.w),
      ]),
      "output": .string(outputName),
      "nodes": .array(nodes.map(\.json)),
    ]).text
  }

  /// Reads what `json` wrote.
  ///
  /// - Throws: `EngineError.graph` naming the byte of the text. That the nodes fit each other is checked by `shapes()`.
  package init(json text: String) throws(EngineError) {
    do throws(JSON.Fault) {
      self = try Graph(json: JSON(parsing: text))
    } catch {
      throw .graph(node: "", reason: "\(error.reason) (byte \(error.offset) of the graph's text)")
    }
  }

  private init(json: JSON) throws(JSON.Fault) {
    var fields = try json.fields("the graph")
    var input = try fields.take("input").fields("the graph's input")
    let name = try input.take("name").string("the input's name")
    let shape = Shape(
      c: try input.take("channels").integer("channels", in: Bounds.channels),
      h: try input.take("height").integer("height", in: Bounds.extent),
      w: try input.take("width").integer("width", in: Bounds.extent))
    try input.finish()
    let output = try fields.take("output").string("the graph's output")
    let list = try fields.take("nodes")
    try fields.finish()
    var nodes: [Node] = []
    var names: Set<String> = [name]
    for element in try list.elements("nodes") {
      let node = try Node(json: element)
      for operand in node.inputs where !names.contains(operand) {
        throw JSON.Fault(offset: element.offset, reason: "node '\(node.name)' uses '\(operand)' before it is computed")
      }
      guard names.insert(node.name).inserted else {
        throw JSON.Fault(offset: element.offset, reason: "two nodes are called '\(node.name)'")
      }
      nodes.append(node)
    }
    guard names.contains(output) else {
      throw JSON.Fault(offset: json.offset, reason: "no node is called '\(output)', the graph's output")
    }
    self.init(inputName: name, inputShape: shape, nodes: nodes, outputName: output)
  }
}

/// What a graph's numbers may be: wide enough for any network, narrow enough that products do not overflow.
private enum Bounds {
  static let channels = 1...(1 << 20)
  static let extent = 1...(1 << 16)
  static let padding = 0...(1 << 12)
  static let window = 1...(1 << 12)
}

extension Graph.Node {
  fileprivate var json: JSON {
    let (op, attributes) = operation.json
    return .object([
      "name": .string(name), "op": .string(op), "inputs": .array(inputs.map { .string($0) }),
      "attributes": attributes,
    ])
  }

  fileprivate init(json: JSON) throws(JSON.Fault) {
    var fields = try json.fields("a node")
    let name = try fields.take("name").string("a node's name")
    let op = try fields.take("op").string("a node's op")
    var inputs: [String] = []
    for input in try fields.take("inputs").elements("a node's inputs") {
      inputs.append(try input.string("an input of node '\(name)'"))
    }
    var attributes = try fields.take("attributes").fields("the attributes of node '\(name)'")
    try fields.finish()
    let operation = try Operation(op: op, attributes: &attributes, offset: json.offset)
    try attributes.finish()
    self.init(name: name, operation: operation, inputs: inputs)
  }
}

extension Operation {
  fileprivate var json: (op: String, attributes: JSON) {
    switch self {
    case .convolution(let convolution): ("convolution", convolution.json)
    case .batchNorm(let epsilon): ("batch_norm", .object(["epsilon": .float(epsilon)]))
    case .activation(let activation): (activation.rawValue, .object([:]))
    case .maxPool(let pooling): ("max_pool", pooling.json)
    case .averagePool(let pooling): ("average_pool", pooling.json)
    case .globalAveragePool: ("global_average_pool", .object([:]))
    case .adaptiveAveragePool(let height, let width):
      ("adaptive_average_pool", .object(["height": .integer(height), "width": .integer(width)]))
    case .linear(let linear):
      (
        "linear",
        .object([
          "in_features": .integer(linear.inFeatures), "out_features": .integer(linear.outFeatures),
          "bias": .bool(linear.bias),
        ])
      )
    case .add: ("add", .object([:]))
    case .multiply: ("multiply", .object([:]))
    case .concatenate: ("concatenate", .object([:]))
    case .flatten: ("flatten", .object([:]))
    case .softmax: ("softmax", .object([:]))
    case .localResponseNorm(let size, let alpha, let beta, let k):
      (
        "local_response_norm",
        .object(["size": .integer(size), "alpha": .float(alpha), "beta": .float(beta), "k": .float(k)])
      )
    case .dropout(let probability): ("dropout", .object(["probability": .float(probability)]))
    }
  }

  fileprivate init(op: String, attributes: inout JSON.Fields, offset: Int) throws(JSON.Fault) {
    switch op {
    case "convolution": self = .convolution(try Convolution(attributes: &attributes))
    case "batch_norm": self = .batchNorm(epsilon: try attributes.take("epsilon").float("epsilon"))
    case "max_pool": self = .maxPool(try Pooling(attributes: &attributes))
    case "average_pool": self = .averagePool(try Pooling(attributes: &attributes))
    case "global_average_pool": self = .globalAveragePool
    case "adaptive_average_pool":
      self = .adaptiveAveragePool(
        height: try attributes.take("height").integer("height", in: Bounds.extent),
        width: try attributes.take("width").integer("width", in: Bounds.extent))
    case "linear":
      self = .linear(
        Linear(
          inFeatures: try attributes.take("in_features").integer("in_features", in: 1...(1 << 28)),
          outFeatures: try attributes.take("out_features").integer("out_features", in: Bounds.channels),
          bias: try attributes.take("bias").bool("bias")))
    case "add": self = .add
    case "multiply": self = .multiply
    case "concatenate": self = .concatenate
    case "flatten": self = .flatten
    case "softmax": self = .softmax
    case "local_response_norm":
      self = .localResponseNorm(
        size: try attributes.take("size").integer("size", in: Bounds.channels),
        alpha: try attributes.take("alpha").float("alpha"), beta: try attributes.take("beta").float("beta"),
        k: try attributes.take("k").float("k"))
    case "dropout": self = .dropout(probability: try attributes.take("probability").float("probability"))
    default:
      guard let activation = Activation(rawValue: op) else {
        throw JSON.Fault(offset: offset, reason: "no operation is called '\(op)'")
      }
      self = .activation(activation)
    }
  }
}

extension Convolution {
  fileprivate var json: JSON {
    .object([
      "in_channels": .integer(inChannels), "out_channels": .integer(outChannels), "kernel": kernel.json,
      "stride": stride.json, "padding": padding.json, "dilation": dilation.json, "groups": .integer(groups),
      "bias": .bool(bias),
    ])
  }

  fileprivate init(attributes: inout JSON.Fields) throws(JSON.Fault) {
    self.init(
      inChannels: try attributes.take("in_channels").integer("in_channels", in: Bounds.channels),
      outChannels: try attributes.take("out_channels").integer("out_channels", in: Bounds.channels),
      kernel: try Extent2D(json: attributes.take("kernel")), stride: try Extent2D(json: attributes.take("stride")),
      padding: try Padding(json: attributes.take("padding")),
      dilation: try Extent2D(json: attributes.take("dilation")),
      groups: try attributes.take("groups").integer("groups", in: Bounds.channels),
      bias: try attributes.take("bias").bool("bias"))
  }
}

extension Pooling {
  fileprivate var json: JSON {
    .object([
      "kernel": kernel.json, "stride": stride.json, "padding": padding.json, "dilation": dilation.json,
      "ceil_mode": .bool(ceilMode), "count_include_pad": .bool(countIncludePad),
    ])
  }

  fileprivate init(attributes: inout JSON.Fields) throws(JSON.Fault) {
    self.init(
      kernel: try Extent2D(json: attributes.take("kernel")), stride: try Extent2D(json: attributes.take("stride")),
      padding: try Padding(json: attributes.take("padding")),
      dilation: try Extent2D(json: attributes.take("dilation")),
      ceilMode: try attributes.take("ceil_mode").bool("ceil_mode"),
      countIncludePad: try attributes.take("count_include_pad").bool("count_include_pad"))
  }
}

extension Extent2D {
  fileprivate var json: JSON { .array([.integer(h), .integer(w)]) }

  fileprivate init(json: JSON) throws(JSON.Fault) {
    let numbers = try json.elements("a pair of extents")
    guard numbers.count == 2 else { throw JSON.Fault(offset: json.offset, reason: "two extents expected") }
    self.init(
      h: try numbers[0].integer("an extent", in: Bounds.window),
      w: try numbers[1].integer("an extent", in: Bounds.window))
  }
}

extension Padding {
  fileprivate var json: JSON {
    switch self {
    case .same: .string("same")
    case .explicit(let top, let left, let bottom, let right):
      .array([.integer(top), .integer(left), .integer(bottom), .integer(right)])
    }
  }

  fileprivate init(json: JSON) throws(JSON.Fault) {
    if case .string("same") = json.value {
      self = .same
      return
    }
    let numbers = try json.elements("padding other than \"same\"")
    guard numbers.count == 4 else {
      throw JSON.Fault(offset: json.offset, reason: "padding needs top, left, bottom and right")
    }
    var sides: [Int] = []
    for number in numbers { sides.append(try number.integer("padding", in: Bounds.padding)) }
    self = .explicit(top: sides[0], left: sides[1], bottom: sides[2], right: sides[3])
  }
}
