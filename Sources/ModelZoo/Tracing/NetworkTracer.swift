internal import Engine

/// Builds a graph while a foreign network is followed operator by operator, and keeps its weights.
///
/// Importers say what happens to values in their own terms (any order of axes, constants to the left and right); what
/// stands in the graph afterwards is the engine's few operations.
struct NetworkTracer {
  /// How many pictures the file was written for; 1 where it leaves that open.
  let batch: Int
  let input: FeatureMap
  private(set) var nodes: [Graph.Node] = []
  private(set) var tensors = TracedTensors()
  private var shapes: [String: Shape]
  private var places: [String: Int] = [:]
  private var repetitions: [String: Int] = [:]
  /// What an element-wise node was made of, to recognise functions written in parts.
  private var sources: [String: FeatureMap] = [:]

  private static let inputName = "input"
  private static let maximumNodes = 1 << 16

  /// `axes` tells how the file orders the picture.
  init(shape: Shape, axes: [[Axis]], batch: Int) {
    self.batch = batch
    input = FeatureMap(node: NetworkTracer.inputName, shape: shape, axes: axes)
    shapes = [NetworkTracer.inputName: shape]
  }

  // MARK: Nodes

  func operation(of name: String) -> Operation? { places[name].map { nodes[$0].operation } }

  /// The channels that a node gives.
  func channels(of name: String) -> Int { shapes[name]?.c ?? 0 }

  /// What the node's single operand was when it was made.
  func source(of name: String) -> FeatureMap? { sources[name] }

  private mutating func unique(_ wanted: String) -> String {
    let plain = wanted.isEmpty ? "node" : wanted
    guard shapes[plain] != nil else { return plain }
    var number = repetitions[plain] ?? 2
    while shapes["\(plain)_\(number)"] != nil { number += 1 }
    repetitions[plain] = number + 1
    return "\(plain)_\(number)"
  }

  /// A shape of which no product overflows.
  @discardableResult
  static func bounded(_ shape: Shape) throws(TraceFault) -> Shape {
    guard (1...(1 << 28)).contains(shape.c), (1...(1 << 17)).contains(shape.h), (1...(1 << 17)).contains(shape.w),
      shape.countPerImage <= 1 << 31
    else { throw TraceFault("a value of \(shape.c)×\(shape.h)×\(shape.w) is empty or too large") }
    return shape
  }

  /// Puts a node into the graph; gives its name, made unique.
  mutating func emit(
    _ wanted: String, _ operation: Operation, _ inputs: [FeatureMap], suffix: String = ""
  ) throws(TraceFault) -> (name: String, shape: Shape) {
    guard nodes.count < NetworkTracer.maximumNodes else { throw TraceFault("the network is too large") }
    let name = unique(wanted + suffix)
    let shape = try NetworkTracer.bounded(shape(of: operation, inputs.map(\.shape)))
    places[name] = nodes.count
    shapes[name] = shape
    nodes.append(Graph.Node(name: name, operation: operation, inputs: inputs.map(\.node)))
    if inputs.count == 1 { sources[name] = inputs[0] }
    return (name, shape)
  }

  /// Emits an operation on one plain value and keeps the owner's view of its axes.
  mutating func apply(_ wanted: String, _ operation: Operation, _ x: FeatureMap) throws(TraceFault) -> FeatureMap {
    let (name, shape) = try emit(wanted, operation, [x])
    return FeatureMap(node: name, shape: shape, axes: x.axes)
  }

  private func shape(of operation: Operation, _ inputs: [Shape]) throws(TraceFault) -> Shape {
    switch operation {
    case .add: return inputs[0]
    case .multiply: return inputs[0]
    case .concatenate:
      return Shape(c: inputs.reduce(0) { $0 + $1.c }, h: inputs[0].h, w: inputs[0].w)
    default:
      let graph = Graph(
        inputName: "x", inputShape: inputs[0], nodes: [Graph.Node(name: "y", operation: operation, inputs: ["x"])],
        outputName: "y")
      do throws(EngineError) {
        guard let shape = try graph.shapes()["y"] else { throw EngineError.graph(node: "", reason: "has no shape") }
        return shape
      } catch {
        if case .graph(_, let reason) = error { throw TraceFault(reason) }
        throw TraceFault("\(error)")
      }
    }
  }

  /// Keeps a tensor of which any rows can be made.
  mutating func store(_ name: String, _ extents: [Int], _ rows: @escaping @Sendable (Range<Int>) -> [Float]) {
    tensors.entries[name] = TracedTensors.Entry(extents: extents, floatsAtOnce: nil, rows: rows)
  }

  /// Keeps a constant of the file, in the shape that the graph wants, times a factor.
  mutating func store(_ name: String, _ extents: [Int], _ tensor: ConstantTensor, times factor: Float = 1) {
    let tensor = tensor.reshaped(extents)
    tensors.entries[name] = TracedTensors.Entry(extents: extents, floatsAtOnce: tensor.floatsAtOnce) { rows in
      var floats = tensor.floats(rows: rows)
      if factor != 1 { for index in floats.indices { floats[index] *= factor } }
      return floats
    }
  }

  /// Keeps a number a channel.
  mutating func store(_ name: String, _ numbers: [Float]) { store(name, [numbers.count]) { Array(numbers[$0]) } }

  // MARK: Axes

  /// Orders of axes that mean the same, axes of one element left out.
  func plainAxes(_ x: FeatureMap) -> [[Axis]] { x.axes.map { $0.filter { x.extent($0, batch: batch) > 1 } } }

