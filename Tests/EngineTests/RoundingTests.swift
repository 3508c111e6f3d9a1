import Engine
import TestSupport
import Testing

@Suite("Weights rounded with regard to their inputs lose less than each rounded to the nearest")
struct RoundingTests {
  static let layers = [
    AwkwardGraph("1×1", Shape(c: 24, h: 9, w: 9), AwkwardGraph.conv(24, 10, 1)),
    AwkwardGraph(
      "3×3, stride 2", Shape(c: 6, h: 13, w: 13), AwkwardGraph.conv(6, 9, 3, stride: 2, padding: .symmetric(1))),
    AwkwardGraph("no bias", Shape(c: 24, h: 9, w: 9), AwkwardGraph.conv(24, 10, 1, bias: false)),
    AwkwardGraph("depthwise", Shape(c: 8, h: 15, w: 15), AwkwardGraph.conv(8, 8, 5, padding: .symmetric(2), groups: 8)),
    AwkwardGraph("grouped", Shape(c: 12, h: 9, w: 9), AwkwardGraph.conv(12, 6, 3, groups: 3)),
    AwkwardGraph(
      "linear", Shape(c: 3, h: 4, w: 4), .flatten, .linear(Linear(inFeatures: 48, outFeatures: 7))),
  ]

  @Test(arguments: layers)
  func losesLess(_ layer: AwkwardGraph) throws {
    let graph = layer.graph
    let quantization = scales(graph)
    var generator = Seeded(seed: 3)
    let (folded, rounded) = try rounded(graph, quantization, photos: 60, &generator)
    let nearest = try roundedToNearest(folded, quantization)
    var (own, plain) = (ValueDistance(), ValueDistance())
    for _ in 0..<20 {
      let image = image(graph.inputShape, &generator)
      let wanted = try answer(graph, folded, image)
      own.add(wanted, try answer(graph, rounded, image))
      plain.add(wanted, try answer(graph, nearest, image))
    }
    #expect(own.square < 0.5 * plain.square, "\(own.square) against \(plain.square)")
  }

  /// The weights that come out are bytes already, so that nothing is lost when they are stored and read again.
  @Test(arguments: layers)
  func givesWholeMultiples(_ layer: AwkwardGraph) throws {
    let graph = layer.graph
    let quantization = scales(graph)
    var generator = Seeded(seed: 3)
    let rounded = try rounded(graph, quantization, photos: 3, &generator).rounded
    let name = try #require(graph.nodes.last?.name)
    let rowScales = try rounded.floats(ofTensor: "\(name).weight_scale")
    let weights = try rounded.floats(ofTensor: "\(name).weight")
    let factors = factors(graph, quantization)
    let depth = weights.count / rowScales.count
    for (index, weight) in weights.enumerated() {
      let row = index / depth
      let byte = weight * factors(row, index % depth) / rowScales[row]
      #expect(byte.magnitude < 127.01 && (byte - byte.rounded()).magnitude < 0.01, "\(weight) in row \(row)")
    }
  }

  /// A graph's network with seeded weights, and the same rounded with regard to some images.
  private func rounded(
    _ graph: Graph, _ quantization: Quantization, photos: Int, _ generator: inout Seeded
  ) throws -> (folded: FoldedNetwork, rounded: FoldedNetwork) {
    let folded = try FoldedNetwork(graph: graph, weights: SeededTensors(graph: graph, seed: 1))
    var moments = try LayerMoments(of: folded)
    let interpreter = try ReferenceInterpreter(graph: graph, weights: folded)
    for _ in 0..<photos { moments.observe(interpreter.everyValue(input: image(graph.inputShape, &generator))) }
    return (folded, try moments.rounded(for: quantization))
  }

  /// Two patterns that all channels share, each with a share of its own, and little else.
  private func image(_ shape: Shape, _ generator: inout Seeded) -> [Float] {
    var shares = Seeded(seed: 11)
    let patterns = (0..<2).map { _ in generator.floats(4, in: -1...1) }
    var image: [Float] = []
    for _ in 0..<shape.c {
      let share = shares.floats(2, in: -2...2)
      for y in 0..<shape.h {
        for x in 0..<shape.w {
          let waves = patterns.map { $0[0] + $0[1] * Float(x) / 8 + $0[2] * Float(y) / 8 + $0[3] * Float(x * y) / 64 }
          image.append(
            0.5 + share[0] * waves[0] + share[1] * waves[1] + Float.random(in: -0.05...0.05, using: &generator))
        }
      }
    }
    return image
  }

  private func scales(_ graph: Graph) -> Quantization {
    let input = (0..<graph.inputShape.c).map { ByteScale(scale: 0.01 * Float(1 + $0 % 3), zeroPoint: 128) }
    let values = graph.nodes.map { ($0.name, [ByteScale(scale: 0.02, zeroPoint: 128)]) }
    return Quantization(input: input, values: Dictionary(uniqueKeysWithValues: values))
  }

  /// What a number of a row of the last layer's weights is multiplied with.
  private func factors(_ graph: Graph, _ quantization: Quantization) -> (_ row: Int, _ place: Int) -> Float {
    guard case .convolution(let c)? = graph.nodes.last?.operation else { return { _, _ in 0.02 } }
    let (taps, channels) = (c.kernel.h * c.kernel.w, c.inChannels / c.groups)
    return { row, place in
      quantization.input[row / (c.outChannels / c.groups) * channels + place / taps].scale
    }
  }

  private func roundedToNearest(_ folded: FoldedNetwork, _ quantization: Quantization) throws -> FoldedNetwork {
    let name = try #require(folded.graph.nodes.last?.name)
    let weights = try folded.floats(ofTensor: "\(name).weight")
    let rows = try #require(folded.extents(ofTensor: "\(name).weight")?.first)
    let factors = factors(folded.graph, quantization)
    let depth = weights.count / rows
    let signed = SignedBytes(weights, rows: rows, groups: rows) { row in (0..<depth).map { factors(row, $0) } }
    var nearest = folded
    nearest.replace(
      "\(name).weight",
      by: weights.indices.map {
        Float(signed.bytes[$0]) * signed.scales[$0 / depth] / factors($0 / depth, $0 % depth)
      })
    return nearest
  }

  private func answer(_ graph: Graph, _ weights: FoldedNetwork, _ image: [Float]) throws -> [Float] {
    try ReferenceInterpreter(graph: graph, weights: weights).everyValue(input: image)[graph.outputName] ?? []
  }
}

private struct ValueDistance {
  private(set) var square: Float = 0

  mutating func add(_ first: [Float], _ second: [Float]) {
    for (x, y) in zip(first, second) { square += (x - y) * (x - y) }
  }
}
