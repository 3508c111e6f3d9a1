import Engine
import TestSupport
import Testing

/// Random weights for all that a graph needs; activations keep about their size from layer to layer.
struct SeededTensors: TensorSource {
  private var tensors: [String: (extents: [Int], values: [Float])] = [:]

  init(graph: Graph, seed: UInt64) throws(EngineError) {
    var generator = Seeded(seed: seed)
    for (name, extents) in try graph.requiredTensors() {
      let count = extents.reduce(1, *)
      let spread = extents.count > 1 ? (3 / Float(count / extents[0])).squareRoot() : 1
      let range = name.hasSuffix("running_var") ? 0.5...2 : -spread...spread
      tensors[name] = (extents, generator.floats(count, in: range))
    }
  }

  func extents(ofTensor name: String) -> [Int]? { tensors[name]?.extents }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let tensor = tensors[name] else { throw .tensor(name: name, reason: "it is missing") }
    return tensor.values
  }
}

/// What a plan answers to images given in C, H, W order, with weights of seed 1.
func planned(
  _ graph: Graph, _ images: [[Float]], _ options: EngineOptions = EngineOptions()
) throws(EngineError) -> [[Float]] {
  let network = try CompiledNetwork(graph: graph, weights: SeededTensors(graph: graph, seed: 1), options: options)
  let plan = try InferencePlan(network: network, batchCapacity: images.count)
  return answers(of: plan, images)
}

/// One run of a plan over images given in C, H, W order.
func answers(of plan: InferencePlan, _ images: [[Float]]) -> [[Float]] {
  let shape = plan.network.inputShape
  let area = shape.h * shape.w
  let pictures = UnsafeMutableBufferPointer<Float>.allocate(capacity: images.count * shape.countPerImage)
  let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: images.count * plan.network.outputCount)
  defer {
    pictures.deallocate()
    output.deallocate()
  }
  output.initialize(repeating: .nan)
  for (n, image) in images.enumerated() {
    for c in 0..<shape.c {
      for p in 0..<area { pictures[n * shape.countPerImage + p * shape.c + c] = image[c * area + p] }
    }
  }
  guard let base = pictures.baseAddress else { return [] }
  let starts = images.indices.map { UnsafePointer(base + $0 * shape.countPerImage) }
  starts.withUnsafeBufferPointer { plan.run(images: $0, output: output) }
  let count = plan.network.outputCount
  return images.indices.map { Array(output[($0 * count)..<(($0 + 1) * count)]) }
}

/// What the definition says, with weights of seed 1.
func reference(_ graph: Graph, _ image: [Float]) throws(EngineError) -> [Float] {
  try ReferenceInterpreter(graph: graph, weights: SeededTensors(graph: graph, seed: 1)).run(input: image)
}
