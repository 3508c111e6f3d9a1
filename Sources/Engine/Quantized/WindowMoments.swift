/// First and second moments of the numbers under a layer's windows: what rounding its weights well has to know.
///
/// A group's row has an entry for each number that one of its sums takes, in the order of the weights: channel, then tap.
struct WindowMoments {
  let groups: Int
  /// Numbers of a row.
  let depth: Int
  private let layer: QuantizedLayer
  private let shape: Shape
  private var sums: [Float]
  /// Groups × depth × depth.
  private var products: [Float]
  private(set) var count = 0
  private var photos = 0

  /// Windows of one photo that are looked at, spread over it.
  private static let windowsPerPhoto = 256
  /// Deeper layers average rounding errors out by themselves, and their moments would take gigabytes.
  static let deepest = 2304

  /// Nil if the layer is too deep.
  init?(_ layer: QuantizedLayer, input shape: Shape) {
    let row = layer.row(of: shape)
    guard row.taps * row.channels <= Self.deepest else { return nil }
    self.layer = layer
    self.shape = shape
    groups = layer.groups
    depth = row.taps * row.channels
    sums = [Float](repeating: 0, count: groups * depth)
    products = [Float](repeating: 0, count: groups * depth * depth)
  }

  /// Adds what one photo's input to the layer holds, in C, H, W order.
  mutating func add(_ values: [Float]) {
    var rows = [[Float]](repeating: [], count: groups)
    let windows = gather(values, into: &rows)
    photos += 1
    count += windows
    for group in 0..<groups {
      for place in 0..<depth {
        let row = rows[group][place * windows..<(place + 1) * windows]
        sums[group * depth + place] += row.reduce(0, +)
      }
      products.withUnsafeMutableBufferPointer { products in
        guard let base = products.baseAddress else { return }
        MatrixLibrary.multiply(
          rows[group], rowStride: windows, isTransposed: false, rows[group], columnsInMemory: windows,
          isTransposed: true, to: base + group * depth * depth, rowStride: depth, rows: depth, depth: windows,
          columns: depth, keeping: 1)
      }
    }
  }

  /// Copies the numbers under some windows, for each group depth × windows of them; returns how many windows.
  private func gather(_ values: [Float], into rows: inout [[Float]]) -> Int {
    guard case .convolution(let c) = layer, let window = layer.window, let out = window.output(of: shape)
    else {
      rows[0] = values
      return 1
    }
    let edges = window.edges(for: shape)
    let step = max(1, out.h * out.w / Self.windowsPerPhoto)
    let chosen = Array(stride(from: photos % step, to: out.h * out.w, by: step))
    let area = shape.h * shape.w
    for group in 0..<groups {
      var row: [Float] = []
      row.reserveCapacity(depth * chosen.count)
      for channel in 0..<depth / layer.taps {
        let plane = (group * (depth / layer.taps) + channel) * area
        for ky in 0..<c.kernel.h {
          for kx in 0..<c.kernel.w {
            for place in chosen {
              let y = place / out.w * c.stride.h - edges.top + ky * c.dilation.h
              let x = place % out.w * c.stride.w - edges.left + kx * c.dilation.w
              let isInside = y >= 0 && y < shape.h && x >= 0 && x < shape.w
              row.append(isInside ? values[plane + y * shape.w + x] : 0)
            }
          }
        }
      }
      rows[group] = row
    }
    return chosen.count
  }

  /// Means of a group's row.
  func means(group: Int) -> [Float] {
    (0..<depth).map { sums[group * depth + $0] / Float(max(1, count)) }
  }

  /// Covariances of a group's row, each place divided by its `factors`, with something added to the variances so that
  /// few photos do not pass for all.
  func covariances(group: Int, factors: [Float]) -> [Double] {
    let means = means(group: group)
    var result = [Double](repeating: 0, count: depth * depth)
    var trace = 0.0
    for i in 0..<depth {
      for j in 0..<depth {
        let product = Double(products[(group * depth + i) * depth + j]) / Double(max(1, count))
        result[i * depth + j] =
          (product - Double(means[i]) * Double(means[j])) / (Double(factors[i]) * Double(factors[j]))
      }
      trace += result[i * depth + i]
    }
    let share = 0.01 + min(1, Double(depth) / Double(max(1, count)))
    let added = max(trace / Double(depth) * share, Double.leastNormalMagnitude)
    for i in 0..<depth { result[i * depth + i] += added }
    return result
  }
}
