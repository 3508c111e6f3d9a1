/// A tiny input and what the network must answer to it: proof that a loaded plan computes what its maker saw.
///
/// The input is a 16 × 16 mosaic of pseudo-random values a channel, told by a seed and spread over the network's
/// input by nearest neighbour, so that a dozen bytes describe it for any size. The answers are raw outputs (logits),
/// the largest first.
package struct Canary: Equatable, Sendable {
  package struct Answer: Equatable, Sendable {
    package let index: Int
    package let value: Float

    package init(index: Int, value: Float) {
      self.index = index
      self.value = value
    }
  }

  package let seed: UInt32
  /// How far an answer may be off, as a fraction of the largest answer's magnitude.
  package let tolerance: Float
  package let answers: [Answer]

  package init(seed: UInt32, tolerance: Float = 0.02, answers: [Answer]) {
    self.seed = seed
    self.tolerance = tolerance
    self.answers = answers
  }

  /// Takes the `count` largest of a network's outputs as the expected answers.
  package init(seed: UInt32, outputs: [Float], count: Int = 5) {
    let order = outputs.indices.sorted { (outputs[$0], $1) > (outputs[$1], $0) }
    self.init(seed: seed, answers: order.prefix(count).map { Answer(index: $0, value: outputs[$0]) })
  }

  /// The input, C×H×W numbers in that order, from −1 to 1.
  ///
  /// Value (c, y, x) is made from the mosaic's cell `(c·16 + ⌊16y/H⌋)·16 + ⌊16x/W⌋` by mixing it with the seed
  /// (the finalizer of MurmurHash3, 32 bits) and taking its upper 24 bits.
  package static func input(seed: UInt32, shape: Shape) -> [Float] {
    var numbers: [Float] = []
    numbers.reserveCapacity(shape.countPerImage)
    for c in 0..<shape.c {
      for y in 0..<shape.h {
        for x in 0..<shape.w {
          let cell = UInt32(truncatingIfNeeded: (c * 16 + 16 * y / shape.h) * 16 + 16 * x / shape.w)
          var bits = cell &* 0x9E37_79B9 ^ seed
          bits = (bits ^ bits >> 16) &* 0x85EB_CA6B
          bits = (bits ^ bits >> 13) &* 0xC2B2_AE35
          bits ^= bits >> 16
          numbers.append(Float(bits >> 8) / 8_388_608 - 1)
        }
      }
    }
    return numbers
  }

  /// Nil if the outputs are the expected ones, else a sentence on the first that is not.
  ///
  /// `rounding`: how far off the network's own rounding may be, where that is more than the canary's tolerance.
  package func discrepancy(in outputs: [Float], rounding: Float = 0) -> String? {
    let allowed = max(tolerance, rounding) * (answers.map { $0.value.magnitude }.max() ?? 0) + 1e-6
    for answer in answers {
      guard outputs.indices.contains(answer.index) else {
        return "the canary expects an output \(answer.index), the network has \(outputs.count)"
      }
      let difference = (outputs[answer.index] - answer.value).magnitude
      guard difference <= allowed else {
        return "the canary's output \(answer.index) is \(outputs[answer.index]), expected \(answer.value) ± \(allowed)"
      }
    }
    return nil
  }
}

extension Canary {
  package var json: JSON {
    .object([
      "input": .string("mosaic"), "seed": .integer(Int(seed)), "tolerance": .float(tolerance),
      "top": .array(answers.map { .object(["index": .integer($0.index), "value": .float($0.value)]) }),
    ])
  }

  package init(json: JSON) throws(JSON.Fault) {
    var fields = try json.fields("the canary")
    let input = try fields.take("input")
    guard try input.string("the canary's input") == "mosaic" else {
      throw JSON.Fault(offset: input.offset, reason: "the canary's input must be \"mosaic\"")
    }
    let seed = try fields.take("seed").integer("the canary's seed", in: 0...Int(UInt32.max))
    let tolerance = try fields.take("tolerance").float("the canary's tolerance")
    let top = try fields.take("top")
    try fields.finish()
    var answers: [Answer] = []
    for element in try top.elements("the canary's top") {
      var answer = try element.fields("an answer of the canary")
      answers.append(
        Answer(
          index: try answer.take("index").integer("an index", in: 0...(1 << 20)),
          value: try answer.take("value").float("a value")))
      try answer.finish()
    }
    self.init(seed: UInt32(seed), tolerance: tolerance, answers: answers)
  }
}
