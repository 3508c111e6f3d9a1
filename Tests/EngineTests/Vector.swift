import Engine
import TestSupport
import Testing

/// A graph of `Fixtures/operations.json` with its weights, inputs and what PyTorch answered.
struct Vector: TensorSource, CustomTestStringConvertible, Sendable {
  let name: String
  let graph: Graph
  let tensors: [String: (extents: [Int], values: [Float])]
  /// Pictures in C, H, W order.
  let inputs: [[Float]]
  /// Answers in C, H, W order, one a picture.
  let outputs: [[Float]]

  var testDescription: String { name }

  static let all: [Vector] = {
    let path = "\(#filePath.dropLast("Vector.swift".count))Fixtures/operations.json"
    do {
      return try JSON(parsing: Files.text(path)).elements("the file").map { try Vector(json: $0) }
    } catch {
      preconditionFailure("\(path): \(error)")
    }
  }()

  private init(json: JSON) throws {
    var fields = try json.fields("a vector")
    name = try fields.take("name").string("name")
    graph = try Graph(json: fields.take("graph").text)
    var tensors: [String: (extents: [Int], values: [Float])] = [:]
    let list = try fields.take("tensors")
    if case .object(let members) = list.value {
      for member in members {
        var tensor = try member.value.fields("a tensor")
        let extents = try tensor.take("shape").elements("shape").map { try $0.integer("an extent", in: 1...4096) }
        tensors[member.name] = (extents, try Self.numbers(tensor.take("values"), scale: 64))
      }
    }
    self.tensors = tensors
    inputs = try fields.take("inputs").elements("inputs").map { try Self.numbers($0, scale: 64) }
    outputs = try fields.take("outputs").elements("outputs").map { try Self.numbers($0, scale: 1) }
  }

  private static func numbers(_ json: JSON, scale: Float) throws -> [Float] {
    try json.elements("numbers").map { try $0.float("a number") / scale }
  }

  func extents(ofTensor name: String) -> [Int]? { tensors[name]?.extents }

  func floats(ofTensor name: String) throws(EngineError) -> [Float] {
    guard let tensor = tensors[name] else { throw .tensor(name: name, reason: "it is missing") }
    return tensor.values
  }
}

extension InferencePlan {
  /// Answers to pictures in C, H, W order, one row a picture.
  func answers(to pictures: [[Float]]) -> [[Float]] {
    let shape = network.inputShape
    let area = shape.h * shape.w
    let slots = UnsafeMutableBufferPointer<Float>.allocate(capacity: pictures.count * shape.countPerImage)
    defer { slots.deallocate() }
    var images: [UnsafePointer<Float>] = []
    for (number, picture) in pictures.enumerated() {
      let slot = UnsafeMutableBufferPointer(rebasing: slots[number * picture.count..<(number + 1) * picture.count])
      for c in 0..<shape.c {
        for p in 0..<area { slot[p * shape.c + c] = picture[c * area + p] }
      }
      if let base = slot.baseAddress { images.append(UnsafePointer(base)) }
    }
    var output = [Float](repeating: .nan, count: pictures.count * network.outputCount)
    images.withUnsafeBufferPointer { images in
      output.withUnsafeMutableBufferPointer { run(images: images, output: $0) }
    }
    return pictures.indices.map { Array(output[$0 * network.outputCount..<($0 + 1) * network.outputCount]) }
  }
}
