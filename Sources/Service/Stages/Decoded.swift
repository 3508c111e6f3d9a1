internal import Platform
internal import SinkProtocol
internal import Synchronization

/// What a decoder hands on: a picture in a slot, an earlier answer to the same bytes, or a failure to record.
struct Decoded: Sendable {
  enum Content: Sendable {
    case tensor(SlotPool.Slot)
    /// The record of an earlier picture with the same bytes.
    case answered(ResultRecord)
    case failed(String)
  }

  /// Who wants the answer.
  enum Origin: Sendable {
    /// A file, whose answer goes to the ledger.
    case file(Candidate)
    /// Somebody at the socket; always with a tensor.
    case request(Ticket)
  }

  let origin: Origin
  let model: LoadedModel
  let content: Content
  var sha256 = ""
  var width = 0
  var height = 0
  /// Nanoseconds that it waited before and while it was decoded: for a decoder and for a slot.
  var waitedNanoseconds: Int64 = 0
  /// The moment of the monotonic clock at which it was handed on.
  var decodedAt: Int64

  /// Gives back what it holds, when nobody will answer it.
  func discard() {
    if case .tensor(let slot) = content { model.slots.giveBack([slot]) }
    if case .request(let ticket) = origin { ticket.resolve(.failure(.stopping)) }
  }

  /// Whether it was in hand when the daemon crashed once before, so that it is computed alone.
  var isSuspect: Bool {
    if case .file(let candidate) = origin { candidate.arrival.strikes > 0 } else { false }
  }
}

/// Decoded pictures by model; each batch is of one model and no larger than that model allows.
typealias DecodedQueue = BatchQueue<DecodedLane, Decoded>

/// What may be computed together.
struct DecodedLane: Hashable {
  let model: ObjectIdentifier
  /// Suspects are computed one by one: if the service dies again, it is known of whom.
  let isOfSuspects: Bool
}

extension Decoded {
  /// Where it belongs and how it is put together with others, now that it has come; the element itself keeps its model
  /// alive, so that no other takes its identifier.
  ///
  /// `moreToCome`: whether others are already waiting to be decoded.
  func lane(moreToCome: Bool) -> DecodedQueue.Lane {
    let key = DecodedLane(model: ObjectIdentifier(model), isOfSuspects: isSuspect)
    if isSuspect { return DecodedQueue.Lane(key: key, limit: 1, lingerNanoseconds: 0) }
    let settings = model.settings
    return model.timing.withLock { timing in
      timing.arrived(at: decodedAt)
      return DecodedQueue.Lane(
        key: key, limit: timing.limit(atMost: settings.maxBatch),
        lingerNanoseconds: timing.linger(
          atMost: Int64(settings.maxDelayMilliseconds) * 1_000_000, moreToCome: moreToCome))
    }
  }
}
