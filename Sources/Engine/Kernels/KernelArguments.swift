internal import CKernels

/// The single piece of rows that lie in one.
private enum WholeRows {
  nonisolated(unsafe) static let segments: UnsafePointer<Int> = {
    let zero = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    zero.initialize(to: 0)
    return UnsafePointer(zero)
  }()
}

extension ckernels_product {
  /// One group of rows that lie in one; the matrix and columns come from `MatrixProduct.run`.
  init(
    rows: Int, depth: Int, from a: UnsafePointer<Float>, stride: Int, to out: UnsafeMutablePointer<Float>,
    stride outStride: Int, bias: UnsafePointer<Float>?, activation: Int32
  ) {
    self.init(
      a: a, row_stride: stride, group_stride: 0, segments: WholeRows.segments, segment_count: 1, segment_length: depth,
      panels: a, ahead: nil, bias: bias, residual: nil, residual_row_stride: 0, residual_group_stride: 0, out: out,
      out_row_stride: outStride, out_group_stride: 0, rows: rows, groups: 1, columns: 0, padding: 0,
      activation: activation)
  }
}

extension ckernels_rows {
  /// A pass without scale, shift and addend.
  init(
    _ a: UnsafePointer<Float>, stride: Int, to out: UnsafeMutablePointer<Float>, stride outStride: Int, rows: Int,
    channels: Int, activation: Int32
  ) {
    self.init(
      a: a, scale: nil, shift: nil, b: nil, out: out, a_stride: stride, b_stride: 0, out_stride: outStride, rows: rows,
      channels: channels, activation: activation)
  }
}
