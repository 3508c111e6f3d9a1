internal import Engine

/// EfficientNet-Lite (Google, 2020): inverted residuals, ReLU6, TensorFlow's "same" padding, no squeeze-excite.
///
/// Names as in the PyTorch weights converted from TensorFlow (`_conv_stem`, `_blocks.0._depthwise_conv`, …, `_fc`).
extension Architecture {
  static let efficientNetLites = [
    efficientNetLite(0, width: 1.0, depth: 1.0, size: 224, dropout: 0.2),
    efficientNetLite(1, width: 1.0, depth: 1.1, size: 240, dropout: 0.2),
    efficientNetLite(2, width: 1.1, depth: 1.2, size: 260, dropout: 0.3),
    efficientNetLite(3, width: 1.2, depth: 1.4, size: 280, dropout: 0.3),
    efficientNetLite(4, width: 1.4, depth: 1.8, size: 300, dropout: 0.3),
  ]

  private struct Stage {
    let repeats: Int
    let kernel: Int
    let stride: Int
    let expansion: Int
    let channels: Int
  }

  private static let stages = [
    Stage(repeats: 1, kernel: 3, stride: 1, expansion: 1, channels: 16),
    Stage(repeats: 2, kernel: 3, stride: 2, expansion: 6, channels: 24),
    Stage(repeats: 2, kernel: 5, stride: 2, expansion: 6, channels: 40),
    Stage(repeats: 3, kernel: 3, stride: 2, expansion: 6, channels: 80),
    Stage(repeats: 3, kernel: 5, stride: 1, expansion: 6, channels: 112),
    Stage(repeats: 4, kernel: 5, stride: 2, expansion: 6, channels: 192),
    Stage(repeats: 1, kernel: 3, stride: 1, expansion: 6, channels: 320),
  ]

  private static func efficientNetLite(_ number: Int, width: Double, depth: Double, size: Int, dropout: Float)
    -> Architecture
  {
    Architecture(
      name: "efficientnet-lite\(number)", summary: "EfficientNet-Lite\(number), \(size)×\(size)",
      inputShape: Shape(c: 3, h: size, w: size), classifierWeight: "_fc.weight", initialization: .layerDefaults,
      preprocessing: { height, width in Preprocessings.tensorFlowCrop(height: height, width: width) }
    ) { classes, input in
      efficientNetLiteGraph(width: width, depth: depth, dropout: dropout, classes: classes, input: input)
    }
  }

  private static func efficientNetLiteGraph(
    width: Double, depth: Double, dropout: Float, classes: Int, input: Shape
  ) -> Graph {
    var builder = GraphBuilder(inputShape: input)
    let epsilon: Float = 1e-3
    var last = builder.convolution(
      "_conv_stem", GraphBuilder.inputName, from: input.c, to: 32, kernel: 3, stride: 2, padding: .same)
    last = builder.add("_bn0", .batchNorm(epsilon: epsilon), last)
    last = builder.add("_relu0", .activation(.relu6), last)
    var channels = 32
    var block = 0
    for (index, stage) in stages.enumerated() {
      // The first and the last stage keep their depth at every size, the stem and the head their width.
      let isEdge = index == 0 || index == stages.count - 1
      let repeats = isEdge ? stage.repeats : Int((Double(stage.repeats) * depth).rounded(.up))
      let outChannels = GraphBuilder.scaled(stage.channels, by: width)
      for repetition in 0..<repeats {
        let path = "_blocks.\(block)."
        let stride = repetition == 0 ? stage.stride : 1
        let entry = last
        let inner = channels * stage.expansion
        if stage.expansion != 1 {
          last = builder.convolution(path + "_expand_conv", last, from: channels, to: inner, kernel: 1)
          last = builder.add(path + "_bn0", .batchNorm(epsilon: epsilon), last)
          last = builder.add(path + "_relu0", .activation(.relu6), last)
        }
        last = builder.convolution(
          path + "_depthwise_conv", last, from: inner, to: inner, kernel: stage.kernel, stride: stride, padding: .same,
          groups: inner)
        last = builder.add(path + "_bn1", .batchNorm(epsilon: epsilon), last)
        last = builder.add(path + "_relu1", .activation(.relu6), last)
        last = builder.convolution(path + "_project_conv", last, from: inner, to: outChannels, kernel: 1)
        last = builder.add(path + "_bn2", .batchNorm(epsilon: epsilon), last)
        if stride == 1, channels == outChannels { last = builder.add(path + "_add", .add, last, entry) }
        channels = outChannels
        block += 1
      }
    }
    last = builder.convolution("_conv_head", last, from: channels, to: 1280, kernel: 1)
    last = builder.add("_bn1", .batchNorm(epsilon: epsilon), last)
    last = builder.add("_relu1", .activation(.relu6), last)
    last = builder.add("_avg_pooling", .globalAveragePool, last)
    last = builder.add("_flatten", .flatten, last)
    last = builder.add("_dropout", .dropout(probability: dropout), last)
    last = builder.linear("_fc", last, from: 1280, to: classes)
    return builder.graph(output: last)
  }
}
