internal import Engine

/// EfficientNet-B0 to B7 (Tan and Le, 2019) as torchvision builds and names them.
extension Architecture {
  /// How a member of the family is scaled, and the sides that its pictures are resized and cropped to.
  private struct Scaling {
    let width: Double
    let depth: Double
    let resize: Int
    let crop: Int
    let dropout: Float
    let epsilon: Float
  }

  private static let scalings = [
    Scaling(width: 1.0, depth: 1.0, resize: 256, crop: 224, dropout: 0.2, epsilon: 1e-5),
    Scaling(width: 1.0, depth: 1.1, resize: 256, crop: 240, dropout: 0.2, epsilon: 1e-5),
    Scaling(width: 1.1, depth: 1.2, resize: 288, crop: 288, dropout: 0.3, epsilon: 1e-5),
    Scaling(width: 1.2, depth: 1.4, resize: 320, crop: 300, dropout: 0.3, epsilon: 1e-5),
    Scaling(width: 1.4, depth: 1.8, resize: 384, crop: 380, dropout: 0.4, epsilon: 1e-5),
    Scaling(width: 1.6, depth: 2.2, resize: 456, crop: 456, dropout: 0.4, epsilon: 1e-3),
    Scaling(width: 1.8, depth: 2.6, resize: 528, crop: 528, dropout: 0.5, epsilon: 1e-3),
    Scaling(width: 2.0, depth: 3.1, resize: 600, crop: 600, dropout: 0.5, epsilon: 1e-3),
  ]

  static let efficientNets = scalings.enumerated().map { number, scaling in
    Architecture(
      name: "efficientnet_b\(number)",
      summary: "EfficientNet-B\(number) of torchvision, \(scaling.crop)×\(scaling.crop)",
      inputShape: Shape(c: 3, h: scaling.crop, w: scaling.crop), classifierWeight: "classifier.1.weight",
      initialization: Initialization(
        convolution: .kaimingNormalFanOut, linear: .uniformFanOut, zeroConvolutionBias: true, zeroLinearBias: true),
      preprocessing: Preprocessings.torchvision(resize: scaling.resize, crop: scaling.crop, filter: "bicubic")
    ) { classes, input in
      efficientNetGraph(scaling, classes: classes, input: input)
    }
  }

  private static func efficientNetGraph(_ scaling: Scaling, classes: Int, input: Shape) -> Graph {
    let stages: [(expansion: Int, kernel: Int, stride: Int, channels: Int, repeats: Int)] = [
      (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
      (6, 3, 1, 320, 1),
    ]
    let epsilon = scaling.epsilon
    var builder = GraphBuilder(inputShape: input)
    var channels = GraphBuilder.scaled(32, by: scaling.width)
    var last = builder.normedConvolution(
      "features.0.", GraphBuilder.inputName, from: input.c, to: channels, kernel: 3, stride: 2, epsilon: epsilon,
      activation: .silu)
    for (index, stage) in stages.enumerated() {
      let outChannels = GraphBuilder.scaled(stage.channels, by: scaling.width)
      for repetition in 0..<Int((Double(stage.repeats) * scaling.depth).rounded(.up)) {
        let path = "features.\(index + 1).\(repetition)."
        let stride = repetition == 0 ? stage.stride : 1
        let entry = last
        let inner = channels * stage.expansion
        var part = 0
        func next() -> String {
          defer { part += 1 }
          return "\(path)block.\(part)."
        }
        if inner != channels {
          last = builder.normedConvolution(
            next(), last, from: channels, to: inner, kernel: 1, epsilon: epsilon, activation: .silu)
        }
        last = builder.normedConvolution(
          next(), last, from: inner, to: inner, kernel: stage.kernel, stride: stride, groups: inner, epsilon: epsilon,
          activation: .silu)
        last = builder.squeezeExcitation(
          next(), last, channels: inner, squeezed: max(1, channels / 4), activation: .silu, gate: .sigmoid)
        last = builder.normedConvolution(
          next(), last, from: inner, to: outChannels, kernel: 1, epsilon: epsilon, activation: nil)
        if stride == 1, channels == outChannels { last = builder.add(path + "add", .add, last, entry) }
        channels = outChannels
      }
    }
    let wide = channels * 4
    last = builder.normedConvolution(
      "features.\(stages.count + 1).", last, from: channels, to: wide, kernel: 1, epsilon: epsilon,
      activation: .silu)
    last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.add("classifier.0", .dropout(probability: scaling.dropout), last)
    last = builder.linear("classifier.1", last, from: wide, to: classes)
    return builder.graph(output: last)
  }
}
