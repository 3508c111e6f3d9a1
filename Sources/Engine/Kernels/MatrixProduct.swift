internal import CKernels

/// A matrix of weights, ready to be multiplied from the left by rows of activations.
///
/// `depth` rows by `columns` columns: the outputs and zeros up to a multiple of 16.
struct MatrixProduct: Sendable {
  /// What computes it, and so in which form it lies in memory.
  enum Kind: Sendable {
    /// The engine's kernels, from panels of floats.
    case own
    /// The engine's kernels, from panels of pairs of bf16.
    case bf16
    /// OpenBLAS, row by row.
    case library

    /// What a step's name says of it.
    var suffix: String {
      switch self {
      case .own: ""
      case .bf16: ", bf16"
      case .library: ", OpenBLAS"
      }
    }
  }

  let kernels: Kernels
  let kind: Kind
  let depth: Int
  let outputs: Int
  let memory: FloatMemory
  /// Floats from the start of the memory.
  let offset: Int

  /// Packs a row-major matrix.
  init(_ matrix: FloatMemory, depth: Int, outputs: Int, _ kind: Kind, kernels: Kernels) {
    self.kernels = kernels
    self.kind = kind
    self.depth = depth
    self.outputs = outputs
    offset = 0
    let columns = Value.padded(outputs)
    switch kind {
    case .own:
      memory = FloatMemory(count: depth * columns)
      kernels.table.pointee.pack(matrix.floats, depth, columns, memory.floats)
    case .bf16:
      memory = FloatMemory(count: Self.pairs(depth) * columns)
      kernels.bf16.pointee.pack(matrix.floats, depth, columns, memory.floats)
    case .library: memory = matrix
    }
  }

  /// Packs a layer's weights: a row for each place of a window and each input there.
  ///
  /// `height` is how many inputs a place has in memory; those beyond `inputs` are met by zeros.
  init(
    _ weights: WeightRows, inputs: Int, height: Int, area: Int, _ kind: Kind, kernels: Kernels
  ) throws(EngineError) {
    self.kernels = kernels
    self.kind = kind
    let (depth, columns) = (area * height, Value.padded(weights.outputs))
    let panel = kernels.panelColumns(kind)
    let memory = FloatMemory(count: kind == .bf16 ? Self.pairs(depth) * columns : depth * columns)
    let plain = kind == .bf16 ? FloatMemory(count: depth * panel) : memory
    try weights.eachPanel(of: panel) { outputs, width, numbers, scale in
      let first = outputs.lowerBound
      switch kind {
      case .own:
        ckernels_transpose(numbers, scale, outputs.count, inputs, area, memory.floats + first * depth, height, width)
      case .library:
        ckernels_transpose(numbers, scale, outputs.count, inputs, area, memory.floats + first, height, columns)
      case .bf16:
        // What the panel before left where this one has nothing.
        if outputs.count < panel { plain.floats.update(repeating: 0, count: plain.count) }
        ckernels_transpose(numbers, scale, outputs.count, inputs, area, plain.floats, height, width)
        kernels.bf16.pointee.pack(plain.floats, depth, width, memory.floats + first * Self.pairs(depth))
      }
    }
    self.depth = depth
    outputs = weights.outputs
    self.memory = memory
    offset = 0
  }

  /// A matrix that lies packed in memory already.
  init(packed memory: FloatMemory, at offset: Int, depth: Int, outputs: Int, _ kind: Kind, kernels: Kernels) {
    self.kernels = kernels
    self.kind = kind
    self.depth = depth
    self.outputs = outputs
    self.memory = memory
    self.offset = offset
  }

  /// Rows of pairs.
  private static func pairs(_ depth: Int) -> Int { (depth + 1) / 2 }

  var columns: Int { Value.padded(outputs) }

  var isLibrary: Bool { kind == .library }

  /// Columns that cannot be split any further between lanes.
  var grain: Int { kernels.panelColumns(kind) }

  /// Scratch floats for a product of so many rows.
  func scratchFloats(rows: Int, segments: Int) -> Int {
    switch kind {
    case .own: 0
    case .bf16: ckernels_bf16_scratch(rows, depth)
    case .library: segments > 1 ? rows * depth : 0
    }
  }

  private static let halvesPay = ckernels_halves_pay() != 0

