internal import Synchronization

/// How HTTP was answered since the start.
final class HTTPTally: Sendable {
  private let statuses = Mutex<[Int: Int]>([:])
  /// From a request's head until its response, in nanoseconds.
  let time = Histogram.durations()

  init() {}

  /// Counts a response that goes out.
  func answered(_ status: Int, after nanoseconds: Int64) {
    statuses.withLock { $0[status, default: 0] += 1 }
    time.add(nanoseconds)
  }

  /// Responses by status.
  var counts: [Int: Int] { statuses.withLock { $0 } }
}
