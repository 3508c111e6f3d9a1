/// What tells one state of a file from any other under the same path: its inode, and when and how it last changed.
///
/// The device is told but not compared: a machine may number its disks otherwise the next time it starts, and the same
/// inode, size and times to the nanosecond under the same path are the same file.
package struct FileIdentity: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64
  package var ctimeNanoseconds: Int64
  package var mtimeNanoseconds: Int64
  /// In bytes.
  package var size: Int64

  /// The fields as `fstat` gives them, times in nanoseconds since 1970.
  package init(device: UInt64, inode: UInt64, ctimeNanoseconds: Int64, mtimeNanoseconds: Int64, size: Int64) {
    self.device = device
    self.inode = inode
    self.ctimeNanoseconds = ctimeNanoseconds
    self.mtimeNanoseconds = mtimeNanoseconds
    self.size = size
  }

  package static func == (one: FileIdentity, other: FileIdentity) -> Bool {
    one.inode == other.inode && one.ctimeNanoseconds == other.ctimeNanoseconds
      && one.mtimeNanoseconds == other.mtimeNanoseconds && one.size == other.size
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(inode)
    hasher.combine(ctimeNanoseconds)
  }
}

/// A file that the ledger took charge of; its `id` is the idempotence key of everything that follows from it.
package struct Arrival: Equatable, Sendable {
  /// How a file came to be seen, which decides whether it can be one that was answered before.
  package enum Sighting: Int, Sendable {
    /// A listing found it, and what happened to it before was not watched.
    case found = 0
    /// An event told that it was moved in, or written and closed.
    case dropped = 1
    /// It changed while its folder was watched, and no event told of a drop: its rights, owner, links or times changed.
    case changed = 2
  }

  /// A UUIDv7 given by whoever admitted it.
  package var id: String
  package var watch: String
  /// The bytes of the path as the kernel knows it; need not be UTF-8.
  package var path: [UInt8]
  package var identity: FileIdentity
  package var sighting: Sighting
  /// How often it was in a thread's hand when the daemon crashed.
  package var strikes: Int
  /// How often letting its file go has failed since the daemon started.
  package var attempts: Int
  /// Whether it is certain that the ledger had no other arrival of this path, inode and size when it admitted this one.
  package var isFirst = false

  /// A plain value; only the ledger's own answers are facts.
  package init(
    id: String, watch: String, path: [UInt8], identity: FileIdentity, sighting: Sighting = .found, strikes: Int = 0,
    attempts: Int = 0
  ) {
    self.id = id
    self.watch = watch
    self.path = path
    self.identity = identity
    self.sighting = sighting
    self.strikes = strikes
    self.attempts = attempts
  }
}

/// Where an arrival stands.
///
/// Which sinks hold its result is not a state but follows from the sinks' cursors.
package enum ArrivalState: Int, Sendable, CaseIterable {
  /// Admitted, no result yet. At a start these are taken up again.
  case seen = 0
  /// The result is durable in the outbox; the file waits for its sinks, then for the disposer.
  case classified = 1
  /// Kept, moved or deleted as configured. Final.
  case disposed = 2
  /// Moved to quarantine with a reason. Final.
  case quarantined = 3
  /// Looked at and left alone, for example no image at all. Final; the same identity stays known.
  case ignored = 4
  /// Gone or changed before there was a result. Final; the same identity seen again is a new arrival.
  case vanished = 5
}

/// What happens to the file once all its sinks hold the result.
package enum Disposition: Codable, Equatable, Sendable {
  case keep
  case delete
  /// `directory` is the bytes of a path.
  case move(directory: [UInt8])
  /// `directory` is the bytes of a path; `reason` is one line for the operator.
  case quarantine(directory: [UInt8], reason: String)
}

/// The result of one arrival on its way into the ledger.
package struct Outcome: Equatable, Sendable {
  package var arrivalID: String
  /// The encoded result record; the ledger never looks inside.
  package var record: [UInt8]
  /// Of the file's bytes, in hexadecimal; empty when they could not be read.
  package var sha256: String
  /// Names of the sinks that must have the record before the file is disposed of.
  package var sinks: [String]
  /// An encoded answer that a later arrival with the same bytes and model may reuse; empty when there is none.
  package var scores: [UInt8]
  package var modelDigest: String
  package var disposition: Disposition

  /// All of it; see the fields.
  package init(
    arrivalID: String, record: [UInt8], sha256: String, sinks: [String], scores: [UInt8], modelDigest: String,
    disposition: Disposition
  ) {
    self.arrivalID = arrivalID
    self.record = record
    self.sha256 = sha256
    self.sinks = sinks
    self.scores = scores
    self.modelDigest = modelDigest
    self.disposition = disposition
  }
}

/// A record that waits for one sink.
package struct OutboxEntry: Equatable, Sendable {
  /// Grows with every result and is never used twice; one result has the same number for all its sinks.
  package var sequence: Int64
  package var arrivalID: String
  package var record: [UInt8]
  /// When the result, or its redrive, became durable in the ledger; 0 if an earlier version stored it.
  package var committedNanoseconds: Int64

  /// A plain value.
  package init(sequence: Int64, arrivalID: String, record: [UInt8], committedNanoseconds: Int64 = 0) {
    self.sequence = sequence
    self.arrivalID = arrivalID
    self.record = record
    self.committedNanoseconds = committedNanoseconds
  }
}

/// An arrival whose sinks are done with it.
package struct ReadyArrival: Equatable, Sendable {
  package var arrival: Arrival
  package var disposition: Disposition
  /// Of the bytes that were answered; empty when they could not be read.
  package var sha256: String
  /// Sinks that refused the record for good, so that it lies in the dead letters instead: the promise allows such a
  /// file to leave its inbox into quarantine only, or to stay.
  package var rejectedBy: [String]
}

/// How much of everything the ledger holds.
package struct LedgerCounts: Equatable, Sendable {
  /// One sink's share.
  package struct Sink: Equatable, Sendable {
    /// Records that wait for it.
    package var lag: Int
    package var deadLetters: Int
    /// Whether the configuration no longer names it.
    package var isRetired: Bool
  }
  /// Admitted and without a result: now.
  package var seen = 0
  /// With a result, waiting for at least one sink: now.
  package var awaitingSinks = 0
  /// Held by every sink, waiting for the disposer: now.
  package var readyToDispose = 0
  /// When the oldest arrival was admitted that some sink still lacks or that has no result yet, in nanoseconds since
  /// 1970; nil if there is none.
  package var oldestUnfinishedNanoseconds: Int64?
  /// Ever since the ledger was made, like the three below.
  package var disposed = 0
  package var quarantined = 0
  package var ignored = 0
  package var vanished = 0
  /// Records that a sink refused and nobody has sent again: now.
  package var deadLetters = 0
  package var sinks: [String: Sink] = [:]

  /// Nothing at all.
  package init() {}
}
