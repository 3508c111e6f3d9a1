internal import Engine

/// MobileNetV2 (Sandler et al., 2018), width 1.0, as torchvision builds and names it.
extension Architecture {
  static let mobileNetV2 = Architecture(
    name: "mobilenet_v2", summary: "MobileNetV2 of torchvision, 224×224", inputShape: Shape(c: 3, h: 224, w: 224),
    classifierWeight: "classifier.1.weight", initialization: mobileInitialization,
    preprocessing: Preprocessings.torchvision()
  ) { classes, input in
    mobileNetV2Graph(classes: classes, input: input)
  }

  /// What MobileNetV2 and V3 share.
  static let mobileInitialization = Initialization(
    convolution: .kaimingNormalFanOut, linear: .normal(deviation: 0.01), zeroConvolutionBias: true,
    zeroLinearBias: true)

  private static func mobileNetV2Graph(classes: Int, input: Shape) -> Graph {
    let settings: [(expansion: Int, channels: Int, repeats: Int, stride: Int)] = [
      (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]
    var builder = GraphBuilder(inputShape: input)
    let epsilon: Float = 1e-5
    var last = builder.normedConvolution(
      "features.0.", GraphBuilder.inputName, from: input.c, to: 32, kernel: 3, stride: 2, epsilon: epsilon,
      activation: .relu6)
    var channels = 32
    var feature = 1
    for setting in settings {
      for repetition in 0..<setting.repeats {
        let path = "features.\(feature).conv."
        let stride = repetition == 0 ? setting.stride : 1
        let inner = channels * setting.expansion
        let entry = last
        var step = 0
        if setting.expansion != 1 {
          last = builder.normedConvolution(
            path + "0.", last, from: channels, to: inner, kernel: 1, epsilon: epsilon, activation: .relu6)
          step = 1
        }
        last = builder.normedConvolution(
          path + "\(step).", last, from: inner, to: inner, kernel: 3, stride: stride, groups: inner, epsilon: epsilon,
          activation: .relu6)
        last = builder.convolution(path + "\(step + 1)", last, from: inner, to: setting.channels, kernel: 1)
        last = builder.add(path + "\(step + 2)", .batchNorm(epsilon: epsilon), last)
        if stride == 1, channels == setting.channels {
          last = builder.add("features.\(feature).add", .add, last, entry)
        }
        channels = setting.channels
        feature += 1
      }
    }
    last = builder.normedConvolution(
      "features.\(feature).", last, from: channels, to: 1280, kernel: 1, epsilon: epsilon, activation: .relu6)
    last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.add("classifier.0", .dropout(probability: 0.2), last)
    last = builder.linear("classifier.1", last, from: 1280, to: classes)
    return builder.graph(output: last)
  }
}
