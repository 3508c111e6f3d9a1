/// Row-major matrix products of training, on the calling thread.
enum GradientProduct {
  /// out (rows × columns) = a (rows × depth) · b (depth × columns) + keep · out.
  static func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, aStride: Int? = nil, outStride: Int? = nil, keep: Float = 0
  ) {
    MatrixLibrary.multiply(
      a, rowStride: aStride ?? depth, b, columnsInMemory: columns, to: out, rowStride: outStride ?? columns, rows: rows,
      depth: depth, columns: columns, keeping: keep)
  }

  /// out (rows × columns) = aᵀ · b + keep · out, with a (depth × rows) and b (depth × columns).
  static func multiplyTransposingFirst(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, aStride: Int? = nil, bStride: Int? = nil, keep: Float = 1
  ) {
    MatrixLibrary.multiply(
      a, rowStride: aStride ?? rows, isTransposed: true, b, columnsInMemory: bStride ?? columns, to: out,
      rowStride: columns, rows: rows, depth: depth, columns: columns, keeping: keep)
  }

  /// out (rows × columns) = a · bᵀ + keep · out, with a (rows × depth) and b (columns × depth).
  static func multiplyTransposingSecond(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, aStride: Int? = nil, outStride: Int? = nil, keep: Float = 0
  ) {
    MatrixLibrary.multiply(
      a, rowStride: aStride ?? depth, isTransposed: false, b, columnsInMemory: depth, isTransposed: true, to: out,
      rowStride: outStride ?? columns, rows: rows, depth: depth, columns: columns, keeping: keep)
  }
}
