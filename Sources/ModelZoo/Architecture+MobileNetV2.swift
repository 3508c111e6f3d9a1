internal import Engine

/// MobileNetV2 (Sandler et al., 2018), width 1.0, as torchvision builds and names it.
extension Architecture {
  static let mobileNetV2 = Architecture(
    name: "mobilenet_v2", summary: "MobileNetV2 of torchvision, 224×224", classifierWeight: "classifier.1.weight",
    preprocessingJSON: Preprocessings.torchvision
  ) { classes in
    mobileNetV2Graph(classes: classes)
  }

  private static func mobileNetV2Graph(classes: Int) -> Graph {
    let settings: [(expansion: Int, channels: Int, repeats: Int, stride: Int)] = [
      (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]
    var builder = GraphBuilder(inputShape: Shape(c: 3, h: 224, w: 224))
    var last = unit(
      &builder, "features.0.", GraphBuilder.inputName, from: 3, to: 32, kernel: 3, stride: 2, groups: 1)
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
          last = unit(&builder, path + "0.", last, from: channels, to: inner, kernel: 1, stride: 1, groups: 1)
          step = 1
        }
        last = unit(
          &builder, path + "\(step).", last, from: inner, to: inner, kernel: 3, stride: stride, groups: inner)
        last = builder.convolution(path + "\(step + 1)", last, from: inner, to: setting.channels, kernel: 1)
        last = builder.add(path + "\(step + 2)", .batchNorm(epsilon: 1e-5), last)
        if stride == 1, channels == setting.channels {
          last = builder.add("features.\(feature).add", .add, last, entry)
        }
        channels = setting.channels
        feature += 1
      }
    }
    last = unit(&builder, "features.\(feature).", last, from: channels, to: 1280, kernel: 1, stride: 1, groups: 1)
    last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.add("classifier.0", .dropout(probability: 0.2), last)
    last = builder.linear("classifier.1", last, from: 1280, to: classes)
    return builder.graph(output: last)
  }

  /// torchvision's `Conv2dNormActivation`: convolution `0`, batch norm `1`, ReLU6 `2`.
  private static func unit(
    _ builder: inout GraphBuilder, _ path: String, _ input: String, from inChannels: Int, to outChannels: Int,
    kernel: Int, stride: Int, groups: Int
  ) -> String {
    var last = builder.convolution(
      path + "0", input, from: inChannels, to: outChannels, kernel: kernel, stride: stride,
      padding: .symmetric(kernel / 2), groups: groups)
    last = builder.add(path + "1", .batchNorm(epsilon: 1e-5), last)
    return builder.add(path + "2", .activation(.relu6), last)
  }
}
