internal import Engine

/// How far two models' answers are apart, gathered picture by picture.
struct ModelComparison {
  private(set) var count = 0
  /// The largest difference of two answers, as a part of the largest answer to that picture.
  private(set) var largestRelative: Float = 0
  private var largestDifference: Float = 0
  private var sameTop = 0
  private var sharedTopFive = 0
  private var topFive = 0
  private var leastCosine: Double = 1
  private var cosines: Double = 0

  mutating func add(_ a: [Float], _ b: [Float]) {
    guard a.count == b.count, !a.isEmpty else { return }
    count += 1
    let difference = zip(a, b).reduce(Float(0)) { max($0, ($1.0 - $1.1).magnitude) }
    let scale = b.reduce(Float(0)) { max($0, $1.magnitude) }
    largestDifference = max(largestDifference, difference)
    // NaN compares with nothing; it must not pass for agreement.
    let relative = difference / max(scale, .leastNormalMagnitude)
    let isSound = a.allSatisfy(\.isFinite) && b.allSatisfy(\.isFinite)
    largestRelative = max(largestRelative, isSound ? relative : .infinity)
    let (p, q) = (Self.top(a), Self.top(b))
    if p.first == q.first { sameTop += 1 }
    sharedTopFive += p.filter(q.contains).count
    topFive += p.count
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    let cosine = aa > 0 && bb > 0 ? dot / (aa * bb).squareRoot() : aa == bb ? 1 : 0
    cosines += cosine
    leastCosine = min(leastCosine, cosine)
  }

  private static func top(_ answers: [Float]) -> [Int] {
    Array(answers.indices.sorted { (answers[$0], $1) > (answers[$1], $0) }.prefix(5))
  }

  var text: String {
    """
    pictures             \(count)
    same first answer    \(sameTop) of \(count)
    shared first five    \(sharedTopFive) of \(topFive)
    largest difference   \(largestDifference), \(largestRelative) of the largest answer
    cosine               mean \(cosines / Double(count)), least \(leastCosine)
    """
  }

  var json: String {
    JSON.object([
      "pictures": .integer(count), "same_first": .integer(sameTop), "shared_first_five": .integer(sharedTopFive),
      "first_five": .integer(topFive), "largest_difference": .float(largestDifference),
      "largest_relative": .float(largestRelative), "mean_cosine": .float(Float(cosines / Double(count))),
      "least_cosine": .float(Float(leastCosine)),
    ]).text
  }
}
