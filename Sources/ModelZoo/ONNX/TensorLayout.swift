/// How a tensor's numbers lie: number (i, j, …) is number i·strides[0] + j·strides[1] + … of those that are stored.
struct TensorLayout: Sendable {
  let extents: [Int]
  let strides: [Int]

  /// Bytes of a mapped file that the kernel maps around one that is touched (`fault_around_bytes`).
  private static let fetched = 1 << 16

  init(extents: [Int], strides: [Int]) {
    self.extents = extents
    self.strides = strides
  }

  init(contiguous extents: [Int]) {
    self.init(extents: extents, strides: StateDict.contiguousStrides(of: extents))
  }

  /// The same numbers with their axes in another order.
  func transposed(_ order: [Int]) -> TensorLayout {
    TensorLayout(extents: order.map { extents[$0] }, strides: order.map { strides[$0] })
  }

  /// The same numbers, row by row, seen in another shape of as many; nil if that shape joins what does not lie together.
  func reshaped(_ shape: [Int]) -> TensorLayout? {
    let axes = joined
    var parts: [(extent: Int, stride: Int)] = []
    var rest = shape[...]
    for axis in axes {
      var (left, group) = (axis.extent, [Int]())
      while left > 1 {
        guard let extent = rest.popFirst(), extent > 0, left.isMultiple(of: extent) else { return nil }
        group.append(extent)
        left /= extent
      }
      for (extent, inner) in zip(group, StateDict.contiguousStrides(of: group)) {
        parts.append((extent, inner * axis.stride))
      }
    }
    guard rest.allSatisfy({ $0 == 1 }) else { return nil }
    parts += rest.map { ($0, 0) }
    return TensorLayout(extents: parts.map(\.extent), strides: parts.map(\.stride))
  }

  /// Neighbouring axes that lie together as one, those of extent 1 left out.
  private var joined: [(extent: Int, stride: Int)] {
    var axes: [(extent: Int, stride: Int)] = []
    for (extent, stride) in zip(extents, strides) where extent != 1 {
      if let last = axes.last, last.stride == stride * extent {
        axes[axes.count - 1] = (last.extent * extent, stride)
      } else {
        axes.append((extent, stride))
      }
    }
    return axes
  }

  /// Whether the numbers lie one behind the other.
  var isContiguous: Bool {
    let axes = joined
    return axes.isEmpty || axes.count == 1 && axes[0].stride == 1 || extents.contains(0)
  }

  /// How far apart the first and the last number lie.
  var span: Int { zip(extents, strides).reduce(0) { $0 + max(0, $1.0 - 1) * $1.1 } }

  /// A row along the first axis.
  var row: TensorLayout {
    TensorLayout(extents: Array(extents.dropFirst()), strides: Array(strides.dropFirst()))
  }

  /// Whether rows along the first axis lie in one another, as the columns of a matrix do: then one costs almost what all
  /// cost.
  var rowsInterlace: Bool { extents.count > 1 && strides[0] <= row.span }

  /// The numbers of some rows along the first axis, row by row, out of those that are stored.
  ///
  /// `touched` hears about how many bytes were looked at since it heard of any.
  func gather<Number: BitwiseCopyable>(
    _ rows: Range<Int>, of stored: UnsafeRawBufferPointer, as type: Number.Type, touched: (Int) -> Void
  ) -> [Number] {
    let row = row
    let length = row.extents.reduce(1, *)
    guard !rows.isEmpty else { return [] }
    // Some numbers of a row at a time, lest rows that interlace fetch each line of memory once a number.
    let tile = 16
    let reach = tile * (rows.count * strides[0] * MemoryLayout<Number>.stride + Self.fetched)
    return [Number](unsafeUninitializedCapacity: rows.count * length) { numbers, count in
      withUnsafeTemporaryAllocation(of: Int.self, capacity: tile) { places in
        var walk = LayoutWalk(row)
        for first in stride(from: 0, to: length, by: tile) {
          let width = min(tile, length - first)
          for place in 0..<width { places[place] = walk.next() }
          for index in 0..<rows.count {
            let start = (rows.lowerBound + index) * strides[0]
            for place in 0..<width {
              let number = stored.loadUnaligned(
                fromByteOffset: (start + places[place]) * MemoryLayout<Number>.stride, as: type)
              numbers.initializeElement(at: index * length + first + place, to: number)
            }
          }
          touched(reach)
        }
      }
      count = rows.count * length
    }
  }
}

/// The places of a layout's numbers, row by row.
private struct LayoutWalk {
  private let layout: TensorLayout
  private var indices: [Int]
  private var position = 0

  init(_ layout: TensorLayout) {
    self.layout = layout
    indices = [Int](repeating: 0, count: layout.extents.count)
  }

  /// The place that is next; after the last the first again.
  mutating func next() -> Int {
    let place = position
    for axis in indices.indices.reversed() {
      indices[axis] += 1
      position += layout.strides[axis]
      if indices[axis] < layout.extents[axis] { break }
      position -= layout.strides[axis] * layout.extents[axis]
      indices[axis] = 0
    }
    return place
  }
}
