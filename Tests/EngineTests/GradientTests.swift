import Engine
import Synchronization
import TestSupport
import Testing

/// SplitMix64 over a counter, from −1 to 1, as `Tests/Vectors/gradients.py` draws.
func counted(_ seed: UInt64, _ count: Int) -> [Float] {
  (0..<count).map { index in
    var z = seed &+ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Float((z ^ (z >> 31)) >> 40) / 8_388_608 - 1
  }
}

/// What PyTorch answered in training mode, and its gradients.
struct GradientVector: CustomTestStringConvertible, Sendable {
  let name: String
  let graph: Graph
  let tensors: Tensors
  /// Pictures in C, H, W order.
  let inputs: [[Float]]
  let answers: [Float]?
  let inputGradient: [Float]
  let gradients: [String: [Float]]
  let statistics: [String: [Float]]
  /// Only every so many numbers of a gradient were written down.
  let stride: Int

  struct Tensors: TensorSource {
    var tensors: [String: (extents: [Int], values: [Float])]
    func extents(ofTensor name: String) -> [Int]? { tensors[name]?.extents }
    func floats(ofTensor name: String) throws(EngineError) -> [Float] {
      guard let tensor = tensors[name] else { throw .tensor(name: name, reason: "it is missing") }
      return tensor.values
    }
  }

  var testDescription: String { name }

  static let all: [GradientVector] = {
    let path = "\(#filePath.dropLast("GradientTests.swift".count))Fixtures/gradients.json"
    do {
      return try JSON(parsing: Files.text(path)).elements("the file").map { try GradientVector(json: $0) }
    } catch {
      preconditionFailure("\(path): \(error)")
    }
  }()

  private init(json: JSON) throws {
    var fields = try json.fields("a vector")
    let name = try fields.take("name").string("name")
    self.name = name
    func numbers(_ json: JSON) throws -> [Float] { try json.elements("numbers").map { try $0.float("a number") } }
    func named(_ json: JSON) throws -> [String: [Float]] {
      guard case .object(let members) = json.value else { return [:] }
      return Dictionary(uniqueKeysWithValues: try members.map { ($0.name, try numbers($0.value)) })
    }
    gradients = try named(fields.take("gradients"))
    statistics = try named(fields.take("statistics"))
    inputGradient = try numbers(fields.take("input"))
    if let old = Vector.all.first(where: { $0.name == name }) {
      graph = old.graph
      tensors = Tensors(tensors: old.tensors)
      inputs = old.inputs
      answers = try numbers(fields.take("answers"))
      stride = 1
    } else {
      let graph = try Graph(json: fields.take("graph").text)
      self.graph = graph
      var drawn: [String: (extents: [Int], values: [Float])] = [:]
      for (name, extents) in try graph.requiredTensors() {
        drawn[name] = (extents, counted(name.hasSuffix("weight") ? 1 : 2, extents.reduce(1, *)))
      }
      tensors = Tensors(tensors: drawn)
      let count = graph.inputShape.countPerImage
      let all = counted(3, 3 * count)
      inputs = (0..<3).map { Array(all[($0 * count)..<(($0 + 1) * count)]) }
      answers = nil
      stride = 7
    }
  }
}

/// Two lanes on threads of their own, made for one call.
final class TwoLanes: TrainingLanes {
  let count = 2
  private let arrived = Mutex((count: 0, turn: 0))

  func run(_ work: @Sendable (_ lane: Int) -> Void) {
    withoutActuallyEscaping(work) { work in
      let other = TestThread { work(1) }
      work(0)
      other.join()
    }
  }

  func meet() {
    let turn = arrived.withLock { arrived in
      let turn = arrived.turn
      arrived.count += 1
      if arrived.count == 2 { arrived = (0, turn + 1) }
      return turn
    }
    while arrived.withLock({ $0.turn }) == turn { yieldThread() }
  }
}

struct GradientTests {
  /// Images in channels-last order.
  private static func picture(_ planar: [Float], _ shape: Shape) -> [Float] {
    let area = shape.h * shape.w
    var result = planar
    for c in 0..<shape.c {
      for p in 0..<area { result[p * shape.c + c] = planar[c * area + p] }
    }
    return result
  }

  private static func planar(_ picture: [Float], _ shape: Shape) -> [Float] {
    let area = shape.h * shape.w
    var result = picture
    for c in 0..<shape.c {
      for p in 0..<area { result[c * area + p] = picture[p * shape.c + c] }
    }
    return result
  }

  /// The weight of a number of the answers, all images' in C, H, W order, in the loss.
  private static func lossWeight(_ index: Int) -> Float { Float((index * 37) % 19 - 9) / 8 }

  private struct Pass {
    let plan: TrainingPlan
    let weights: TrainedWeights
    let shape: Shape
    let count: Int

