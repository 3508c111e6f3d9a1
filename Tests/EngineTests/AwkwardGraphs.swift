import Engine

/// A graph that asks for a corner of some operation's definition.
struct AwkwardGraph: Sendable, CustomStringConvertible {
  let name: String
  let graph: Graph

  var description: String { name }

  /// A chain of operations, each on the one before.
  init(_ name: String, _ input: Shape, _ chain: Engine.Operation...) {
    let nodes = chain.enumerated().map { index, operation in
      Graph.Node(name: "n\(index)", operation: operation, inputs: [index == 0 ? "input" : "n\(index - 1)"])
    }
    self.init(name, input, nodes: nodes)
  }

  init(_ name: String, _ input: Shape, nodes: [Graph.Node]) {
    self.name = name
    graph = Graph(inputShape: input, nodes: nodes, outputName: nodes.last?.name ?? "input")
  }

  static let all: [AwkwardGraph] = convolutions + pools + joins + others

  static func conv(
    _ from: Int, _ to: Int, _ kernel: Int, stride: Int = 1, padding: Padding = .symmetric(0), dilation: Int = 1,
    groups: Int = 1, bias: Bool = true
  ) -> Engine.Operation {
    .convolution(
      Convolution(
        inChannels: from, outChannels: to, kernel: Extent2D(kernel), stride: Extent2D(stride), padding: padding,
        dilation: Extent2D(dilation), groups: groups, bias: bias))
  }

  private static let prime = Shape(c: 3, h: 13, w: 7)

  private static let convolutions =
    [
      AwkwardGraph("a picture of one number", Shape(c: 1), conv(1, 1, 1)),
      AwkwardGraph("one pixel, 3×3", Shape(c: 5), conv(5, 7, 3, padding: .symmetric(1))),
      AwkwardGraph("1×1 on the picture", prime, conv(3, 11, 1)),
      AwkwardGraph("1×1 on a value", prime, conv(3, 11, 1), conv(11, 2, 1, bias: false)),
      AwkwardGraph("1×1, stride 2", prime, conv(3, 11, 1, stride: 2)),
      AwkwardGraph("1×1, padded", prime, conv(3, 11, 1, padding: .symmetric(1))),
      AwkwardGraph(
        "1×1 that pads and strides to the same extents", Shape(c: 2), conv(2, 3, 1, stride: 3, padding: .symmetric(1))),
      AwkwardGraph("3×3, no padding", prime, conv(3, 5, 3, bias: false)),
      AwkwardGraph("odd padding", prime, conv(3, 5, 2, padding: .symmetric(1))),
      AwkwardGraph("more padding than kernel", prime, conv(3, 5, 2, padding: .symmetric(4))),
      AwkwardGraph(
        "asymmetric padding", prime, conv(3, 5, 3, stride: 2, padding: .explicit(top: 2, left: 0, bottom: 1, right: 3))),
      AwkwardGraph("same, 3×3, stride 2, odd", prime, conv(3, 5, 3, stride: 2, padding: .same)),
      AwkwardGraph("same, 3×3, stride 2, even", Shape(c: 3, h: 8, w: 12), conv(3, 5, 3, stride: 2, padding: .same)),
      AwkwardGraph("same, 5×5, stride 2", Shape(c: 3, h: 8, w: 11), conv(3, 5, 5, stride: 2, padding: .same)),
      AwkwardGraph("same, dilated", prime, conv(3, 5, 3, padding: .same, dilation: 2)),
      AwkwardGraph("dilation", prime, conv(3, 5, 3, stride: 2, padding: .symmetric(2), dilation: 2)),
      AwkwardGraph(
        "nothing square", Shape(c: 2, h: 11, w: 17),
        .convolution(
          Convolution(
            inChannels: 2, outChannels: 3, kernel: Extent2D(h: 5, w: 2), stride: Extent2D(h: 1, w: 3),
            padding: .symmetric(h: 2, w: 1), dilation: Extent2D(h: 2, w: 3)))),
      AwkwardGraph("groups", Shape(c: 6, h: 7, w: 5), conv(6, 4, 3, padding: .symmetric(1), groups: 2)),
      AwkwardGraph("1×1 groups", Shape(c: 6, h: 7, w: 5), conv(6, 9, 1, groups: 3)),
      AwkwardGraph("depthwise", Shape(c: 67, h: 7, w: 5), conv(67, 67, 3, padding: .symmetric(1), groups: 67)),
      AwkwardGraph(
        "depthwise, same 5×5, stride 2", Shape(c: 64, h: 7, w: 6),
        conv(64, 64, 5, stride: 2, padding: .same, groups: 64, bias: false), .batchNorm(epsilon: 1e-3),
        .activation(.relu6)),
      AwkwardGraph(
        "depthwise, dilated", Shape(c: 4, h: 9, w: 8), conv(4, 4, 3, padding: .symmetric(2), dilation: 2, groups: 4)),
      AwkwardGraph(
        "depthwise with multiplier", Shape(c: 4, h: 7, w: 5), conv(4, 12, 3, padding: .symmetric(1), groups: 4)),
      AwkwardGraph("many tiles", Shape(c: 70, h: 19, w: 17), conv(70, 33, 5, padding: .symmetric(2))),
    ]
    + Activation.allCases.map {
      AwkwardGraph(
        "conv, bn, \($0)", prime, conv(3, 5, 3, padding: .symmetric(1), bias: false), .batchNorm(epsilon: 1e-5),
        .activation($0))
    } + Activation.allCases.map { AwkwardGraph("\($0)", prime, .activation($0)) }

