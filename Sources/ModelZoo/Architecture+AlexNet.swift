internal import Engine

/// AlexNet (Krizhevsky, 2014, "One weird trick") and the VGG networks (Simonyan and Zisserman, 2014), as torchvision
/// builds and names them.
extension Architecture {
  static let alexNet = Architecture(
    name: "alexnet", summary: "AlexNet of torchvision, 224×224", inputShape: Shape(c: 3, h: 224, w: 224),
    classifierWeight: "classifier.6.weight", initialization: .layerDefaults,
    preprocessing: Preprocessings.torchvision()
  ) { classes, input in
    var builder = GraphBuilder(inputShape: input)
    var last = GraphBuilder.inputName
    var channels = input.c
    let layers: [(place: Int, channels: Int, kernel: Int, stride: Int, padding: Int, isPooled: Bool)] = [
      (0, 64, 11, 4, 2, true), (3, 192, 5, 1, 2, true), (6, 384, 3, 1, 1, false), (8, 256, 3, 1, 1, false),
      (10, 256, 3, 1, 1, true),
    ]
    for layer in layers {
      last = builder.convolution(
        "features.\(layer.place)", last, from: channels, to: layer.channels, kernel: layer.kernel,
        stride: layer.stride, padding: .symmetric(layer.padding), bias: true)
      last = builder.add("features.\(layer.place + 1)", .activation(.relu), last)
      if layer.isPooled { last = builder.maxPool("features.\(layer.place + 2)", last, kernel: 3, stride: 2) }
      channels = layer.channels
    }
    last = builder.add("avgpool", .adaptiveAveragePool(height: 6, width: 6), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.add("classifier.0", .dropout(probability: 0.5), last)
    last = builder.linear("classifier.1", last, from: 256 * 6 * 6, to: 4096)
    last = builder.add("classifier.2", .activation(.relu), last)
    last = builder.add("classifier.3", .dropout(probability: 0.5), last)
    last = builder.linear("classifier.4", last, from: 4096, to: 4096)
    last = builder.add("classifier.5", .activation(.relu), last)
    last = builder.linear("classifier.6", last, from: 4096, to: classes)
    return builder.graph(output: last)
  }

  /// VGG-11, 13, 16 and 19, each without and with batch norm.
  static let vgg: [Architecture] = [
    (11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4]),
  ].flatMap { depth, convolutions in
    [false, true].map { vgg(depth, convolutions: convolutions, isNormed: $0) }
  }

  /// `convolutions` tells how many of them stand before each halving of the picture.
  private static func vgg(_ depth: Int, convolutions: [Int], isNormed: Bool) -> Architecture {
    Architecture(
      name: "vgg\(depth)\(isNormed ? "_bn" : "")",
      summary: "VGG-\(depth)\(isNormed ? " with batch norm" : "") of torchvision, 224×224",
      inputShape: Shape(c: 3, h: 224, w: 224), classifierWeight: "classifier.6.weight",
      initialization: Initialization(
        convolution: .kaimingNormalFanOut, linear: .normal(deviation: 0.01), zeroConvolutionBias: true,
        zeroLinearBias: true),
      preprocessing: Preprocessings.torchvision()
    ) { classes, input in
      var builder = GraphBuilder(inputShape: input)
      var last = GraphBuilder.inputName
      var channels = input.c
      var place = 0
      func next() -> String {
        defer { place += 1 }
        return "features.\(place)"
      }
      for (stage, count) in convolutions.enumerated() {
        let outChannels = min(512, 64 << stage)
        for _ in 0..<count {
          last = builder.convolution(
            next(), last, from: channels, to: outChannels, kernel: 3, padding: .symmetric(1), bias: true)
          if isNormed { last = builder.add(next(), .batchNorm(epsilon: 1e-5), last) }
          last = builder.add(next(), .activation(.relu), last)
          channels = outChannels
        }
        last = builder.maxPool(next(), last, kernel: 2, stride: 2)
      }
      last = builder.add("avgpool", .adaptiveAveragePool(height: 7, width: 7), last)
      last = builder.add("flatten", .flatten, last)
      last = builder.linear("classifier.0", last, from: 512 * 7 * 7, to: 4096)
      last = builder.add("classifier.1", .activation(.relu), last)
      last = builder.add("classifier.2", .dropout(probability: 0.5), last)
      last = builder.linear("classifier.3", last, from: 4096, to: 4096)
      last = builder.add("classifier.4", .activation(.relu), last)
      last = builder.add("classifier.5", .dropout(probability: 0.5), last)
      last = builder.linear("classifier.6", last, from: 4096, to: classes)
      return builder.graph(output: last)
    }
  }
}
