internal import Engine

/// MobileNetV3 (Howard et al., 2019), small and large, as torchvision builds and names them.
extension Architecture {
  private struct Block {
    let kernel: Int
    let inner: Int
    let channels: Int
    let isExcited: Bool
    let activation: Activation
    let stride: Int

    init(_ kernel: Int, _ inner: Int, _ channels: Int, _ isExcited: Bool, _ activation: Activation, _ stride: Int) {
      self.kernel = kernel
      self.inner = inner
      self.channels = channels
      self.isExcited = isExcited
      self.activation = activation
      self.stride = stride
    }
  }

  static let mobileNetV3Small = mobileNetV3(
    "small", last: 1024,
    blocks: [
      Block(3, 16, 16, true, .relu, 2), Block(3, 72, 24, false, .relu, 2), Block(3, 88, 24, false, .relu, 1),
      Block(5, 96, 40, true, .hardSwish, 2), Block(5, 240, 40, true, .hardSwish, 1),
      Block(5, 240, 40, true, .hardSwish, 1), Block(5, 120, 48, true, .hardSwish, 1),
      Block(5, 144, 48, true, .hardSwish, 1), Block(5, 288, 96, true, .hardSwish, 2),
      Block(5, 576, 96, true, .hardSwish, 1), Block(5, 576, 96, true, .hardSwish, 1),
    ])

  static let mobileNetV3Large = mobileNetV3(
    "large", last: 1280,
    blocks: [
      Block(3, 16, 16, false, .relu, 1), Block(3, 64, 24, false, .relu, 2), Block(3, 72, 24, false, .relu, 1),
      Block(5, 72, 40, true, .relu, 2), Block(5, 120, 40, true, .relu, 1), Block(5, 120, 40, true, .relu, 1),
      Block(3, 240, 80, false, .hardSwish, 2), Block(3, 200, 80, false, .hardSwish, 1),
      Block(3, 184, 80, false, .hardSwish, 1), Block(3, 184, 80, false, .hardSwish, 1),
      Block(3, 480, 112, true, .hardSwish, 1), Block(3, 672, 112, true, .hardSwish, 1),
      Block(5, 672, 160, true, .hardSwish, 2), Block(5, 960, 160, true, .hardSwish, 1),
      Block(5, 960, 160, true, .hardSwish, 1),
    ])

  private static func mobileNetV3(_ size: String, last width: Int, blocks: [Block]) -> Architecture {
    Architecture(
      name: "mobilenet_v3_\(size)", summary: "MobileNetV3 \(size) of torchvision, 224×224",
      inputShape: Shape(c: 3, h: 224, w: 224), classifierWeight: "classifier.3.weight",
      initialization: mobileInitialization, preprocessing: Preprocessings.torchvision()
    ) { classes, input in
      let epsilon: Float = 1e-3
      var builder = GraphBuilder(inputShape: input)
      var channels = 16
      var last = builder.normedConvolution(
        "features.0.", GraphBuilder.inputName, from: input.c, to: channels, kernel: 3, stride: 2, epsilon: epsilon,
        activation: .hardSwish)
      for (index, block) in blocks.enumerated() {
        let path = "features.\(index + 1)."
        let entry = last
        var part = 0
        func next() -> String {
          defer { part += 1 }
          return "\(path)block.\(part)."
        }
        if block.inner != channels {
          last = builder.normedConvolution(
            next(), last, from: channels, to: block.inner, kernel: 1, epsilon: epsilon, activation: block.activation)
        }
        last = builder.normedConvolution(
          next(), last, from: block.inner, to: block.inner, kernel: block.kernel, stride: block.stride,
          groups: block.inner, epsilon: epsilon, activation: block.activation)
        if block.isExcited {
          last = builder.squeezeExcitation(
            next(), last, channels: block.inner, squeezed: GraphBuilder.scaled(block.inner / 4, by: 1),
            activation: .relu, gate: .hardSigmoid)
        }
        last = builder.normedConvolution(
          next(), last, from: block.inner, to: block.channels, kernel: 1, epsilon: epsilon, activation: nil)
        if block.stride == 1, channels == block.channels { last = builder.add(path + "add", .add, last, entry) }
        channels = block.channels
      }
      let wide = channels * 6
      last = builder.normedConvolution(
        "features.\(blocks.count + 1).", last, from: channels, to: wide, kernel: 1, epsilon: epsilon,
        activation: .hardSwish)
      last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
      last = builder.add("flatten", .flatten, last)
      last = builder.linear("classifier.0", last, from: wide, to: width)
      last = builder.add("classifier.1", .activation(.hardSwish), last)
      last = builder.add("classifier.2", .dropout(probability: 0.2), last)
      last = builder.linear("classifier.3", last, from: width, to: classes)
      return builder.graph(output: last)
    }
  }
}
