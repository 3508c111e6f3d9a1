internal import COpenBLAS
internal import Glibc

/// OpenBLAS: opened and proved when it is first wanted, and on one thread a caller.
///
/// While it is open every thread carries 60 KiB for it, and opening takes as long as starting the rest of the daemon does,
/// so that networks which run on the engine's own kernels go without: `docs/decisions/0027-openblas-when-wanted.md`.
package enum MatrixLibrary {
  private typealias Product =
    @convention(c) (
      CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, Float, UnsafePointer<Float>?, blasint,
      UnsafePointer<Float>?, blasint, Float, UnsafeMutablePointer<Float>?, blasint
    ) -> Void

  /// Has the library take kernels for this processor's instructions, unless the environment names others
  /// (`OPENBLAS_CORETYPE`): of a processor that is newer than itself it takes it that there are none but SSE3.
  ///
  /// Before there is a second thread, since others may read the environment.
  package static func nameKernels() {
    let core: String
    switch InstructionSet.best {
    case .avx512, .amx: core = "SkylakeX"
    case .avx2: core = "Haswell"
    case .portable: return
    }
    setenv("OPENBLAS_CORETYPE", core, 0)
  }

  private static let proved: Result<Product, EngineError> = Result { () throws(EngineError) in
    let product = try open()
    try check(product)
    return product
  }

  /// Opens the library unless that was done, and compares a few products with a naive sum: some builds compute wrong
  /// results on some processors.
  ///
  /// Any thread; before the first product.
  ///
  /// - Throws: `EngineError.unsound` naming the remedy, each time.
  package static func prove() throws(EngineError) { _ = try proved.get() }

  /// Row-major product (`cblas_sgemm`): out (rows × columns) = a (rows × depth) · b (depth × columns) + keep · out.
  ///
  /// A transposed operand lies in memory with its axes exchanged. Strides count floats from row to row in memory. Runs on
  /// the thread that asks for it; `prove()` must have succeeded.
  package static func multiply(
    _ a: UnsafePointer<Float>, rowStride: Int, isTransposed: Bool = false, _ b: UnsafePointer<Float>,
    columnsInMemory bStride: Int, isTransposed bIsTransposed: Bool = false, to out: UnsafeMutablePointer<Float>,
    rowStride outStride: Int, rows: Int, depth: Int, columns: Int, keeping keep: Float = 0
  ) {
    guard case .success(let product) = proved else { preconditionFailure("a product before OpenBLAS was proved") }
    product(
      CblasRowMajor, isTransposed ? CblasTrans : CblasNoTrans, bIsTransposed ? CblasTrans : CblasNoTrans,
      blasint(rows), blasint(columns), blasint(depth), 1, a, blasint(rowStride), b, blasint(bStride), keep, out,
      blasint(outStride))
  }

  /// Whether it has kernels that read small operands where they lie: only for AVX-512.
  static let hasSmallKernels = InstructionSet.available.contains(.avx512)
  /// Multiplications up to which it takes them (`sgemm_small_kernel_permit_skylakex.c`).
  private static let mostSmall = 1_000_000
  /// Columns and rows that are worth a call.
  private static let (callColumns, fewestRows) = (64, 48)

  /// How many rows and columns of a product one call should compute: all, or so few that the library need not copy the operands
  /// together first.
  static func extentPerCall(rows: Int, depth: Int, columns: Int) -> (rows: Int, columns: Int) {
    let part = min(columns, callColumns)
    let most = mostSmall / max(1, depth * part)
    guard hasSmallKernels, rows * depth * columns > mostSmall, most >= fewestRows else { return (rows, columns) }
    let calls = (rows + most - 1) / most
    return ((rows + calls - 1) / calls, part)
  }

  /// Opens the library (`dlopen`, `openblas_set_num_threads`).
  private static func open() throws(EngineError) -> Product {
    // The library starts threads of its own, which must take no signal of ours.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    guard let library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL),
      let product = dlsym(library, "cblas_sgemm"), let setThreads = dlsym(library, "openblas_set_num_threads")
    else {
      let reason = dlerror().map { String(cString: $0) } ?? "it does not open"
      throw .unsound(reason: "OpenBLAS is not to be had, install libopenblas0-pthread: \(reason)")
    }
    unsafeBitCast(setThreads, to: (@convention(c) (Int32) -> Void).self)(1)
    return unsafeBitCast(product, to: Product.self)
  }

  private static func check(_ product: Product) throws(EngineError) {
    for (rows, columns, depth) in [(1, 1, 1), (7, 5, 3), (33, 17, 65), (64, 96, 27), (49, 320, 130)] {
      let a = (0..<(rows * depth)).map { Float(($0 * 37) % 19) - 9 }
      let b = (0..<(depth * columns)).map { Float(($0 * 53) % 23) - 11 }
      var out = [Float](repeating: .nan, count: rows * columns)
      product(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(rows), blasint(columns), blasint(depth), 1, a,
        blasint(depth), b, blasint(columns), 0, &out, blasint(columns))
      guard out == naiveProduct(a, b, rows: rows, depth: depth, columns: columns) else {
        throw .unsound(
          reason: "OpenBLAS computes a \(rows)×\(depth)×\(columns) product wrong on this processor; set "
            + "OPENBLAS_CORETYPE=Haswell, or install another build of libopenblas")
      }
    }
  }

  /// Of small whole numbers every order gives the same sums.
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
