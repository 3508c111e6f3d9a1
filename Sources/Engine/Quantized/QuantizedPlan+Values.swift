extension QuantizedPlan {
  /// Answers one image and tells what every step computed on the way, in real numbers.
  ///
  /// Of values that are computed in one go with their successor only the last is told.
  ///
  /// - Parameter image: H×W×C floats, channels last.
  /// - Returns: by node name, each in C, H, W order.
  package func everyValue(image: [Float]) -> [String: [Float]] {
    precondition(image.count == network.inputShape.count, "an image of the network's input shape")
    var values: [String: [Float]] = [:]
    image.withUnsafeBufferPointer { image in
      guard let base = image.baseAddress else { return }
      withUnsafePointer(to: base) { images in
        for step in network.steps {
          perform(step, UnsafeBufferPointer(start: images, count: 1))
          values[step.name] = numbers(of: step.output)
        }
      }
    }
    return values
  }

  private func numbers(of number: Int) -> [Float] {
    let value = network.values[number]
    let area = value.shape.h * value.shape.w
    return [Float](unsafeUninitializedCapacity: value.shape.countPerImage) { out, count in
      for c in 0..<value.shape.c {
        for p in 0..<area {
          let real =
            value.scales == nil
            ? floats(number, 0)[p * value.shape.c + c] : self.number(of: number, 0, pixel: p, channel: c)
          out.initializeElement(at: c * area + p, to: real)
        }
      }
      count = value.shape.countPerImage
    }
  }
}
