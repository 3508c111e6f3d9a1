/// How long a failing sink rests before its next try.
///
/// A value without clock or randomness of its own: the caller passes a random fraction and waits the answer out. The
/// ceiling doubles with every failure up to `longest`; the wait lies between half the ceiling and all of it, so that sinks
/// that failed together do not return together.
package struct SinkBackoff: Equatable, Sendable {
  package let shortest: Duration
  package let longest: Duration
  /// Failures since the last success.
  package private(set) var failures = 0

  /// Both must be positive, `longest` at least `shortest`.
  package init(shortest: Duration = .milliseconds(100), longest: Duration = .seconds(60)) {
    precondition(shortest > .zero && longest >= shortest, "a back-off grows from a positive wait")
    self.shortest = shortest
    self.longest = longest
  }

  /// Notes a failure and says how long to wait.
  ///
  /// `fraction` is random, from 0 to 1; beyond, it is clamped.
  package mutating func failed(fraction: Double) -> Duration {
    var ceiling = shortest
    for _ in 0..<min(failures, 62) where ceiling < longest { ceiling *= 2 }
    failures += failures == .max ? 0 : 1
    let share = fraction.isNaN ? 1 : min(max(fraction, 0), 1)
    return min(ceiling, longest) * (0.5 + share / 2)
  }

  /// Notes a success: the next failure waits the shortest time again.
  package mutating func succeeded() {
    failures = 0
  }
}
