internal import Glibc

/// From a network's raw answers to ranked probabilities.
package enum Scores {
  /// The most probable classes, most probable first; equals stand in the order of their index.
  ///
  /// `row` holds one image's answers; `areProbabilities` says that they went through softmax already, otherwise they
  /// do here.
  package static func topK(
    _ row: UnsafeBufferPointer<Float>, _ k: Int, areProbabilities: Bool
  ) -> [(index: Int, probability: Float)] {
    guard let most = row.max() else { return [] }
    let sum = areProbabilities ? 1 : row.reduce(Float(0)) { $0 + expf($1 - most) }
    let order = row.indices.sorted { (row[$0], $1) > (row[$1], $0) }
    return order.prefix(k).map { (index: $0, probability: areProbabilities ? row[$0] : expf(row[$0] - most) / sum) }
  }
}
