internal import COpenBLAS

/// OpenBLAS as the engine uses it: one thread a caller, and proved before it is trusted.
package enum MatrixLibrary {
  /// Makes every product run on the thread that asks for it (`openblas_set_num_threads`).
  ///
  /// Once, before the first plan.
  package static func useOneThread() { openblas_set_num_threads(1) }

  /// Compares a few products with a naive sum; some builds compute wrong results on some processors.
  ///
  /// - Throws: `EngineError.unsound` naming the remedy.
  package static func prove() throws(EngineError) {
    for (rows, columns, depth) in [(1, 1, 1), (7, 5, 3), (33, 17, 65), (64, 96, 27), (49, 320, 130)] {
      let a = (0..<(rows * depth)).map { Float(($0 * 37) % 19) - 9 }
      let b = (0..<(depth * columns)).map { Float(($0 * 53) % 23) - 11 }
      var out = [Float](repeating: .nan, count: rows * columns)
      cblas_sgemm(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(rows), blasint(columns), blasint(depth), 1, a,
        blasint(depth), b,
        blasint(columns), 0, &out, blasint(columns))
      for row in 0..<rows {
        for column in 0..<columns {
          var sum: Float = 0
          for k in 0..<depth { sum += a[row * depth + k] * b[k * columns + column] }
          guard out[row * columns + column] == sum else {
            throw .unsound(
              reason: "OpenBLAS computes a \(rows)×\(depth)×\(columns) product wrong on this processor; set "
                + "OPENBLAS_CORETYPE=Haswell, or install another build of libopenblas")
          }
        }
      }
    }
  }
}
