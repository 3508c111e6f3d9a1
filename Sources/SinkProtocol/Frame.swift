// What daemon and sink host say to each other over their socket: one length-prefixed frame a message.
//
// On the wire: UInt32 length of what follows, UInt8 kind, fields. Little-endian; both sides are one machine's.

/// One record on its way to a sink, as the ledger's outbox holds it.
package struct OutboxEntry: Equatable, Sendable {
  /// Ascending within a sink; a replayed entry keeps its number.
  package var sequence: UInt64
  /// A coded ``ResultRecord``.
  package var record: [UInt8]

  package init(sequence: UInt64, record: [UInt8]) {
    self.sequence = sequence
    self.record = record
  }
}

/// What a sink made of one record.
package enum Verdict: Equatable, Sendable {
  /// Taken; durable after the next flush.
  case accepted
  /// Not now; send it again later.
  case retry(String)
  /// Never; put it aside with the reason.
  case reject(String)
  /// The sink is broken; restart it at its last position.
  case fatal(String)
}

/// Severity of a sink's log line, with journald's numbers.
package enum LogLevel: Int32, Sendable {
  case error = 3
  case warning = 4
  case info = 6
  case debug = 7
}

/// One message between the daemon and a sink host.
package enum Frame: Equatable, Sendable {
  // Daemon to host.
  case hello(plugin: String, config: String, position: String)
  case write([OutboxEntry])
  case flush
  case close
  // Host to daemon.
  case opened(name: String, version: String)
  /// The call was refused as a whole; the verdict's kind tells what to do.
  case failed(Verdict)
  /// One verdict an entry, in the order of the batch.
  case verdicts([Verdict])
  case position(String)
  case closed
  case log(LogLevel, String)
}

extension Frame {
  /// Version of this protocol; both sides must have the same, as one package builds both.
  package static let version: UInt32 = 1
  /// The longest frame behind its length prefix, in bytes.
  package static let lengthLimit = 16 << 20
  /// The most entries that one write carries.
  package static let entryLimit = 4096
  /// The longest configuration or text, in bytes.
  package static let textLimit = 1 << 20

  private enum Kind: UInt8 {
    case hello = 1
    case write, flush, close
    case opened = 16
    case failed, verdicts, position, closed, log
  }

  /// The frame with its length prefix.
  package func encoded() -> [UInt8] {
    var body = ByteWriter()
    switch self {
    case .hello(let plugin, let config, let position):
      body.put(Kind.hello.rawValue)
      body.put(Self.version)
      body.put(plugin)
      body.put(config)
      body.put(position)
    case .write(let entries):
      body.put(Kind.write.rawValue)
      body.put(UInt32(entries.count))
      for entry in entries {
        body.put(entry.sequence)
        body.put(entry.record)
      }
    case .flush: body.put(Kind.flush.rawValue)
    case .close: body.put(Kind.close.rawValue)
    case .opened(let name, let version):
      body.put(Kind.opened.rawValue)
      body.put(name)
      body.put(version)
    case .failed(let verdict):
      body.put(Kind.failed.rawValue)
      body.put(verdict)
    case .verdicts(let verdicts):
      body.put(Kind.verdicts.rawValue)
      body.put(UInt32(verdicts.count))
      for verdict in verdicts { body.put(verdict) }
    case .position(let position):
      body.put(Kind.position.rawValue)
      body.put(position)
    case .closed: body.put(Kind.closed.rawValue)
    case .log(let level, let message):
      body.put(Kind.log.rawValue)
      body.put(level.rawValue)
      body.put(message)
    }
    var frame = ByteWriter()
    frame.put(body.bytes)
    return frame.bytes
  }

  /// Reads one frame's body, without its length prefix.
  ///
  /// - Throws: `WireError` naming the offset, for any bytes that are not exactly one frame.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    guard bytes.count <= Self.lengthLimit else {
      throw .tooLong(offset: 0, length: bytes.count, limit: Self.lengthLimit)
    }
    var reader = ByteReader(bytes)
    guard let kind = Kind(rawValue: try reader.take(UInt8.self)) else {
      throw .invalid(offset: 0, what: "an unknown kind of frame")
    }
    let limit = Self.textLimit
    switch kind {
    case .hello:
      let version = try reader.take(UInt32.self)
      guard version == Self.version else {
        throw .invalid(offset: 1, what: "protocol version \(version) where this program speaks \(Self.version)")
      }
      let plugin = try reader.takeString(limit: limit)
      let config = try reader.takeString(limit: limit)
      self = .hello(plugin: plugin, config: config, position: try reader.takeString(limit: limit))
    case .write:
      let count = try reader.takeCount(limit: Self.entryLimit, minimumSize: 12)
      var entries: [OutboxEntry] = []
      entries.reserveCapacity(count)
      for _ in 0..<count {
        let sequence = try reader.take(UInt64.self)
        entries.append(
          OutboxEntry(sequence: sequence, record: try reader.takeBytes(limit: ResultRecord.codedLimit)))
      }
      self = .write(entries)
    case .flush: self = .flush
    case .close: self = .close
    case .opened:
      let name = try reader.takeString(limit: limit)
      self = .opened(name: name, version: try reader.takeString(limit: limit))
    case .failed: self = .failed(try reader.takeVerdict())
    case .verdicts:
      let count = try reader.takeCount(limit: Self.entryLimit, minimumSize: 1)
      var verdicts: [Verdict] = []
      verdicts.reserveCapacity(count)
      for _ in 0..<count { verdicts.append(try reader.takeVerdict()) }
      self = .verdicts(verdicts)
    case .position: self = .position(try reader.takeString(limit: limit))
    case .closed: self = .closed
    case .log:
      guard let level = LogLevel(rawValue: try reader.take(Int32.self)) else {
        throw .invalid(offset: 1, what: "an unknown log level")
      }
      self = .log(level, try reader.takeString(limit: limit))
    }
    try reader.finish()
  }
}

extension ByteWriter {
  fileprivate mutating func put(_ verdict: Verdict) {
    switch verdict {
    case .accepted: put(UInt8(0))
    case .retry(let reason):
      put(UInt8(1))
      put(reason)
    case .reject(let reason):
      put(UInt8(2))
      put(reason)
    case .fatal(let reason):
      put(UInt8(3))
      put(reason)
    }
  }
}

extension ByteReader {
  fileprivate mutating func takeVerdict() throws(WireError) -> Verdict {
    let start = offset
    switch try take(UInt8.self) {
    case 0: return .accepted
    case 1: return .retry(try takeString(limit: Frame.textLimit))
    case 2: return .reject(try takeString(limit: Frame.textLimit))
    case 3: return .fatal(try takeString(limit: Frame.textLimit))
    default: throw .invalid(offset: start, what: "an unknown verdict")
    }
  }
}
