internal import Glibc

/// From a network's raw answers to ranked probabilities.
package enum Scores {
  /// The most probable classes, most probable first; equals stand in the order of their index.
  ///
  /// `row` holds one image's answers; scores go through softmax here, probabilities stay as they are.
  package static func topK(
    _ row: UnsafeBufferPointer<Float>, _ k: Int, _ kind: AnswerKind
  ) -> [(index: Int, probability: Float)] {
    guard let most = row.max() else { return [] }
    guard kind == .scores else { return best(row, k).map { (index: $0, probability: row[$0]) } }
    let sum = row.reduce(Float(0)) { $0 + expf($1 - most) }
    return best(row, k).map { (index: $0, probability: expf(row[$0] - most) / sum) }
  }

  /// The places of the `k` largest numbers, in one pass.
  private static func best(_ row: UnsafeBufferPointer<Float>, _ k: Int) -> [Int] {
    var best: [Int] = []
    best.reserveCapacity(min(k, row.count) + 1)
    for index in row.indices {
      var rank = best.count
      while rank > 0, row[index] > row[best[rank - 1]] { rank -= 1 }
      guard rank < k else { continue }
      best.insert(index, at: rank)
      if best.count > k { best.removeLast() }
    }
    return best
  }
}
