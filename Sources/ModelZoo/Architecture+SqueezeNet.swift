internal import Engine

/// SqueezeNet 1.0 and 1.1 (Iandola et al., 2016) as torchvision builds and names them.
extension Architecture {
  static let squeezeNet10 = squeezeNet(
    "1_0", stem: (96, 7),
    fires: [
      (16, 64), (16, 64), (32, 128), nil, (32, 128), (48, 192), (48, 192), (64, 256), nil, (64, 256),
    ])
  static let squeezeNet11 = squeezeNet(
    "1_1", stem: (64, 3),
    fires: [
      (16, 64), (16, 64), nil, (32, 128), (32, 128), nil, (48, 192), (48, 192), (64, 256), (64, 256),
    ])

  /// `fires` are the widths of squeeze and of each expand; nil is a maximum that halves the picture.
  private static func squeezeNet(
    _ version: String, stem: (channels: Int, kernel: Int), fires: [(squeeze: Int, expand: Int)?]
  ) -> Architecture {
    Architecture(
      name: "squeezenet\(version)",
      summary: "SqueezeNet \(version.split(separator: "_").joined(separator: ".")) of torchvision, 224×224",
      inputShape: Shape(c: 3, h: 224, w: 224), classifierWeight: "classifier.1.weight",
      initialization: Initialization(
        convolution: .kaimingUniformFanIn, linear: .layerDefault, zeroConvolutionBias: true,
        exceptions: ["classifier.1.weight": .normal(deviation: 0.01)]),
      preprocessing: Preprocessings.torchvision()
    ) { classes, input in
      var builder = GraphBuilder(inputShape: input)
      var last = builder.convolution(
        "features.0", GraphBuilder.inputName, from: input.c, to: stem.channels, kernel: stem.kernel, stride: 2,
        bias: true)
      last = builder.add("features.1", .activation(.relu), last)
      last = builder.maxPool("features.2", last, kernel: 3, stride: 2, ceilMode: true)
      var channels = stem.channels
      for (index, fire) in fires.enumerated() {
        let path = "features.\(index + 3)"
        guard let fire else {
          last = builder.maxPool(path, last, kernel: 3, stride: 2, ceilMode: true)
          continue
        }
        last = builder.fire(path + ".", last, from: channels, squeeze: fire.squeeze, expand: fire.expand)
        channels = fire.expand * 2
      }
      last = builder.add("classifier.0", .dropout(probability: 0.5), last)
      last = builder.convolution("classifier.1", last, from: channels, to: classes, kernel: 1, bias: true)
      last = builder.add("classifier.2", .activation(.relu), last)
      last = builder.add("classifier.3", .adaptiveAveragePool(height: 1, width: 1), last)
      last = builder.add("flatten", .flatten, last)
      return builder.graph(output: last)
    }
  }
}

extension GraphBuilder {
  fileprivate mutating func fire(
    _ path: String, _ input: String, from channels: Int, squeeze: Int, expand: Int
  ) -> String {
    func unit(
      _ builder: inout GraphBuilder, _ name: String, _ input: String, from: Int, to: Int, kernel: Int
    ) -> String {
      let last = builder.convolution(
        path + name, input, from: from, to: to, kernel: kernel, padding: .symmetric(kernel / 2), bias: true)
      return builder.add(path + name + "_activation", .activation(.relu), last)
    }
    let narrow = unit(&self, "squeeze", input, from: channels, to: squeeze, kernel: 1)
    let one = unit(&self, "expand1x1", narrow, from: squeeze, to: expand, kernel: 1)
    let three = unit(&self, "expand3x3", narrow, from: squeeze, to: expand, kernel: 3)
    return add(path + "cat", .concatenate, one, three)
  }
}
