/// Runs a graph node by node as `Operation` defines it: nothing fused, folded, repacked or tiled.
///
/// It is the oracle of the tests and of whoever doubts a plan. Memory is in N, C, H, W order; slowness is no concern.
package struct ReferenceInterpreter {
  private let graph: Graph
  private let shapes: [String: Shape]
  private let tensors: [String: [Float]]

  /// - Throws: `EngineError.graph` or `.tensor` when graph and weights contradict each other.
  package init(graph: Graph, weights: some TensorSource) throws(EngineError) {
    self.graph = graph
    shapes = try graph.shapes()
    var tensors: [String: [Float]] = [:]
    for (name, extents) in try graph.requiredTensors() {
      guard weights.extents(ofTensor: name) == extents else {
        throw .tensor(name: name, reason: "it is missing or has other extents than \(extents)")
      }
      tensors[name] = try weights.floats(ofTensor: name)
    }
    self.tensors = tensors
  }

  /// Answers one image.
  ///
  /// - Parameter input: C×H×W floats.
  /// - Returns: the output's numbers in C, H, W order.
  package func run(input: [Float]) -> [Float] { everyValue(input: input)[graph.outputName] ?? [] }

  /// Answers one image and tells what every node computed on the way, by name, each in C, H, W order.
  package func everyValue(input: [Float]) -> [String: [Float]] {
    precondition(input.count == graph.inputShape.count, "an image of the graph's input shape")
    var values = [graph.inputName: Planar(shape: graph.inputShape, values: input)]
    for node in graph.nodes {
      values[node.name] = answer(node, node.inputs.compactMap { values[$0] })
    }
    return values.mapValues(\.values)
  }

  func answer(_ node: Graph.Node, _ inputs: [Planar]) -> Planar {
    let x = inputs[0]
    let y = shapes[node.name] ?? x.shape
    func tensor(_ part: String) -> [Float] { tensors["\(node.name).\(part)"] ?? [] }
    switch node.operation {
    case .convolution(let c):
      return Reference.convolution(x, y, c, weight: tensor("weight"), bias: tensor("bias"))
    case .linear(let l): return Reference.linear(x, y, l, weight: tensor("weight"), bias: tensor("bias"))
    case .batchNorm(let epsilon):
      return Reference.batchNorm(
        x, epsilon, weight: tensor("weight"), bias: tensor("bias"), mean: tensor("running_mean"),
        variance: tensor("running_var"))
    case .activation(let activation):
      return Planar(shape: y, values: x.values.map { Reference.activate($0, activation) })
    case .maxPool(let p): return Reference.maxPool(x, y, p)
    case .averagePool(let p): return Reference.averagePool(x, y, p)
    case .globalAveragePool, .adaptiveAveragePool: return Reference.adaptiveAveragePool(x, y)
    case .add: return Planar(shape: y) { c, h, w in x[c, h, w] + inputs[1][c, h, w] }
    case .multiply:
      let factor = inputs[1]
      return Planar(shape: y) { c, h, w in x[c, h, w] * (factor.shape == y ? factor[c, h, w] : factor[c, 0, 0]) }
    case .concatenate: return Planar(shape: y, values: inputs.flatMap(\.values))
    case .flatten, .dropout: return Planar(shape: y, values: x.values)
    case .softmax: return Reference.softmax(x)
    case .localResponseNorm(let size, let alpha, let beta, let k):
      return Reference.localResponseNorm(x, size, alpha, beta, k)
    }
  }
}

/// One image's tensor in C, H, W order.
struct Planar {
  let shape: Shape
  let values: [Float]

  init(shape: Shape, values: [Float]) {
    precondition(values.count == shape.countPerImage, "as many numbers as the shape has")
    self.shape = shape
    self.values = values
  }

  /// Computes each number from where it stands.
  init(shape: Shape, _ number: (_ c: Int, _ h: Int, _ w: Int) -> Float) {
    var values: [Float] = []
    values.reserveCapacity(shape.countPerImage)
    for c in 0..<shape.c {
      for h in 0..<shape.h {
        for w in 0..<shape.w { values.append(number(c, h, w)) }
      }
    }
    self.init(shape: shape, values: values)
  }

  subscript(c: Int, h: Int, w: Int) -> Float { values[(c * shape.h + h) * shape.w + w] }

  /// Whether a row and column lie in the picture.
  func holds(_ h: Int, _ w: Int) -> Bool { h >= 0 && h < shape.h && w >= 0 && w < shape.w }
}

/// The definitions, family by family; sums are taken in double precision.
enum Reference {}