  /// Computes a range of columns, its start a multiple of `grain`.
  ///
  /// The product's pointers of bias, residual and out are those of column 0; its matrix is filled in here, unless `panels`
  /// holds the range's columns changed by `scale`. Products of bf16 alone take `factors` of the activations' columns.
  func run(
    _ given: ckernels_product, columns range: Range<Int>, panels: UnsafePointer<Float>? = nil,
    factors: UnsafePointer<Float>? = nil, scratch: UnsafeMutablePointer<Float>
  ) {
    guard !range.isEmpty, given.rows > 0 else { return }
    var product = given
    product.bias = given.bias.map { $0 + range.lowerBound }
    product.residual = given.residual.map { $0 + range.lowerBound }
    product.out = given.out + range.lowerBound
    product.columns = range.count
    product.padding = Self.halvesPay ? max(0, range.upperBound - outputs) : 0
    let weights = UnsafePointer(memory.floats + offset)
    switch kind {
    case .own:
      product.panels = panels ?? weights + range.lowerBound * depth
      kernels.table.pointee.multiply(&product)
    case .bf16:
      kernels.bf16.pointee.multiply(&product, weights + range.lowerBound * Self.pairs(depth), factors, scratch)
    case .library: runLibrary(product, weights + range.lowerBound, scratch)
    }
  }

  /// Where the weights of a column lie, its number a multiple of `grain`; nil behind the last, and in OpenBLAS's form.
  func panels(from column: Int) -> UnsafePointer<Float>? {
    kind == .own && column < columns ? UnsafePointer(memory.floats + offset + column * depth) : nil
  }

  /// Writes a range of columns, its start a multiple of `grain`, with each row multiplied by its factor; only of panels
  /// of floats.
  func scale(by factors: UnsafePointer<Float>, columns range: Range<Int>, to panels: UnsafeMutablePointer<Float>) {
    kernels.table.pointee.scale_panels(
      memory.floats + offset + range.lowerBound * depth, depth, range.count, factors, panels)
  }

  /// Of one group; rows that lie in pieces are gathered first.
  private func runLibrary(
    _ product: ckernels_product, _ weights: UnsafePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
  ) {
    precondition(product.groups == 1, "windows of several lines are gathered before OpenBLAS multiplies them")
    var (source, rowStride) = (product.a + product.segments[0], product.row_stride)
    if product.segment_count > 1 {
      gather(product, to: scratch)
      (source, rowStride) = (UnsafePointer(scratch), depth)
    }
    if product.columns == columns && depth * columns <= Self.mostFetched { ckernels_fetch(weights, depth * columns) }
    let part = MatrixLibrary.extentPerCall(rows: product.rows, depth: depth, columns: product.columns)
    for column in stride(from: 0, to: product.columns, by: part.columns) {
      for row in stride(from: 0, to: product.rows, by: part.rows) {
        MatrixLibrary.multiply(
          source + row * rowStride, rowStride: rowStride, weights + column, columnsInMemory: columns,
          to: product.out + row * product.out_row_stride + column, rowStride: product.out_row_stride,
          rows: min(part.rows, product.rows - row), depth: depth, columns: min(part.columns, product.columns - column))
      }
    }
    guard product.bias != nil || product.residual != nil || product.activation != 0 else { return }
    var finish = ckernels_rows(
      UnsafePointer(product.out), stride: product.out_row_stride, to: product.out, stride: product.out_row_stride,
      rows: product.rows, channels: product.columns, activation: product.activation)
    finish.shift = product.bias
    finish.b = product.residual
    finish.b_stride = product.residual_row_stride
    kernels.table.pointee.rows(&finish)
  }

  /// Weights up to which OpenBLAS finds them in the second-level cache if they were asked for; it copies them together in an
  /// order in which each line would be waited for.
  private static let mostFetched = 1 << 19

  /// Copies the pieces of each row together, row after row of each group.
  func gather(_ product: ckernels_product, to scratch: UnsafeMutablePointer<Float>) {
    var target = scratch
    for group in 0..<product.groups {
      for row in 0..<product.rows {
        let source = product.a + group * product.group_stride + row * product.row_stride
        for segment in 0..<product.segment_count {
          target.update(from: source + product.segments[segment], count: product.segment_length)
          target += product.segment_length
        }
      }
    }
  }
}