  private static let pools: [AwkwardGraph] =
    [false, true].flatMap { ceil in
      [2, 3].flatMap { kernel in
        [0, 1].flatMap { padding in
          [false, true].flatMap { counts in
            let pooling = Pooling(
              kernel: Extent2D(kernel), stride: Extent2D(h: 2, w: 3), padding: .symmetric(padding), ceilMode: ceil,
              countIncludePad: counts)
            let what = "\(kernel)×\(kernel), padding \(padding), ceil \(ceil), counts padding \(counts)"
            return [Shape(c: 3, h: 8, w: 10), Shape(c: 2, h: 13, w: 7), Shape(c: 1, h: 3, w: 3)].flatMap { input in
              [
                AwkwardGraph("mean \(what) of \(input)", input, .averagePool(pooling)),
                AwkwardGraph("maximum \(what) of \(input)", input, .maxPool(pooling)),
              ]
            }
          }
        }
      }
    } + [
      AwkwardGraph(
        "dilated maximum", prime,
        .maxPool(Pooling(kernel: Extent2D(3), stride: Extent2D(1), dilation: Extent2D(h: 3, w: 2)))),
      AwkwardGraph("same maximum", prime, .maxPool(Pooling(kernel: Extent2D(2), stride: Extent2D(2), padding: .same))),
      AwkwardGraph(
        "same mean", prime,
        .averagePool(Pooling(kernel: Extent2D(3), stride: Extent2D(2), padding: .same, countIncludePad: false))),
      AwkwardGraph(
        "asymmetric mean", prime,
        .averagePool(
          Pooling(kernel: Extent2D(3), stride: Extent2D(2), padding: .explicit(top: 1, left: 0, bottom: 0, right: 1)))),
      AwkwardGraph("global mean", prime, .globalAveragePool),
      AwkwardGraph("adaptive mean, smaller", prime, .adaptiveAveragePool(height: 5, width: 3)),
      AwkwardGraph("adaptive mean, larger", prime, .adaptiveAveragePool(height: 17, width: 9)),
    ]

  private static let squares = Engine.Operation.maxPool(
    Pooling(kernel: Extent2D(2), stride: Extent2D(2), padding: .symmetric(0)))

