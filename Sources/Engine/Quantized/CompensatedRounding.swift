/// Rounds the weights of a layer so that their errors cancel where its inputs go together.
///
/// Of all ways to round a row w to q, that with the least mean square of (w − q)·x is wanted, for inputs x of known
/// covariance H. With H = UᵀU this is the point of a lattice nearest to another; Babai's nearest-plane method takes it
/// number by number, each rounded with what the ones before have cost (the method of GPTQ, Frantar et al.,
/// arXiv:2210.17323).
struct CompensatedRounding {
  private let depth: Int
  /// The places of a row, those that matter least first; taken from the last on.
  private let order: [Int]
  /// U by rows, each divided by its number on the diagonal.
  private let rows: [Float]

  /// `covariances`: depth × depth, symmetric, positive definite.
  init(_ covariances: [Double], depth: Int) {
    self.depth = depth
    let order = (0..<depth).sorted { covariances[$0 * depth + $0] < covariances[$1 * depth + $1] }
    var u = [Double](repeating: 0, count: depth * depth)
    for i in 0..<depth {
      for j in i..<depth { u[i * depth + j] = covariances[order[i] * depth + order[j]] }
    }
    u.withUnsafeMutableBufferPointer { Self.factor($0, depth) }
    self.order = order
    rows = u.indices.map { index in
      let diagonal = u[index / depth * depth + index / depth]
      return index % depth >= index / depth ? Float(u[index] / diagonal) : 0
    }
  }

  /// Cholesky's factorisation in place, of the upper half (Golub and Van Loan, Matrix Computations, 4.2).
  private static func factor(_ a: UnsafeMutableBufferPointer<Double>, _ n: Int) {
    var least = Double.leastNormalMagnitude
    for i in 0..<n { least = max(least, a[i * n + i] * 1e-12) }
    for k in 0..<n {
      let pivot = max(a[k * n + k], least).squareRoot()
      for j in k..<n { a[k * n + j] /= pivot }
      a[k * n + k] = pivot
      for i in k + 1..<max(k + 1, n) {
        let factor = a[k * n + i]
        guard factor != 0 else { continue }
        for j in i..<n { a[i * n + j] -= factor * a[k * n + j] }
      }
    }
  }

  /// The whole numbers from −127 to 127 that stand for a row at a scale.
  func round(_ row: [Float], scale: Float) -> [Float] {
    var result = [Float](repeating: 0, count: depth)
    var rest = [Float](repeating: 0, count: depth)
    rest.withUnsafeMutableBufferPointer { rest in
      rows.withUnsafeBufferPointer { rows in
        for i in stride(from: depth - 1, through: 0, by: -1) {
          var owed: Float = 0
          for j in i + 1..<max(i + 1, depth) { owed += rows[i * depth + j] * rest[j] }
          let number = row[order[i]]
          let whole = ((number + owed) / scale).rounded(.toNearestOrEven)
          result[order[i]] = whole.isNaN ? 0 : min(127, max(-127, whole))
          rest[i] = number - result[order[i]] * scale
        }
      }
    }
    return result
  }
}
