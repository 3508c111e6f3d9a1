extension InferencePlan {
  /// Runs the canary: nil if this network on this machine answers what its maker saw, else a sentence on what differs.
  package func discrepancy(to canary: Canary) -> String? { canary.discrepancy(in: answers(toSeed: canary.seed)) }

  /// The network's raw answers to a canary's input.
  package func answers(toSeed seed: UInt32) -> [Float] {
    let shape = network.inputShape
    let planar = Canary.input(seed: seed, shape: shape)
    var picture = [Float](repeating: 0, count: planar.count)
    let area = shape.h * shape.w
    for c in 0..<shape.c {
      for p in 0..<area { picture[p * shape.c + c] = planar[c * area + p] }
    }
    var answers = [Float](repeating: 0, count: network.outputCount)
    picture.withUnsafeBufferPointer { picture in
      guard let base = picture.baseAddress else { return }
      answers.withUnsafeMutableBufferPointer { output in
        withUnsafePointer(to: base) { images in
          run(images: UnsafeBufferPointer(start: images, count: 1), output: output)
        }
      }
    }
    return answers
  }
}
