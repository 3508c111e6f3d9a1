/// How far two networks' answers to the same pictures are apart.
package struct Agreement: Sendable {
  /// Pictures compared.
  package private(set) var count = 0
  private var sameBest = 0
  private var sameFive = 0
  private var cosines = 0.0
  /// The smallest cosine of all pictures.
  package private(set) var leastCosine = 1.0

  /// Nothing compared yet.
  package init() {}

  /// Compares one picture's answers.
  package mutating func add(_ first: [Float], _ second: [Float]) {
    precondition(first.count == second.count && !first.isEmpty, "answers of one length")
    count += 1
    let (a, b) = (Self.best(first, 5), Self.best(second, 5))
    sameBest += a[0] == b[0] ? 1 : 0
    sameFive += a.contains(b[0]) ? 1 : 0
    var (dot, p, q) = (0.0, 0.0, 0.0)
    for (x, y) in zip(first, second) {
      dot += Double(x) * Double(y)
      p += Double(x) * Double(x)
      q += Double(y) * Double(y)
    }
    let cosine = p > 0 && q > 0 ? dot / (p.squareRoot() * q.squareRoot()) : (p == q ? 1 : 0)
    cosines += cosine
    leastCosine = min(leastCosine, cosine)
  }

  /// The part of the pictures whose best class is the same.
  package var top1: Double { count > 0 ? Double(sameBest) / Double(count) : 0 }
  /// The part of the pictures whose second best-answer's class is among the first's five best.
  package var top5: Double { count > 0 ? Double(sameFive) / Double(count) : 0 }
  package var meanCosine: Double { count > 0 ? cosines / Double(count) : 0 }

  /// By the cosine, which tells finer than a count of equal answers on few pictures.
  func isBetter(than other: Agreement) -> Bool { meanCosine > other.meanCosine }

  private static func best(_ answers: [Float], _ count: Int) -> [Int] {
    Array(answers.indices.sorted { (answers[$0], $1) > (answers[$1], $0) }.prefix(count))
  }
}

/// How far a value of one network is from the same value of another: mean error power against mean power.
package struct ValueError: Sendable {
  private var error = 0.0
  private var power = 0.0

  /// Nothing compared yet.
  package init() {}

  package mutating func add(_ wanted: [Float], _ given: [Float]) {
    for (x, y) in zip(wanted, given) {
      error += Double(x - y) * Double(x - y)
      power += Double(x) * Double(x)
    }
  }

  /// The root of the mean squared error as a part of the root mean square.
  package var relative: Double { power > 0 ? (error / power).squareRoot() : (error > 0 ? 1 : 0) }
}
