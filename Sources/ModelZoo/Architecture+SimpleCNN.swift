internal import Engine

/// The tutorial's network for 32×32 pictures of ten classes (CIFAR-10).
///
/// In PyTorch: `conv1 = Conv2d(3, 32, 3, padding=1)`, `bn1 = BatchNorm2d(32)`, ReLU, `MaxPool2d(2)`,
/// `conv2 = Conv2d(32, 64, 3, padding=1)`, ReLU, `MaxPool2d(2)`, flatten, `fc1 = Linear(4096, 512)`, ReLU, dropout,
/// `fc2 = Linear(512, 10)`.
extension Architecture {
  static let simpleCNN = Architecture(
    name: "simplecnn", summary: "the tutorial's network, 32×32", inputShape: Shape(c: 3, h: 32, w: 32),
    classifierWeight: "fc2.weight", initialization: .layerDefaults, preprocessing: Preprocessings.squashed()
  ) { classes, input in
    var builder = GraphBuilder(inputShape: input)
    var last = builder.convolution(
      "conv1", GraphBuilder.inputName, from: input.c, to: 32, kernel: 3, padding: .symmetric(1), bias: true)
    last = builder.add("bn1", .batchNorm(epsilon: 1e-5), last)
    last = builder.add("relu1", .activation(.relu), last)
    last = builder.maxPool("pool1", last, kernel: 2, stride: 2)
    last = builder.convolution("conv2", last, from: 32, to: 64, kernel: 3, padding: .symmetric(1), bias: true)
    last = builder.add("relu2", .activation(.relu), last)
    last = builder.maxPool("pool2", last, kernel: 2, stride: 2)
    last = builder.add("flatten", .flatten, last)
    last = builder.linear("fc1", last, from: 64 * max(1, input.h / 4) * max(1, input.w / 4), to: 512)
    last = builder.add("relu3", .activation(.relu), last)
    last = builder.add("dropout", .dropout(probability: 0.5), last)
    last = builder.linear("fc2", last, from: 512, to: classes)
    return builder.graph(output: last)
  }
}