    init(_ vector: GradientVector, lanes: any TrainingLanes) throws {
      weights = try TrainedWeights(graph: vector.graph, from: vector.tensors)
      var options = TrainingOptions()
      options.wantsInputGradient = true
      options.drops = false
      count = vector.inputs.count
      plan = try TrainingPlan(weights: weights, batchCapacity: count + 1, lanes: lanes, options: options)
      shape = try vector.graph.shapes()[vector.graph.outputName] ?? Shape(c: 1)
      for (n, input) in vector.inputs.enumerated() {
        let picture = GradientTests.picture(input, vector.graph.inputShape)
        for (i, value) in picture.enumerated() { plan.input[n * picture.count + i] = value }
      }
    }

    /// The answers in C, H, W order.
    func forward() -> [Float] {
      plan.forward(count: count, isTraining: true)
      let per = plan.outputCount
      return (0..<count).flatMap { n in
        GradientTests.planar(Array(UnsafeBufferPointer(start: plan.output + n * per, count: per)), shape)
      }
    }

    func backward() {
      weights.clearGradients()
      let per = plan.outputCount
      for n in 0..<count {
        let row = GradientTests.picture((0..<per).map { GradientTests.lossWeight(n * per + $0) }, shape)
        for (i, value) in row.enumerated() { plan.outputGradient[n * per + i] = value }
      }
      plan.backward()
    }
  }

  private func expectEqual(_ found: [Float], _ expected: [Float], _ what: String, step: Int = 1) {
    let sparse = step == 1 ? found : stride(from: 0, to: found.count, by: step).map { found[$0] }
    #expect(sparse.count == expected.count, "\(what)")
    let size = expected.map(\.magnitude).max() ?? 0
    for (index, (a, b)) in zip(sparse, expected).enumerated() {
      guard (a - b).magnitude <= 2e-5 * size + 2e-4 * b.magnitude + 1e-5 else {
        Issue.record("\(what): number \(index) is \(a), expected \(b)")
        return
      }
    }
  }

  @Test(arguments: GradientVector.all)
  func gradientsArePyTorchs(vector: GradientVector) throws {
    let pass = try Pass(vector, lanes: SingleLane())
    let answers = pass.forward()
    if let expected = vector.answers { expectEqual(answers, expected, "answers") }
    pass.backward()
    for (name, expected) in vector.gradients {
      expectEqual(pass.weights.gradient(ofTensor: name) ?? [], expected, name, step: vector.stride)
    }
    for (name, expected) in vector.statistics { expectEqual(try pass.weights.floats(ofTensor: name), expected, name) }
    let shape = vector.graph.inputShape
    let input = vector.inputs.indices.flatMap { Self.planar(pass.plan.inputGradient(ofImage: $0), shape) }
    expectEqual(input, vector.inputGradient, "the input's gradient", step: vector.stride)
  }

  /// Shared out between two threads the numbers stay, but for rounding; done again they stay to the bit.
  @Test(arguments: GradientVector.all)
  func lanesAgree(vector: GradientVector) throws {
    let single = try Pass(vector, lanes: SingleLane())
    _ = single.forward()
    single.backward()
    var earlier: [String: [Float]] = [:]
    for round in 0..<2 {
      let pair = try Pass(vector, lanes: TwoLanes())
      _ = pair.forward()
      pair.backward()
      for parameter in pair.weights.parameters {
        let found = pair.weights.gradient(ofTensor: parameter.name) ?? []
        expectEqual(found, single.weights.gradient(ofTensor: parameter.name) ?? [], parameter.name)
        if round == 1 { #expect(found == earlier[parameter.name]) }
        earlier[parameter.name] = found
      }
    }
  }

  /// The loss moves along a random direction of the weights as the gradient says (central differences).
  @Test(arguments: GradientVector.all.filter { !$0.gradients.isEmpty })
  func gradientsAreSlopes(vector: GradientVector) throws {
    let pass = try Pass(vector, lanes: SingleLane())
    _ = pass.forward()
    pass.backward()
    let direction = counted(9, pass.weights.count)
    let start = Array(UnsafeBufferPointer(start: pass.weights.values, count: pass.weights.count))
    var slope = 0.0
    for (i, d) in direction.enumerated() { slope += Double(d) * Double(pass.weights.gradients[i]) }
    func loss(at distance: Float) -> Double {
      for i in direction.indices { pass.weights.values[i] = start[i] + distance * direction[i] }
      return pass.forward().enumerated().reduce(0) { $0 + Double(Self.lossWeight($1.0)) * Double($1.1) }
    }
    let distance: Float = 1 / 512
    let found = (loss(at: distance) - loss(at: -distance)) / Double(2 * distance)
    #expect((found - slope).magnitude <= 0.02 * slope.magnitude + 0.05, "\(found), the gradient says \(slope)")
  }
}
