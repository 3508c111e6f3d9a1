package import Synchronization

/// What the service has done since it started; every stage adds, the supervisor, the journal and `/metrics` read.
///
/// Counters only grow. Nothing here allocates or locks an image.
package final class Tally: Sendable {
  /// Files that the ledger took charge of.
  package let admitted = Atomic<Int>(0)
  /// Images with a result, `reused` among them.
  package let answered = Atomic<Int>(0)
  /// Images answered from an earlier image with the same bytes.
  package let reused = Atomic<Int>(0)
  /// Images that could not be answered.
  package let failed = Atomic<Int>(0)
  package let quarantined = Atomic<Int>(0)
  /// Answered files that were kept, moved or deleted.
  package let disposed = Atomic<Int>(0)
  /// Files that were passed over, and duplicates that are not to be answered.
  package let ignored = Atomic<Int>(0)
  package let batches = Atomic<Int>(0)
  /// Times that the kernel lost events and everything was listed anew.
  package let overflows = Atomic<Int>(0)
  /// Files of a folder that gives events for which none had come when the periodic sweep found them.
  package let foundOnlyByRescan = Atomic<Int>(0)
  /// Pictures that came over the socket instead of a folder.
  package let requested = Atomic<Int>(0)

  /// From the first sign of a file until it was taken, in nanoseconds.
  package let settle = Histogram.durations()
  /// Of an image: waiting between the stages, from admission until its batch began, decoding excepted.
  package let queue = Histogram.durations()
  /// Of an image: opening, reading, hashing, decoding, resizing.
  package let decode = Histogram.durations()
  /// Of a batch: the network and the choice of labels.
  package let compute = Histogram.durations()
  /// Of a batch: the ledger's transaction.
  package let commit = Histogram.durations()
  /// Images of a batch.
  package let batchSizes = Histogram.sizes()

  /// Files that wait until they are whole.
  package let settling = Atomic<Int>(0)
  /// The moment of the monotonic clock at which the oldest of them was first heard of; 0 when there is none.
  package let oldestSettling = Atomic<Int64>(0)

  private let settlings = Mutex<[String: (count: Int, oldest: Int64)]>([:])
  private let sinks = Mutex<[String: SinkTally]>([:])

  package init() {}

  /// Notes how many files of a watch wait, and since when the oldest does, 0 when none does.
  func tellSettling(watch: String, count: Int, oldest: Int64) {
    settlings.withLock { settlings in
      settlings[watch] = count == 0 ? nil : (count, oldest)
      settling.store(settlings.values.reduce(0) { $0 + $1.count }, ordering: .relaxed)
      oldestSettling.store(settlings.values.map(\.oldest).min() ?? 0, ordering: .relaxed)
    }
  }

  /// The tally of one sink, the same one whenever asked.
  package func sink(_ name: String) -> SinkTally {
    sinks.withLock { sinks in
      if let known = sinks[name] { return known }
      let made = SinkTally()
      sinks[name] = made
      return made
    }
  }

  /// The tallies of all sinks that were in service since the start.
  package var allSinks: [String: SinkTally] { sinks.withLock { $0 } }

  /// One line for `systemctl status`.
  package func summary(waiting: Int) -> String {
    func read(_ counter: borrowing Atomic<Int>) -> Int { counter.load(ordering: .relaxed) }
    return "\(read(answered)) answered, \(read(failed)) failed, \(read(quarantined)) quarantined, "
      + "\(waiting) waiting"
  }
}

/// What one sink has done since the service started.
package final class SinkTally: Sendable {
  /// Records that it has durably.
  package let delivered = Atomic<Int>(0)
  /// Records that it refused for good.
  package let rejected = Atomic<Int>(0)
  /// Times that it crashed, hung, or could not be opened.
  package let failures = Atomic<Int>(0)
  /// Of a record: from the ledger's commit until the sink had it durably, in nanoseconds.
  package let delivery = Histogram.durations()

  package init() {}
}

extension Atomic where Value == Int {
  /// Adds to the counter; no other memory is ordered by it.
  package borrowing func add(_ amount: Int = 1) { wrappingAdd(amount, ordering: .relaxed) }

  /// The number now.
  package var value: Int { load(ordering: .relaxed) }
}
