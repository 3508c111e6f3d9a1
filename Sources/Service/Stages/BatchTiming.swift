/// What batches of a model cost here, and what follows for how they are formed: a value without clock or lock.
///
/// The time of a batch of n images is taken to be `nanosecondsPerImage` · n + `nanosecondsPerBatch`: a line fitted to the
/// batches computed so far, of which each counts for less the longer ago it was, so that it follows a machine that becomes
/// busier. From it follow the largest batch that still gains anything, and how long it pays to wait for another image.
package struct BatchTiming: Equatable, Sendable {
  package private(set) var nanosecondsPerImage = 0.0
  package private(set) var nanosecondsPerBatch = 0.0
  /// Between one image and the next, on average; infinite until there were two.
  package private(set) var nanosecondsBetweenImages = Double.infinity
  private var lastArrival: Int64?
  private var sums = Sums()

  /// Of the batches so far, each with its weight: 1, size, size², time, size · time.
  private struct Sums: Equatable {
    var one = 0.0
    var size = 0.0
    var square = 0.0
    var time = 0.0
    var product = 0.0
  }

  /// What is left of a batch's weight when the next one is counted: half after 34.
  private static let remaining = 0.98
  /// The share that a larger batch must gain an image, or it is not waited for.
  package static let worthwhileGain = 0.01
  /// A pause longer than this says nothing about the images before and after it.
  private static let longestGap = 1e9

  package init() {}

  /// Whether batches of different sizes were seen, so that the two parts are known one from the other.
  package var isFitted: Bool { sums.one > 0 && spread >= 0.25 }

  private var spread: Double { sums.square / sums.one - (sums.size / sums.one) * (sums.size / sums.one) }

  /// Counts a batch.
  package mutating func add(images: Int, nanoseconds: Int64) {
    let size = Double(max(1, images))
    var time = Double(max(0, nanoseconds))
    let expected = nanosecondsPerImage * size + nanosecondsPerBatch
    // A disk that hung once, or a processor that was away, is no property of the model.
    if sums.one > 3 { time = min(time, 4 * expected) }
    for keyPath in [\Sums.one, \.size, \.square, \.time, \.product] { sums[keyPath: keyPath] *= Self.remaining }
    sums.one += 1
    sums.size += size
    sums.square += size * size
    sums.time += time
    sums.product += size * time
    fit()
  }

  private mutating func fit() {
    guard isFitted else {
      // All of one size: what is known of the proportion stays.
      let expected = nanosecondsPerImage * sums.size + nanosecondsPerBatch * sums.one
      if expected > 0 {
        nanosecondsPerImage *= sums.time / expected
        nanosecondsPerBatch *= sums.time / expected
      } else {
        nanosecondsPerImage = sums.time / sums.size
      }
      return
    }
    let slope = (sums.one * sums.product - sums.size * sums.time) / (sums.one * sums.one * spread)
    // Neither part is below nothing, whatever noise says.
    nanosecondsPerImage = min(max(0, slope), sums.time / sums.size)
    nanosecondsPerBatch = (sums.time - nanosecondsPerImage * sums.size) / sums.one
  }

  /// Notes that an image came for the model at a moment of the monotonic clock.
  package mutating func arrived(at now: Int64) {
    defer { lastArrival = now }
    guard let lastArrival else { return }
    let gap = min(Double(max(0, now - lastArrival)), Self.longestGap)
    nanosecondsBetweenImages =
      nanosecondsBetweenImages.isFinite ? 0.8 * nanosecondsBetweenImages + 0.2 * gap : gap
  }

  /// The smallest batch of which an image costs hardly more than of the largest allowed; that one while nothing is known.
  package func limit(atMost largest: Int) -> Int {
    guard isFitted, largest > 1 else { return max(1, largest) }
    func costPerImage(_ size: Int) -> Double { nanosecondsPerImage + nanosecondsPerBatch / Double(size) }
    let enough = costPerImage(largest) * (1 + Self.worthwhileGain)
    return (1...largest).first { costPerImage($0) <= enough } ?? largest
  }

  /// How long an image waits for others.
  ///
  /// While more are known to come, as long as allowed, for the processors have other work meanwhile. Else at most as
  /// long as a batch of its own costs beyond the image, so that waiting in vain never costs more than not waiting, and
  /// not at all if images come at longer intervals than that.
  package func linger(atMost longest: Int64, moreToCome: Bool) -> Int64 {
    guard isFitted else { return 0 }
    if moreToCome { return longest }
    guard nanosecondsBetweenImages <= nanosecondsPerBatch else { return 0 }
    return min(longest, Int64(nanosecondsPerBatch))
  }
}
