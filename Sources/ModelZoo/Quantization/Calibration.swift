package import Engine
internal import Glibc

extension Double {
  var logarithm: Double { log(self) }
}

/// How ranges are found from what values held for example photos, and how far the channels of a value have their own.
package struct RangeMethod: Equatable, Sendable {
  package enum Cut: Equatable, Sendable {
    /// From the smallest number to the largest.
    case minMax
    /// All but this share of the numbers, the extremes; 0.0001 keeps 99.99 %.
    case percentile(cut: Double)
    /// The interval that tells the distribution best.
    case entropy
  }

  package var cut: Cut
  /// 1: each channel its own range; 0: all the widest one; between, the geometric mean so weighted.
  ///
  /// A range of its own tells a channel finely, but leaves the weights that read it coarse beside the others (as in
  /// Xiao et al., arXiv:2211.10438), and cuts what the example photos did not show.
  package var ownership: Float

  package init(_ cut: Cut, ownership: Float) {
    self.cut = cut
    self.ownership = ownership
  }
}

/// What every value of a network held for example photos.
package struct Calibration {
  package let folded: FoldedNetwork
  private let interpreter: LayerwiseInterpreter
  private let shapes: [String: Shape]
  /// By node, a histogram a channel.
  private var histograms: [String: [ValueHistogram]] = [:]
  /// Photos seen.
  package private(set) var count = 0

  /// - Throws: `EngineError` when graph and weights contradict each other.
  package init(of folded: FoldedNetwork) throws(EngineError) {
    self.folded = folded
    shapes = try folded.graph.shapes()
    interpreter = try LayerwiseInterpreter(graph: folded.graph, weights: folded)
    for (name, shape) in shapes { histograms[name] = [ValueHistogram](repeating: ValueHistogram(), count: shape.c) }
  }

  /// Counts what the values of one photo hold, as `everyValue(of:)` gives them.
  package mutating func observe(_ values: [String: [Float]]) {
    count += 1
    for (name, numbers) in values {
      guard let shape = shapes[name] else { continue }
      let area = shape.h * shape.w
      for c in 0..<shape.c { histograms[name]?[c].add(numbers[c * area..<(c + 1) * area]) }
    }
  }

  /// Every value of one photo by node name, and the photo itself, in C, H, W order.
  ///
  /// - Parameter image: C×H×W floats.
  /// - Returns: the values by name.
  package func everyValue(of image: [Float]) -> [String: [Float]] { interpreter.everyValue(input: image) }

  /// The scales that the ranges give.
  ///
  /// - Parameters:
  ///   - method: how the ranges are found.
  ///   - input: the scales of the picture's channels, one each.
  /// - Returns: the scales of the picture and of every value.
  package func quantization(by method: RangeMethod, input: [ByteScale]) -> Quantization {
    var values: [String: [ByteScale]] = [:]
    for node in folded.graph.nodes {
      guard let channels = histograms[node.name], count > 0 else { continue }
      let ranges = channels.map { $0.range(by: method.cut) }
      values[node.name] = Self.scales(ranges, isLookedUp(node) ? 0 : method.ownership)
    }
    return Quantization(input: input, values: values)
  }

  /// Activations that are no mere bounds are computed with one scale for all channels.
  private func isLookedUp(_ node: Graph.Node) -> Bool {
    guard case .activation(let activation) = node.operation else { return false }
    return activation != .relu && activation != .relu6
  }

  private static func scales(_ ranges: [(low: Float, high: Float)], _ ownership: Float) -> [ByteScale] {
    let sizes = ranges.map { max(-$0.low, $0.high, 0) }
    let most = sizes.max() ?? 0
    guard ownership > 0, most > 0 else {
      let low = ranges.map(\.low).min() ?? 0
      return [ByteScale(covering: low, ranges.map(\.high).max() ?? 0)]
    }
    return zip(ranges, sizes).map { range, size in
      // A channel that hardly ever speaks must not claim all of the weights that read it.
      let least = max(size, most / 64)
      let factor = powf(most / least, 1 - ownership)
      guard size > 0 else { return ByteScale(covering: 0, least * factor) }
      let wide = least / size * factor
      return ByteScale(covering: range.low * wide, range.high * wide)
    }
  }
}

extension ValueHistogram {
  fileprivate func range(by cut: RangeMethod.Cut) -> (low: Float, high: Float) {
    guard total > 0 else { return (0, 0) }
    return switch cut {
    case .minMax: (lowest, highest)
    case .percentile(let cut): range(without: cut)
    case .entropy: rangeOfLeastDivergence()
    }
  }
}
