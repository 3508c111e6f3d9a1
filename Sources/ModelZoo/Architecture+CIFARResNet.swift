internal import Engine

/// The residual networks for CIFAR (He et al., 2015, section 4.2), with the parameterless shortcut ("option A"), named as
/// in the usual PyTorch port of them (`conv1`, `layer1.0.conv1`, …, `linear`).
extension Architecture {
  static let cifarResNet20 = cifarResNet(20)
  static let cifarResNet32 = cifarResNet(32)
  static let cifarResNet56 = cifarResNet(56)

  private static func cifarResNet(_ depth: Int) -> Architecture {
    Architecture(
      name: "resnet\(depth)", summary: "ResNet-\(depth) for CIFAR, option A, 32×32",
      inputShape: Shape(c: 3, h: 32, w: 32), classifierWeight: "linear.weight",
      initialization: Initialization(convolution: .kaimingNormalFanIn, linear: .kaimingNormalFanIn),
      preprocessing: Preprocessings.squashed(mean: "[0.485,0.456,0.406]", std: "[0.229,0.224,0.225]")
    ) { classes, input in
      let norm = Operation.batchNorm(epsilon: 1e-5)
      var builder = GraphBuilder(inputShape: input)
      var last = builder.convolution(
        "conv1", GraphBuilder.inputName, from: input.c, to: 16, kernel: 3, padding: .symmetric(1))
      last = builder.add("bn1", norm, last)
      last = builder.add("relu", .activation(.relu), last)
      var channels = 16
      for layer in 0..<3 {
        let planes = 16 << layer
        for block in 0..<((depth - 2) / 6) {
          let path = "layer\(layer + 1).\(block)."
          let stride = block == 0 && layer > 0 ? 2 : 1
          var shortcut = last
          last = builder.convolution(
            path + "conv1", last, from: channels, to: planes, kernel: 3, stride: stride, padding: .symmetric(1))
          last = builder.add(path + "bn1", norm, last)
          last = builder.add(path + "relu1", .activation(.relu), last)
          last = builder.convolution(path + "conv2", last, from: planes, to: planes, kernel: 3, padding: .symmetric(1))
          last = builder.add(path + "bn2", norm, last)
          if stride != 1 {
            shortcut = builder.convolution(
              path + "shortcut" + Graph.constantSuffix, shortcut, from: channels, to: planes, kernel: 1,
              stride: stride)
          }
          last = builder.add(path + "add", .add, last, shortcut)
          last = builder.add(path + "relu", .activation(.relu), last)
          channels = planes
        }
      }
      last = builder.add("avgpool", .globalAveragePool, last)
      last = builder.add("flatten", .flatten, last)
      last = builder.linear("linear", last, from: channels, to: classes)
      return builder.graph(output: last)
    }
  }
}
