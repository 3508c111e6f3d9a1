internal import Synchronization

/// Which stages do not move, for everybody who tells how the service is.
///
/// Written by the supervisor, read by any thread.
final class StallBoard: Sendable {
  private let stalled = Mutex<[String: String]>([:])

  /// One sentence for each stage that does not move.
  var sentences: [String] { stalled.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }

  /// Takes what was seen; gives the sentences, and whether each is of a stage that moved until now.
  func update(_ stalls: [StallDetector.Stall]) -> [(sentence: String, isNew: Bool)] {
    stalled.withLock { stalled in
      let former = stalled
      stalled = [:]
      return stalls.map { stall in
        let seconds = stall.nanoseconds / 1_000_000_000
        let cause = stall.activity == .outside ? "waits for a file system that does not answer" : "stands still"
        let sentence = "\(stall.stage) \(cause) since \(seconds) s"
        stalled[stall.stage] = sentence
        return (sentence, former[stall.stage] == nil)
      }
    }
  }
}