  private static let joins = [
    AwkwardGraph(
      "pools of squares of results, odd and even", Shape(c: 3, h: 27, w: 14), conv(3, 5, 1),
      conv(5, 20, 3, padding: .symmetric(1)), .activation(.relu), squares,
      conv(20, 7, 3, padding: .symmetric(1), bias: false), .batchNorm(epsilon: 1e-5), .activation(.relu6), squares,
      conv(7, 6, 3, padding: .symmetric(1)), squares),
    AwkwardGraph(
      "results that a pool and another take, and pools joined", prime,
      nodes: [
        Graph.Node(name: "stem", operation: conv(3, 16, 1), inputs: ["input"]),
        Graph.Node(name: "a", operation: conv(16, 16, 3, padding: .symmetric(1)), inputs: ["stem"]),
        Graph.Node(name: "act", operation: .activation(.silu), inputs: ["a"]),
        Graph.Node(name: "first", operation: squares, inputs: ["act"]),
        Graph.Node(name: "b", operation: conv(16, 16, 3, padding: .symmetric(1)), inputs: ["act"]),
        Graph.Node(name: "second", operation: squares, inputs: ["b"]),
        Graph.Node(name: "c", operation: conv(16, 16, 3, padding: .symmetric(1)), inputs: ["act"]),
        Graph.Node(name: "sum", operation: .add, inputs: ["c", "b"]),
        Graph.Node(name: "third", operation: squares, inputs: ["sum"]),
        Graph.Node(name: "d", operation: conv(16, 20, 3, padding: .symmetric(1)), inputs: ["act"]),
        Graph.Node(name: "fourth", operation: squares, inputs: ["d"]),
        Graph.Node(name: "out", operation: .concatenate, inputs: ["first", "second", "third", "fourth"]),
      ]),
    AwkwardGraph(
      "residual", prime,
      nodes: [
        Graph.Node(name: "stem", operation: conv(3, 6, 3, padding: .symmetric(1)), inputs: ["input"]),
        Graph.Node(name: "act", operation: .activation(.relu), inputs: ["stem"]),
        Graph.Node(name: "conv", operation: conv(6, 6, 3, padding: .symmetric(1), bias: false), inputs: ["act"]),
        Graph.Node(name: "bn", operation: .batchNorm(epsilon: 1e-5), inputs: ["conv"]),
        Graph.Node(name: "sum", operation: .add, inputs: ["bn", "act"]),
        Graph.Node(name: "out", operation: .activation(.relu), inputs: ["sum"]),
      ]),
    AwkwardGraph(
      "residuals one after the other, the first of them read again at last", prime,
      nodes: [
        Graph.Node(name: "stem", operation: conv(3, 6, 1), inputs: ["input"]),
        Graph.Node(name: "a", operation: conv(6, 4, 3, padding: .symmetric(1)), inputs: ["stem"]),
        Graph.Node(name: "b", operation: conv(4, 6, 1), inputs: ["a"]),
        Graph.Node(name: "first", operation: .add, inputs: ["b", "stem"]),
        Graph.Node(name: "c", operation: conv(6, 4, 1), inputs: ["first"]),
        Graph.Node(name: "d", operation: conv(4, 6, 3, padding: .symmetric(1)), inputs: ["c"]),
        Graph.Node(name: "second", operation: .add, inputs: ["d", "first"]),
        Graph.Node(name: "e", operation: conv(6, 6, 1, bias: false), inputs: ["second"]),
        Graph.Node(name: "f", operation: conv(6, 6, 3, padding: .symmetric(1)), inputs: ["e"]),
        Graph.Node(name: "third", operation: .add, inputs: ["second", "f"]),
        Graph.Node(name: "last", operation: .add, inputs: ["third", "stem"]),
      ]),
    AwkwardGraph(
      "the picture added to a convolution of itself", prime,
      nodes: [
        Graph.Node(name: "conv", operation: conv(3, 3, 3, padding: .symmetric(1)), inputs: ["input"]),
        Graph.Node(name: "sum", operation: .add, inputs: ["input", "conv"]),
      ]),
    AwkwardGraph(
      "a value added to itself", prime,
      nodes: [
        Graph.Node(name: "conv", operation: conv(3, 4, 1), inputs: ["input"]),
        Graph.Node(name: "sum", operation: .add, inputs: ["conv", "conv"]),
      ]),
    AwkwardGraph(
      "a convolution used before and after its activation", prime,
      nodes: [
        Graph.Node(name: "conv", operation: conv(3, 4, 1), inputs: ["input"]),
        Graph.Node(name: "act", operation: .activation(.sigmoid), inputs: ["conv"]),
        Graph.Node(name: "product", operation: .multiply, inputs: ["conv", "act"]),
      ]),
    AwkwardGraph(
      "three joined", prime,
      nodes: [
        Graph.Node(name: "a", operation: conv(3, 4, 1), inputs: ["input"]),
        Graph.Node(name: "b", operation: conv(3, 5, 3, padding: .symmetric(1)), inputs: ["input"]),
        Graph.Node(name: "join", operation: .concatenate, inputs: ["a", "input", "b"]),
        Graph.Node(name: "out", operation: .flatten, inputs: ["join"]),
      ]),
    AwkwardGraph(
      "squeeze and excitation", prime,
      nodes: [
        Graph.Node(name: "conv", operation: conv(3, 6, 3), inputs: ["input"]),
        Graph.Node(name: "mean", operation: .globalAveragePool, inputs: ["conv"]),
        Graph.Node(name: "gate", operation: conv(6, 6, 1), inputs: ["mean"]),
        Graph.Node(name: "act", operation: .activation(.hardSigmoid), inputs: ["gate"]),
        Graph.Node(name: "out", operation: .multiply, inputs: ["conv", "act"]),
      ]),
  ]

