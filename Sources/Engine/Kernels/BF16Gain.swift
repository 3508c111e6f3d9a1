internal import CKernels
internal import Glibc

/// Whether products of bf16 operands are faster than those of floats on this processor.
///
/// Some multiply twice as much of them in a step; others have the instructions for the sake of programs that use them, and
/// do less than half of what they do of floats.
enum BF16Gain {
  /// Measured once, in less than a millisecond; false where `set` has no instructions for bf16.
  static func isThere(_ set: InstructionSet) -> Bool { set.hasBF16 && measured }

  /// What both kinds have to do: a product that stays in the nearest caches.
  private static let (rows, depth, columns, rounds) = (96, 256, 64, 12)

  private static let measured: Bool = {
    let kernels = InstructionSet.best.kernels
    let weights = FloatMemory(count: depth * columns)
    let (a, out) = (FloatMemory(count: rows * depth), FloatMemory(count: rows * columns))
    let products = [MatrixProduct.Kind.own, .bf16].map {
      MatrixProduct(weights, depth: depth, outputs: columns, $0, kernels: kernels)
    }
    let scratch = FloatMemory(count: products[1].scratchFloats(rows: rows, segments: 1))
    let product = ckernels_product(
      rows: rows, depth: depth, from: UnsafePointer(a.floats), stride: depth, to: out.floats, stride: columns,
      bias: nil,
      activation: 0)
    var least = [UInt64](repeating: .max, count: products.count)
    for _ in 0..<rounds {
      for index in products.indices {
        let start = nanoseconds()
        products[index].run(product, columns: 0..<columns, scratch: scratch.floats)
        least[index] = min(least[index], nanoseconds() - start)
      }
    }
    return least[1] < least[0]
  }()

  /// The time this thread has worked.
  private static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
