internal import Engine

/// Inception v3 (Szegedy et al., 2015) as torchvision builds and names it, without the classifier that only training uses.
///
/// torchvision's pretrained weights are fed with `transform_input=True`; the preprocessing holds that.
extension Architecture {
  static let inceptionV3 = Architecture(
    name: "inception_v3", summary: "Inception v3 of torchvision, 299×299", inputShape: Shape(c: 3, h: 299, w: 299),
    classifierWeight: "fc.weight",
    initialization: Initialization(
      convolution: .truncatedNormal(deviation: 0.1), linear: .truncatedNormal(deviation: 0.1)),
    trainingPrefixes: ["AuxLogits."], preprocessing: Preprocessings.inception(resize: 342, crop: 299)
  ) { classes, input in
    var network = InceptionV3(input: input)
    network.addStem()
    network.addMixed()
    return network.graph(classes: classes)
  }
}

private struct InceptionV3 {
  private var builder: GraphBuilder
  private var last = GraphBuilder.inputName
  private var channels: Int

  init(input: Shape) {
    builder = GraphBuilder(inputShape: input)
    channels = input.c
  }

  /// One convolution of a branch: its name's ending, channels, kernel, stride, and whether it is padded to keep the size.
  private struct Unit {
    let name: String
    let channels: Int
    let h: Int
    let w: Int
    var stride = 1
    var isPadded = true

    init(_ name: String, _ channels: Int, _ h: Int, _ w: Int, stride: Int = 1, isPadded: Bool = true) {
      self.name = name
      self.channels = channels
      self.h = h
      self.w = w
      self.stride = stride
      self.isPadded = isPadded
    }
  }

  /// The units one after the other; gives the end and its channels.
  private mutating func branch(
    _ path: String, _ input: String, from inChannels: Int, _ units: [Unit]
  ) -> (name: String, channels: Int) {
    var (name, width) = (input, inChannels)
    for unit in units {
      name = builder.basicConvolution(
        path + unit.name, name, from: width, to: unit.channels, kernel: Extent2D(h: unit.h, w: unit.w),
        stride: unit.stride, padding: unit.isPadded ? .symmetric(h: unit.h / 2, w: unit.w / 2) : .symmetric(0))
      width = unit.channels
    }
    return (name, width)
  }

  private mutating func join(_ path: String, _ branches: [(name: String, channels: Int)]) {
    last = builder.add(path + "cat", .concatenate, inputs: branches.map(\.name))
    channels = branches.reduce(0) { $0 + $1.channels }
  }

  private mutating func pooled(_ path: String, to width: Int) -> (name: String, channels: Int) {
    let mean = Pooling(kernel: Extent2D(3), stride: Extent2D(1), padding: .symmetric(1))
    let name = builder.add(path + "avg_pool", .averagePool(mean), last)
    return branch(path, name, from: channels, [Unit("branch_pool", width, 1, 1)])
  }

  mutating func addStem() {
    let units = [
      Unit("Conv2d_1a_3x3", 32, 3, 3, stride: 2, isPadded: false), Unit("Conv2d_2a_3x3", 32, 3, 3, isPadded: false),
      Unit("Conv2d_2b_3x3", 64, 3, 3),
    ]
    (last, channels) = branch("", last, from: channels, units)
    last = builder.maxPool("maxpool1", last, kernel: 3, stride: 2)
    (last, channels) = branch(
      "", last, from: channels, [Unit("Conv2d_3b_1x1", 80, 1, 1), Unit("Conv2d_4a_3x3", 192, 3, 3, isPadded: false)])
    last = builder.maxPool("maxpool2", last, kernel: 3, stride: 2)
  }

  mutating func addMixed() {
    addA("Mixed_5b.", pool: 32)
    addA("Mixed_5c.", pool: 64)
    addA("Mixed_5d.", pool: 64)
    addB("Mixed_6a.")
    for (letter, width) in [("b", 128), ("c", 160), ("d", 160), ("e", 192)] { addC("Mixed_6\(letter).", width) }
    addD("Mixed_7a.")
    addE("Mixed_7b.")
    addE("Mixed_7c.")
  }

