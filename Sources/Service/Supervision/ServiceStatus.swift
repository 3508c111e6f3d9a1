/// How the service is now: what `lookout status`, `/readyz` and `/metrics` tell, counters and histograms excepted, which
/// are in the `Tally`.
package struct ServiceStatus: Sendable {
  package struct Watch: Sendable {
    package var name: String
    package var path: String
    package var model: String
    package var sinks: [String]
    package var condition: WatchCondition
  }

  package struct Model: Sendable {
    package var name: String
    package var file: String
    package var digest: String
    package var labels: [String]
    /// Channels, height and width of the network's input.
    package var inputShape: [Int]
    /// How many numbers it answers an image with.
    package var outputCount: Int
    package var topK: Int
    package var maxBatch: Int
  }

  package struct Sink: Sendable {
    package var name: String
    package var plugin: String
    /// Why it is out of service; nil while it is open or being opened.
    package var trouble: String?
    package var isOpen: Bool
    /// Records that wait for it; nil if the ledger cannot be asked now.
    package var lag: Int?
    package var deadLetters: Int?
  }

  /// A queue between stages.
  package struct Queue: Sendable {
    package var name: String
    package var depth: Int
  }

  package var version: String
  /// Nanoseconds since the process began.
  package var uptimeNanoseconds: Int64
  package var workers: Int
  package var watches: [Watch]
  package var models: [Model]
  package var sinks: [Sink]
  package var queues: [Queue]
  /// Nil if the ledger cannot be asked now.
  package var ledger: LedgerCounts?
  /// Since the oldest image was first heard of that is not yet with all its sinks; 0 when there is none.
  package var oldestUnprocessedNanoseconds: Int64
  package var isPaused: Bool
  /// What keeps the service from doing its whole job; empty when it does.
  ///
  /// A pause is no such thing.
  package var troubles: [String]
  package var residentBytes: Int
  /// The bound on memory that the start printed, in bytes.
  package var memoryBoundBytes: Int
}

/// How a watched folder is observed.
package enum WatchCondition: String, Sendable, CaseIterable {
  /// It is not there, or cannot be read.
  case offline
  /// The kernel tells what arrives.
  case armed
  /// It is listed again and again: its file system gives no events, or the watches ran out.
  case polled
}