  private static let others = [
    AwkwardGraph("lrn, odd size", Shape(c: 11, h: 3, w: 5), .localResponseNorm(size: 5, alpha: 0.5, beta: 0.75, k: 2)),
    AwkwardGraph("lrn, even size", Shape(c: 11, h: 3, w: 5), .localResponseNorm(size: 4, alpha: 0.5, beta: 0.75, k: 1)),
    AwkwardGraph(
      "lrn, larger than C", Shape(c: 3, h: 3, w: 5), .localResponseNorm(size: 9, alpha: 0.5, beta: 0.75, k: 1)),
    AwkwardGraph("norm alone", prime, .batchNorm(epsilon: 1e-5)),
    AwkwardGraph("norm, then activation", prime, .batchNorm(epsilon: 1e-2), .activation(.relu)),
    AwkwardGraph("flatten", prime, .flatten),
    AwkwardGraph(
      "flatten and linear", prime, conv(3, 4, 3), .activation(.relu), .flatten,
      .linear(Linear(inFeatures: 4 * 11 * 5, outFeatures: 9)), .activation(.tanh), .dropout(probability: 0.5),
      .linear(Linear(inFeatures: 9, outFeatures: 2, bias: false)), .softmax),
    AwkwardGraph("linear on the picture", prime, .linear(Linear(inFeatures: 273, outFeatures: 5))),
    AwkwardGraph(
      "linear on H×W > 1", prime, conv(3, 4, 3), .linear(Linear(inFeatures: 4 * 11 * 5, outFeatures: 9, bias: false)),
      .batchNorm(epsilon: 1e-5)),
    AwkwardGraph("linear on one number", Shape(c: 1), .linear(Linear(inFeatures: 1, outFeatures: 1))),
    AwkwardGraph(
      "sigmoid behind the classifier", prime, conv(3, 4, 3), .activation(.relu), .globalAveragePool, .flatten,
      .linear(Linear(inFeatures: 4, outFeatures: 3)), .activation(.sigmoid)),
    AwkwardGraph(
      "sigmoid behind a mean", prime, conv(3, 4, 3), .globalAveragePool, .flatten, .activation(.sigmoid)),
    AwkwardGraph("softmax over C of a picture", prime, .softmax),
    AwkwardGraph("dropout between", prime, conv(3, 4, 1), .dropout(probability: 0.2), .activation(.relu)),
  ]
}
