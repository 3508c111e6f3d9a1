internal import COpenBLAS

/// OpenBLAS as the engine uses it: one thread a caller, and proved before it is trusted.
package enum MatrixLibrary {
  /// Makes every product run on the thread that asks for it (`openblas_set_num_threads`).
  ///
  /// Once, before the first plan.
  package static func useOneThread() { openblas_set_num_threads(1) }

  /// Row-major product (`cblas_sgemm`): out (rows × columns) = a (rows × depth) · b (depth × columns), or added to out.
  ///
  /// A transposed operand lies in memory with its axes exchanged. Strides count floats from row to row in memory.
  package static func multiply(
    _ a: UnsafePointer<Float>, rowStride: Int, isTransposed: Bool = false, _ b: UnsafePointer<Float>,
    columnsInMemory bStride: Int, isTransposed bIsTransposed: Bool = false, to out: UnsafeMutablePointer<Float>,
    rowStride outStride: Int, rows: Int, depth: Int, columns: Int, adding: Bool = false
  ) {
    cblas_sgemm(
      CblasRowMajor, isTransposed ? CblasTrans : CblasNoTrans, bIsTransposed ? CblasTrans : CblasNoTrans,
      blasint(rows), blasint(columns), blasint(depth), 1, a, blasint(rowStride), b, blasint(bStride), adding ? 1 : 0,
      out, blasint(outStride))
  }

  /// Compares a few products with a naive sum; some builds compute wrong results on some processors.
  ///
  /// - Throws: `EngineError.unsound` naming the remedy.
  package static func prove() throws(EngineError) {
    for (rows, columns, depth) in [(1, 1, 1), (7, 5, 3), (33, 17, 65), (64, 96, 27), (49, 320, 130)] {
      let a = (0..<(rows * depth)).map { Float(($0 * 37) % 19) - 9 }
      let b = (0..<(depth * columns)).map { Float(($0 * 53) % 23) - 11 }
      var out = [Float](repeating: .nan, count: rows * columns)
      multiply(
        a, rowStride: depth, b, columnsInMemory: columns, to: &out, rowStride: columns, rows: rows, depth: depth,
        columns: columns)
      guard out == naiveProduct(a, b, rows: rows, depth: depth, columns: columns) else {
        throw .unsound(
          reason: "OpenBLAS computes a \(rows)×\(depth)×\(columns) product wrong on this processor; set "
            + "OPENBLAS_CORETYPE=Haswell, or install another build of libopenblas")
      }
    }
  }

  /// Row by row, so that it is quick; of small whole numbers every order gives the same sums.
  private static func naiveProduct(_ a: [Float], _ b: [Float], rows: Int, depth: Int, columns: Int) -> [Float] {
    var out = [Float](repeating: 0, count: rows * columns)
    out.withUnsafeMutableBufferPointer { out in
      b.withUnsafeBufferPointer { b in
        for (index, factor) in a.enumerated() {
          let (row, k) = (index / depth * columns, index % depth * columns)
          for column in 0..<columns { out[row + column] += factor * b[k + column] }
        }
      }
    }
    return out
  }
}
