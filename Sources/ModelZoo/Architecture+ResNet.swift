internal import Engine

/// Deep residual networks (He et al., 2015) as torchvision builds and names them; in ResNet-50 the stride is in the
/// 3×3 convolution ("v1.5").
extension Architecture {
  static let resNet18 = resNet(18, blocks: [2, 2, 2, 2], isBottleneck: false)
  static let resNet34 = resNet(34, blocks: [3, 4, 6, 3], isBottleneck: false)
  static let resNet50 = resNet(50, blocks: [3, 4, 6, 3], isBottleneck: true)
  static let resNet101 = resNet(101, blocks: [3, 4, 23, 3], isBottleneck: true)
  static let resNet152 = resNet(152, blocks: [3, 8, 36, 3], isBottleneck: true)

  private static func resNet(_ depth: Int, blocks: [Int], isBottleneck: Bool) -> Architecture {
    Architecture(
      name: "resnet\(depth)", summary: "ResNet-\(depth) of torchvision, 224×224",
      inputShape: Shape(c: 3, h: 224, w: 224), classifierWeight: "fc.weight",
      initialization: Initialization(convolution: .kaimingNormalFanOut, linear: .layerDefault),
      preprocessing: Preprocessings.torchvision()
    ) { classes, input in
      resNetGraph(blocks: blocks, isBottleneck: isBottleneck, classes: classes, input: input)
    }
  }

  private static func resNetGraph(blocks: [Int], isBottleneck: Bool, classes: Int, input: Shape) -> Graph {
    var builder = GraphBuilder(inputShape: input)
    var last = builder.convolution(
      "conv1", GraphBuilder.inputName, from: input.c, to: 64, kernel: 7, stride: 2, padding: .symmetric(3))
    last = builder.add("bn1", .batchNorm(epsilon: 1e-5), last)
    last = builder.add("relu", .activation(.relu), last)
    last = builder.maxPool("maxpool", last, kernel: 3, stride: 2, padding: 1)
    var channels = 64
    for (layer, count) in blocks.enumerated() {
      let planes = 64 << layer
      for block in 0..<count {
        last = residualBlock(
          &builder, path: "layer\(layer + 1).\(block).", input: last, channels: channels, planes: planes,
          stride: block == 0 && layer > 0 ? 2 : 1, isBottleneck: isBottleneck)
        channels = isBottleneck ? planes * 4 : planes
      }
    }
    last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.linear("fc", last, from: channels, to: classes)
    return builder.graph(output: last)
  }

  private static func residualBlock(
    _ builder: inout GraphBuilder, path: String, input: String, channels: Int, planes: Int, stride: Int,
    isBottleneck: Bool
  ) -> String {
    let norm = Operation.batchNorm(epsilon: 1e-5)
    let outChannels = isBottleneck ? planes * 4 : planes
    var last = input
    if isBottleneck {
      last = builder.convolution(path + "conv1", last, from: channels, to: planes, kernel: 1)
      last = builder.add(path + "bn1", norm, last)
      last = builder.add(path + "relu1", .activation(.relu), last)
      last = builder.convolution(
        path + "conv2", last, from: planes, to: planes, kernel: 3, stride: stride, padding: .symmetric(1))
      last = builder.add(path + "bn2", norm, last)
      last = builder.add(path + "relu2", .activation(.relu), last)
      last = builder.convolution(path + "conv3", last, from: planes, to: outChannels, kernel: 1)
      last = builder.add(path + "bn3", norm, last)
    } else {
      last = builder.convolution(
        path + "conv1", last, from: channels, to: planes, kernel: 3, stride: stride, padding: .symmetric(1))
      last = builder.add(path + "bn1", norm, last)
      last = builder.add(path + "relu1", .activation(.relu), last)
      last = builder.convolution(path + "conv2", last, from: planes, to: planes, kernel: 3, padding: .symmetric(1))
      last = builder.add(path + "bn2", norm, last)
    }
    var shortcut = input
    if stride != 1 || channels != outChannels {
      shortcut = builder.convolution(
        path + "downsample.0", input, from: channels, to: outChannels, kernel: 1, stride: stride)
      shortcut = builder.add(path + "downsample.1", norm, shortcut)
    }
    last = builder.add(path + "add", .add, last, shortcut)
    return builder.add(path + "relu", .activation(.relu), last)
  }
}
