internal import Engine

/// GoogLeNet (Szegedy et al., 2014) as torchvision builds and names it, without the classifiers that only training uses.
///
/// torchvision's pretrained weights are fed with `transform_input=True`; the preprocessing holds that.
extension Architecture {
  static let googLeNet = Architecture(
    name: "googlenet", summary: "GoogLeNet of torchvision, 224×224", inputShape: Shape(c: 3, h: 224, w: 224),
    classifierWeight: "fc.weight",
    initialization: Initialization(
      convolution: .truncatedNormal(deviation: 0.01), linear: .truncatedNormal(deviation: 0.01)),
    trainingPrefixes: ["aux1.", "aux2."], preprocessing: Preprocessings.inception(resize: 256, crop: 224)
  ) { classes, input in
    googLeNetGraph(classes: classes, input: input)
  }

  private static func googLeNetGraph(classes: Int, input: Shape) -> Graph {
    var builder = GraphBuilder(inputShape: input)
    var last = builder.basicConvolution(
      "conv1", GraphBuilder.inputName, from: input.c, to: 64, kernel: Extent2D(7), stride: 2,
      padding: .symmetric(3))
    last = builder.maxPool("maxpool1", last, kernel: 3, stride: 2, ceilMode: true)
    last = builder.basicConvolution("conv2", last, from: 64, to: 64, kernel: Extent2D(1))
    last = builder.basicConvolution(
      "conv3", last, from: 64, to: 192, kernel: Extent2D(3), padding: .symmetric(1))
    last = builder.maxPool("maxpool2", last, kernel: 3, stride: 2, ceilMode: true)
    let blocks: [(name: String, widths: [Int])] = [
      ("3a", [64, 96, 128, 16, 32, 32]), ("3b", [128, 128, 192, 32, 96, 64]), ("maxpool3", [3]),
      ("4a", [192, 96, 208, 16, 48, 64]), ("4b", [160, 112, 224, 24, 64, 64]),
      ("4c", [128, 128, 256, 24, 64, 64]), ("4d", [112, 144, 288, 32, 64, 64]),
      ("4e", [256, 160, 320, 32, 128, 128]), ("maxpool4", [2]), ("5a", [256, 160, 320, 32, 128, 128]),
      ("5b", [384, 192, 384, 48, 128, 128]),
    ]
    var channels = 192
    for block in blocks {
      if block.widths.count == 1 {
        last = builder.maxPool(block.name, last, kernel: block.widths[0], stride: 2, ceilMode: true)
      } else {
        last = builder.googLeNetBlock("inception\(block.name).", last, from: channels, widths: block.widths)
        channels = block.widths[0] + block.widths[2] + block.widths[4] + block.widths[5]
      }
    }
    last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.add("dropout", .dropout(probability: 0.2), last)
    last = builder.linear("fc", last, from: channels, to: classes)
    return builder.graph(output: last)
  }
}

extension GraphBuilder {
  /// `BasicConv2d` of torchvision's GoogLeNet and Inception v3: `conv`, `bn` and ReLU.
  mutating func basicConvolution(
    _ path: String, _ input: String, from inChannels: Int, to outChannels: Int, kernel: Extent2D, stride: Int = 1,
    padding: Padding = .symmetric(0)
  ) -> String {
    let convolution = Convolution(
      inChannels: inChannels, outChannels: outChannels, kernel: kernel, stride: Extent2D(stride), padding: padding,
      bias: false)
    var last = add(path + ".conv", .convolution(convolution), input)
    last = add(path + ".bn", .batchNorm(epsilon: 1e-3), last)
    return add(path + ".relu", .activation(.relu), last)
  }

  /// Four branches side by side; `widths` are 1×1, 3×3 reduced, 3×3, 5×5 reduced, 5×5 and pool projection.
  fileprivate mutating func googLeNetBlock(
    _ path: String, _ input: String, from channels: Int, widths: [Int]
  ) -> String {
    let one = Extent2D(1)
    let three = Extent2D(3)
    let first = basicConvolution(path + "branch1", input, from: channels, to: widths[0], kernel: one)
    var second = basicConvolution(path + "branch2.0", input, from: channels, to: widths[1], kernel: one)
    second = basicConvolution(
      path + "branch2.1", second, from: widths[1], to: widths[2], kernel: three, padding: .symmetric(1))
    // The paper has 5×5 here; torchvision's weights are 3×3.
    var third = basicConvolution(path + "branch3.0", input, from: channels, to: widths[3], kernel: one)
    third = basicConvolution(
      path + "branch3.1", third, from: widths[3], to: widths[4], kernel: three, padding: .symmetric(1))
    var fourth = maxPool(path + "branch4.0", input, kernel: 3, stride: 1, padding: 1, ceilMode: true)
    fourth = basicConvolution(path + "branch4.1", fourth, from: channels, to: widths[5], kernel: one)
    return add(path + "cat", .concatenate, first, second, third, fourth)
  }
}
