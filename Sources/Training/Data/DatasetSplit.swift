extension Dataset {
  /// Takes about `ratio` of each class aside, chosen by the seed; at least one of a class that has two.
  ///
  /// Pictures of several classes are dealt out class by class, the rarest first, as iterative stratification does
  /// (Sechidis, Tsoumakas and Vlahavas 2011); those of none are a class of their own.
  package func split(ratio: Double, seed: UInt64) -> (kept: Dataset, aside: Dataset) {
    var members = [[Int]](repeating: [], count: classes.count + 1)
    for (index, sample) in samples.enumerated() {
      let own = sample.truth.classes
      for label in own.isEmpty ? [classes.count] : own { members[label].append(index) }
    }
    var isAside = [Bool?](repeating: nil, count: samples.count)
    var kept: [Int] = []
    var aside: [Int] = []
    for label in dealingOrder(members) {
      var open = members[label].filter { isAside[$0] == nil }
      var generator = KeyedGenerator(seed: seed, .split, index: label)
      generator.shuffle(&open)
      let total = members[label].count
      var wanted = Int((Double(total) * ratio).rounded())
      if ratio > 0, ratio < 1, total > 1 { wanted = min(total - 1, max(1, wanted)) }
      let already = members[label].filter { isAside[$0] == true }.count
      let count = min(open.count, max(0, wanted - already))
      for (place, index) in open.enumerated() { isAside[index] = place < count }
      aside += open.prefix(count)
      kept += open.dropFirst(count)
    }
    return (with(samples: kept.map { samples[$0] }), with(samples: aside.map { samples[$0] }))
  }

  /// Classes as they stand, or the rarest first where pictures share them.
  private func dealingOrder(_ members: [[Int]]) -> [Int] {
    isMultiLabel ? members.indices.sorted { (members[$0].count, $0) < (members[$1].count, $1) } : Array(members.indices)
  }
}