  /// The value seen as N, C, H, W.
  mutating func picture(_ x: FeatureMap) throws(TraceFault) -> FeatureMap {
    let axes = plainAxes(x)
    func fits(_ place: Int, _ axis: Axis) -> Bool { axes[place].isEmpty || axes[place] == [axis] }
    if axes.count == 4, fits(0, .n), fits(1, .c), fits(2, .h), fits(3, .w) { return x }
    if axes.count == 4, fits(0, .n), axes[2].isEmpty, axes[3].isEmpty {
      var y = try vector(x, at: 1)
      y.axes = [[.n], [.c], [.h], [.w]]
      return y
    }
    throw TraceFault("its input is not ordered N, C, H, W")
  }

  /// The value with one axis, made of C, H and W, turned into channels alone.
  mutating func vector(_ x: FeatureMap, at place: Int) throws(TraceFault) -> FeatureMap {
    let axes = plainAxes(x)
    guard axes.indices.contains(place) else { throw TraceFault("its input lacks an axis") }
    if axes[place].isEmpty || axes[place] == [.c] { return x }
    guard axes[place] == plain([.c, .h, .w], x) else { throw TraceFault("its features are not ordered C, H, W") }
    let plainX = try settled(x)
    let (name, shape) = try emit("flatten", .flatten, [plainX])
    var y = FeatureMap(node: name, shape: shape, axes: x.axes)
    y.axes[place] = [.c]
    return y
  }

  private func plain(_ axes: [Axis], _ x: FeatureMap) -> [Axis] {
    axes.filter { x.extent($0, batch: batch) > 1 }
  }

  func transposed(_ x: FeatureMap, _ order: [Int]) throws(TraceFault) -> FeatureMap {
    guard order.sorted() == Array(x.axes.indices) else { throw TraceFault("reorders axes that are not there") }
    var y = x
    y.axes = order.map { x.axes[$0] }
    return y
  }

  /// The value seen in another shape of as many numbers; axes may be joined and parted, not cut.
  func reshaped(_ x: FeatureMap, to extents: [Int]) throws(TraceFault) -> FeatureMap {
    var rest = plainAxes(x).joined().makeIterator()
    var axes: [[Axis]] = []
    let fault = TraceFault("turns the shape \(x.extents(batch: batch)) into \(extents), which cuts an axis in two")
    for extent in extents {
      var group: [Axis] = []
      var count = 1
      while count < extent {
        guard let axis = rest.next() else { throw fault }
        group.append(axis)
        count *= x.extent(axis, batch: batch)
      }
      guard count == extent else { throw fault }
      axes.append(group)
    }
    guard rest.next() == nil else { throw fault }
    var y = x
    y.axes = axes
    return y
  }

  // MARK: What waits

  /// The value with everything that waited put into the graph; `keepingPadding` leaves the zeros around it waiting.
  mutating func settled(_ x: FeatureMap, keepingPadding: Bool = false) throws(TraceFault) -> FeatureMap {
    if x.isPlain { return x }
    let inner = Shape(
      c: x.shape.c, h: x.shape.h - x.padding.top - x.padding.bottom, w: x.shape.w - x.padding.left - x.padding.right)
    var y = FeatureMap(node: x.node, shape: inner, axes: x.axes)
    if let selection = x.selection {
      y.shape.c = shapes[x.node]?.c ?? selection.count
      y = try selecting(y, selection, x.affine)
    } else if let affine = x.affine {
      y = try scaling(y, affine)
    }
    if keepingPadding {
      y.padding = x.padding
      y.shape = x.shape
      return y
    }
    return x.padding.isEmpty ? y : try bordering(y, x.padding)
  }

  private mutating func scaling(
    _ x: FeatureMap, _ affine: (scale: [Float], shift: [Float])
  ) throws(TraceFault) -> FeatureMap {
    let (name, _) = try emit("\(x.node).affine", .batchNorm(epsilon: 0), [x])
    let count = affine.scale.count
    store("\(name).weight", affine.scale)
    store("\(name).bias", affine.shift)
    store("\(name).running_mean", [count]) { [Float](repeating: 0, count: $0.count) }
    store("\(name).running_var", [count]) { [Float](repeating: 1, count: $0.count) }
    return FeatureMap(node: name, shape: x.shape, axes: x.axes)
  }

  private mutating func selecting(
    _ x: FeatureMap, _ selection: [Int], _ affine: (scale: [Float], shift: [Float])?
  ) throws(TraceFault) -> FeatureMap {
    let channels = x.shape.c
    let convolution = Convolution(
      inChannels: channels, outChannels: selection.count, kernel: Extent2D(1), bias: affine != nil)
    let (name, shape) = try emit(x.node, .convolution(convolution), [x], suffix: Graph.selectionSuffix)
    store("\(name).weight", [selection.count, channels, 1, 1]) { rows in
      var weights = [Float](repeating: 0, count: rows.count * channels)
      for (index, place) in rows.enumerated() {
        weights[index * channels + selection[place]] = affine?.scale[place] ?? 1
      }
      return weights
    }
    if let shift = affine?.shift { store("\(name).bias", shift) }
    return FeatureMap(node: name, shape: shape, axes: x.axes)
  }

  private mutating func bordering(_ x: FeatureMap, _ edges: Edges) throws(TraceFault) -> FeatureMap {
    let channels = x.shape.c
    let convolution = Convolution(
      inChannels: channels, outChannels: channels, kernel: Extent2D(1),
      padding: .explicit(top: edges.top, left: edges.left, bottom: edges.bottom, right: edges.right),
      groups: channels, bias: false)
    let (name, shape) = try emit(x.node, .convolution(convolution), [x], suffix: Graph.selectionSuffix)
    store("\(name).weight", [channels, 1, 1, 1]) { [Float](repeating: 1, count: $0.count) }
    return FeatureMap(node: name, shape: shape, axes: x.axes)
  }
}
