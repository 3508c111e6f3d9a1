internal import Engine

/// Says each node of a graph in ONNX's operators.
struct ONNXWriter {
  private let shapes: [String: Shape]
  /// Values that have the axes N and C alone.
  private var flat: Set<String> = []
  /// The nodes, as fields of `GraphProto`.
  private(set) var nodes = ProtobufWriter()
  /// Tensors that ONNX wants and the graph does not have.
  private(set) var constants: [ProtobufWriter] = []
  /// The flattening of an answer that still has four axes, as a field of `GraphProto`.
  private(set) var ending = ProtobufWriter()

  init(shapes: [String: Shape]) { self.shapes = shapes }

  func count(of name: String) -> Int { shapes[name]?.countPerImage ?? 0 }

  private enum Attribute {
    case integer(Int)
    case float(Float)
    case integers([Int])
  }

  private static func node(
    _ operation: String, _ name: String, _ inputs: [String], _ output: String, _ attributes: [(String, Attribute)]
  ) -> ProtobufWriter {
    var node = ProtobufWriter()
    for input in inputs { node.text(1, input) }
    node.text(2, output)
    node.text(3, name)
    node.text(4, operation)
    for (name, attribute) in attributes {
      var field = ProtobufWriter()
      field.text(1, name)
      switch attribute {
      case .float(let number):
        field.float(2, number)
        field.integer(20, 1)
      case .integer(let number):
        field.integer(3, number)
        field.integer(20, 2)
      case .integers(let numbers):
        for number in numbers { field.integer(8, number) }
        field.integer(20, 7)
      }
      node.message(5, field)
    }
    return node
  }

  private mutating func put(
    _ operation: String, _ name: String, _ inputs: [String], _ attributes: [(String, Attribute)] = []
  ) {
    nodes.message(1, Self.node(operation, name, inputs, name, attributes))
  }

  private mutating func constant(_ name: String, _ extents: [Int], _ floats: [Float]) -> String {
    var tensor = ProtobufWriter()
    for extent in extents { tensor.integer(1, extent) }
    tensor.integer(2, 1)
    tensor.text(8, name)
    tensor.data(9, floats.withUnsafeBytes { Array($0) })
    constants.append(tensor)
    return name
  }

  /// The name under which the answer stands with two axes; flattens it if need be.
  mutating func answer(_ name: String) -> String {
    if flat.contains(name) { return name }
    ending.message(1, Self.node("Flatten", "output", [name], "output", [("axis", .integer(1))]))
    return "output"
  }

  mutating func add(_ node: Graph.Node) throws(EngineError) {
    let name = node.name
    let x = shapes[node.inputs[0]] ?? Shape(c: 1)
    let isFlat = node.inputs.allSatisfy(flat.contains)
    if isFlat { flat.insert(name) }
    switch node.operation {
    case .convolution(let c):
      let window = [c.kernel.h, c.kernel.w]
      let pads = try pads(c.padding, c.kernel, c.stride, c.dilation, x, name)
      put(
        "Conv", name, [node.inputs[0], "\(name).weight"] + (c.bias ? ["\(name).bias"] : []),
        [
          ("kernel_shape", .integers(window)), ("strides", .integers([c.stride.h, c.stride.w])),
          ("pads", .integers(pads)), ("dilations", .integers([c.dilation.h, c.dilation.w])),
          ("group", .integer(c.groups)),
        ])
    case .linear(let l):
      var input = node.inputs[0]
      if !flat.contains(input) {
        put("Flatten", "\(name).flatten", [input], [("axis", .integer(1))])
        input = "\(name).flatten"
      }
      flat.insert(name)
      put("Gemm", name, [input, "\(name).weight"] + (l.bias ? ["\(name).bias"] : []), [("transB", .integer(1))])
    case .batchNorm(let epsilon):
      let parts = ["weight", "bias", "running_mean", "running_var"].map { "\(name).\($0)" }
      put("BatchNormalization", name, [node.inputs[0]] + parts, [("epsilon", .float(epsilon))])
    case .activation(let activation): add(activation, name, node.inputs[0])
    case .maxPool(let p): put("MaxPool", name, node.inputs, try pooling(p, x, name))
    case .averagePool(let p):
      put(
        "AveragePool", name, node.inputs,
        try pooling(p, x, name).filter { $0.0 != "dilations" }
          + [("count_include_pad", .integer(p.countIncludePad ? 1 : 0))])
    case .globalAveragePool: put("GlobalAveragePool", name, node.inputs)
    case .adaptiveAveragePool(let height, let width): adaptive(name, node.inputs[0], x, height, width)
    case .add: put("Add", name, node.inputs)
    case .multiply: put("Mul", name, node.inputs)
    case .concatenate: put("Concat", name, node.inputs, [("axis", .integer(1))])
    case .flatten:
      flat.insert(name)
      put("Flatten", name, node.inputs, [("axis", .integer(1))])
    case .softmax: put("Softmax", name, node.inputs, [("axis", .integer(1))])
    case .localResponseNorm(let size, let alpha, let beta, let k):
      put(
        "LRN", name, node.inputs,
        [("size", .integer(size)), ("alpha", .float(alpha)), ("beta", .float(beta)), ("bias", .float(k))])
    case .dropout: put("Identity", name, node.inputs)
    }
  }

