extension MatrixLibrary {
  /// One square product, repeated by whoever measures how fast this machine is just now.
  ///
  /// `@unchecked`: one thread runs it.
  package final class Exercise: @unchecked Sendable {
    private let side: Int
    private let operands: UnsafeMutablePointer<Float>

    /// Floating-point operations of one run.
    package var operations: Double { 2 * Double(side) * Double(side) * Double(side) }

    /// `side`: rows and columns; three such matrices should fit the second-level cache.
    ///
    /// - Throws: `EngineError.unsound` when OpenBLAS is not to be had.
    package init(side: Int) throws(EngineError) {
      try MatrixLibrary.prove()
      self.side = side
      operands = .allocate(capacity: 3 * side * side)
      for index in 0..<3 * side * side { operands[index] = Float(index % 7) }
    }

    deinit { operands.deallocate() }

    /// Multiplies once (`cblas_sgemm`).
    package func run() {
      let count = side * side
      MatrixLibrary.multiply(
        operands, rowStride: side, operands + count, columnsInMemory: side, to: operands + 2 * count, rowStride: side,
        rows: side, depth: side, columns: side)
    }
  }
}
