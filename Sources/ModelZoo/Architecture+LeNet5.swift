internal import Engine

/// LeNet-5 (LeCun et al., 1998) as it is usually written today: ReLU and maxima, 28×28 grey digits.
///
/// In PyTorch: `conv1 = Conv2d(1, 6, 5)`, `conv2 = Conv2d(6, 16, 5)`, each with ReLU and `MaxPool2d(2)`, flatten,
/// `fc1 = Linear(256, 120)`, `fc2 = Linear(120, 84)`, `fc3 = Linear(84, 10)`.
extension Architecture {
  static let lenet5 = Architecture(
    name: "lenet5", summary: "LeNet-5 with ReLU, grey 28×28", inputShape: Shape(c: 1, h: 28, w: 28),
    classifierWeight: "fc3.weight", initialization: .layerDefaults,
    preprocessing: Preprocessings.squashed(channels: "L", mean: "[0.1307]", std: "[0.3081]")
  ) { classes, input in
    var builder = GraphBuilder(inputShape: input)
    var last = builder.convolution("conv1", GraphBuilder.inputName, from: input.c, to: 6, kernel: 5, bias: true)
    last = builder.add("relu1", .activation(.relu), last)
    last = builder.maxPool("pool1", last, kernel: 2, stride: 2)
    last = builder.convolution("conv2", last, from: 6, to: 16, kernel: 5, bias: true)
    last = builder.add("relu2", .activation(.relu), last)
    last = builder.maxPool("pool2", last, kernel: 2, stride: 2)
    last = builder.add("flatten", .flatten, last)
    let features = 16 * max(1, (input.h / 2 - 2 - 4) / 2) * max(1, (input.w / 2 - 2 - 4) / 2)
    last = builder.linear("fc1", last, from: features, to: 120)
    last = builder.add("relu3", .activation(.relu), last)
    last = builder.linear("fc2", last, from: 120, to: 84)
    last = builder.add("relu4", .activation(.relu), last)
    last = builder.linear("fc3", last, from: 84, to: classes)
    return builder.graph(output: last)
  }
}
