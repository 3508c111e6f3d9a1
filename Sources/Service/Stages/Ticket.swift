internal import Platform
internal import Synchronization

/// One picture that came over the socket and waits for its answer among those of the folders.
///
/// Made by the thread that asks, answered by a classifier; whichever is late finds the other gone and nothing is lost.
package final class Ticket: Sendable {
  /// How an answer fails.
  package enum Failure: Error, Equatable {
    /// There is no such model.
    case unknownModel(String)
    /// What was sent is no picture, or not one that the limits allow; another try will not help.
    case refused(String)
    /// As many requests as may be are under way; ask again in a moment.
    case busy
    /// The time ran out.
    case expired
    /// The service stops or changes its configuration; ask again in a moment.
    case stopping
  }

  private let bell = Bell()
  private let answer = Mutex<Result<[Float], Failure>?>(nil)

  init() {}

  /// Any thread; the first call counts.
  func resolve(_ result: Result<[Float], Failure>) {
    answer.withLock { if $0 == nil { $0 = result } }
    bell.ring()
  }

  /// What the network answered, waiting for it until a moment of the monotonic clock.
  func wait(until deadline: Int64) throws(Failure) -> [Float] {
    while true {
      if let result = answer.withLock({ $0 }) { return try result.get() }
      let left = deadline - Clock.monotonicNanoseconds()
      guard left > 0 else { throw .expired }
      bell.wait(for: .nanoseconds(left))
    }
  }
}