  private mutating func add(_ activation: Activation, _ name: String, _ input: String) {
    switch activation {
    case .relu: put("Relu", name, [input])
    case .relu6:
      let limits = [constant("\(name).min", [], [0]), constant("\(name).max", [], [6])]
      put("Clip", name, [input] + limits)
    case .silu:
      put("Sigmoid", "\(name).sigmoid", [input])
      put("Mul", name, [input, "\(name).sigmoid"])
    case .hardSwish: put("HardSwish", name, [input])
    case .hardSigmoid: put("HardSigmoid", name, [input], [("alpha", .float(1 / 6)), ("beta", .float(0.5))])
    case .sigmoid: put("Sigmoid", name, [input])
    case .tanh: put("Tanh", name, [input])
    }
  }

  private func pads(
    _ padding: Padding, _ kernel: Extent2D, _ stride: Extent2D, _ dilation: Extent2D, _ x: Shape, _ name: String
  ) throws(EngineError) -> [Int] {
    switch padding {
    case .explicit(let top, let left, let bottom, let right): return [top, left, bottom, right]
    case .same:
      func edges(_ x: Int, _ kernel: Int, _ stride: Int, _ dilation: Int) -> (before: Int, after: Int) {
        let all = max(0, ((x + stride - 1) / stride - 1) * stride + dilation * (kernel - 1) + 1 - x)
        return (all / 2, all - all / 2)
      }
      let h = edges(x.h, kernel.h, stride.h, dilation.h)
      let w = edges(x.w, kernel.w, stride.w, dilation.w)
      return [h.before, w.before, h.after, w.after]
    }
  }

  private func pooling(_ p: Pooling, _ x: Shape, _ name: String) throws(EngineError) -> [(String, Attribute)] {
    [
      ("kernel_shape", .integers([p.kernel.h, p.kernel.w])), ("strides", .integers([p.stride.h, p.stride.w])),
      ("pads", .integers(try pads(p.padding, p.kernel, p.stride, p.dilation, x, name))),
      ("dilations", .integers([p.dilation.h, p.dilation.w])), ("ceil_mode", .integer(p.ceilMode ? 1 : 0)),
    ]
  }

  /// Means over windows that come out even are ONNX's; others are two products with matrices of weights.
  private mutating func adaptive(_ name: String, _ input: String, _ x: Shape, _ height: Int, _ width: Int) {
    if height == 1, width == 1 {
      put("GlobalAveragePool", name, [input])
    } else if height == x.h, width == x.w {
      put("Identity", name, [input])
    } else if x.h.isMultiple(of: height), x.w.isMultiple(of: width) {
      let kernel = [x.h / height, x.w / width]
      put("AveragePool", name, [input], [("kernel_shape", .integers(kernel)), ("strides", .integers(kernel))])
    } else {
      let rows = constant("\(name).rows", [height, x.h], Self.means(of: x.h, to: height))
      let columns = Self.transposed(Self.means(of: x.w, to: width), rows: width, columns: x.w)
      let right = constant("\(name).columns", [x.w, width], columns)
      put("MatMul", "\(name).down", [rows, input])
      put("MatMul", name, ["\(name).down", right])
    }
  }

  private static func means(of extent: Int, to count: Int) -> [Float] {
    var matrix = [Float](repeating: 0, count: count * extent)
    for row in 0..<count {
      let range = (row * extent / count)..<(((row + 1) * extent + count - 1) / count)
      for column in range { matrix[row * extent + column] = 1 / Float(range.count) }
    }
    return matrix
  }

  private static func transposed(_ matrix: [Float], rows: Int, columns: Int) -> [Float] {
    (0..<(rows * columns)).map { matrix[$0 % rows * columns + $0 / rows] }
  }
}