  func graph(classes: Int) -> Graph {
    var builder = builder
    var last = builder.add("avgpool", .adaptiveAveragePool(height: 1, width: 1), last)
    last = builder.add("dropout", .dropout(probability: 0.5), last)
    last = builder.add("flatten", .flatten, last)
    last = builder.linear("fc", last, from: channels, to: classes)
    return builder.graph(output: last)
  }

  private mutating func addA(_ path: String, pool: Int) {
    let a = branch(path, last, from: channels, [Unit("branch1x1", 64, 1, 1)])
    let b = branch(path, last, from: channels, [Unit("branch5x5_1", 48, 1, 1), Unit("branch5x5_2", 64, 5, 5)])
    let c = branch(
      path, last, from: channels,
      [Unit("branch3x3dbl_1", 64, 1, 1), Unit("branch3x3dbl_2", 96, 3, 3), Unit("branch3x3dbl_3", 96, 3, 3)])
    join(path, [a, b, c, pooled(path, to: pool)])
  }

  private mutating func addB(_ path: String) {
    let a = branch(path, last, from: channels, [Unit("branch3x3", 384, 3, 3, stride: 2, isPadded: false)])
    let b = branch(
      path, last, from: channels,
      [
        Unit("branch3x3dbl_1", 64, 1, 1), Unit("branch3x3dbl_2", 96, 3, 3),
        Unit("branch3x3dbl_3", 96, 3, 3, stride: 2, isPadded: false),
      ])
    join(path, [a, b, (builder.maxPool(path + "max_pool", last, kernel: 3, stride: 2), channels)])
  }

  private mutating func addC(_ path: String, _ width: Int) {
    let a = branch(path, last, from: channels, [Unit("branch1x1", 192, 1, 1)])
    let b = branch(
      path, last, from: channels,
      [Unit("branch7x7_1", width, 1, 1), Unit("branch7x7_2", width, 1, 7), Unit("branch7x7_3", 192, 7, 1)])
    let c = branch(
      path, last, from: channels,
      [
        Unit("branch7x7dbl_1", width, 1, 1), Unit("branch7x7dbl_2", width, 7, 1), Unit("branch7x7dbl_3", width, 1, 7),
        Unit("branch7x7dbl_4", width, 7, 1), Unit("branch7x7dbl_5", 192, 1, 7),
      ])
    join(path, [a, b, c, pooled(path, to: 192)])
  }

  private mutating func addD(_ path: String) {
    let a = branch(
      path, last, from: channels,
      [Unit("branch3x3_1", 192, 1, 1), Unit("branch3x3_2", 320, 3, 3, stride: 2, isPadded: false)])
    let b = branch(
      path, last, from: channels,
      [
        Unit("branch7x7x3_1", 192, 1, 1), Unit("branch7x7x3_2", 192, 1, 7), Unit("branch7x7x3_3", 192, 7, 1),
        Unit("branch7x7x3_4", 192, 3, 3, stride: 2, isPadded: false),
      ])
    join(path, [a, b, (builder.maxPool(path + "max_pool", last, kernel: 3, stride: 2), channels)])
  }

  private mutating func addE(_ path: String) {
    let a = branch(path, last, from: channels, [Unit("branch1x1", 320, 1, 1)])
    let b = branch(path, last, from: channels, [Unit("branch3x3_1", 384, 1, 1)])
    let b1 = branch(path, b.name, from: b.channels, [Unit("branch3x3_2a", 384, 1, 3)])
    let b2 = branch(path, b.name, from: b.channels, [Unit("branch3x3_2b", 384, 3, 1)])
    let c = branch(
      path, last, from: channels, [Unit("branch3x3dbl_1", 448, 1, 1), Unit("branch3x3dbl_2", 384, 3, 3)])
    let c1 = branch(path, c.name, from: c.channels, [Unit("branch3x3dbl_3a", 384, 1, 3)])
    let c2 = branch(path, c.name, from: c.channels, [Unit("branch3x3dbl_3b", 384, 3, 1)])
    join(path, [a, b1, b2, c1, c2, pooled(path, to: 192)])
  }
}
