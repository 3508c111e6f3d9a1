internal import COpenBLAS

/// Row-major matrix products of training, on the calling thread.
enum GradientProduct {
  /// out (rows × columns) = a (rows × depth) · b (depth × columns) + keep · out.
  static func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, aStride: Int? = nil, outStride: Int? = nil, keep: Float = 0
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(rows), blasint(columns), blasint(depth), 1, a,
      blasint(aStride ?? depth), b, blasint(columns), keep, out, blasint(outStride ?? columns))
  }

  /// out (rows × columns) = aᵀ · b + keep · out, with a (depth × rows) and b (depth × columns).
  static func multiplyTransposingFirst(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, aStride: Int? = nil, bStride: Int? = nil, keep: Float = 1
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, blasint(rows), blasint(columns), blasint(depth), 1, a,
      blasint(aStride ?? rows), b, blasint(bStride ?? columns), keep, out, blasint(columns))
  }

  /// out (rows × columns) = a · bᵀ + keep · out, with a (rows × depth) and b (columns × depth).
  static func multiplyTransposingSecond(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, aStride: Int? = nil, outStride: Int? = nil, keep: Float = 0
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows), blasint(columns), blasint(depth), 1, a,
      blasint(aStride ?? depth), b, blasint(depth), keep, out, blasint(outStride ?? columns))
  }
}
