internal import Platform

// What people and scripts want to know: asked on a connection of their own, so that no question holds up an image, and
// answered from the last whole transaction.
extension Ledger {
  /// How much of everything there is; costs no more than the work at hand.
  package func counts() throws(LedgerError) -> LedgerCounts {
    try asking { (database) throws(LedgerError) -> LedgerCounts in
      var counts = LedgerCounts()
      let work = try database.statement(
        """
        SELECT (SELECT count(*) FROM arrivals WHERE state = 0),
          (SELECT count(*) FROM arrivals WHERE state = 1 AND awaiting > 0),
          (SELECT count(*) FROM arrivals WHERE state = 1 AND awaiting <= 0)
        """, as: "count arrivals")
      defer { work.reset() }
      if try work.step() {
        counts.seen = Int(work.integer(0))
        counts.awaitingSinks = Int(work.integer(1))
        counts.readyToDispose = Int(work.integer(2))
      }
      counts.oldestUnfinishedNanoseconds = try Self.oldestUnfinished(database)
      let totals = try database.statement("SELECT state, count FROM totals", as: "read the totals")
      while try totals.step() {
        let count = Int(totals.integer(1))
        switch ArrivalState(rawValue: Int(totals.integer(0))) {
        case .disposed: counts.disposed = count
        case .quarantined: counts.quarantined = count
        case .ignored: counts.ignored = count
        case .vanished: counts.vanished = count
        case .seen, .classified, nil: break
        }
      }
      let sinks = try database.statement(
        """
        SELECT name, retired, (SELECT count(*) FROM outbox WHERE sink = sinks.key),
          (SELECT count(*) FROM dead_letters WHERE sink = sinks.key) FROM sinks
        """, as: "count the outboxes")
      while try sinks.step() {
        let sink = LedgerCounts.Sink(
          lag: Int(sinks.integer(2)), deadLetters: Int(sinks.integer(3)), isRetired: sinks.integer(1) != 0)
        counts.sinks[sinks.text(0)] = sink
        counts.deadLetters += sink.deadLetters
      }
      return counts
    }
  }

  private static func oldestUnfinished(_ database: Database) throws(LedgerError) -> Int64? {
    let oldest = try database.integer(
      """
      SELECT coalesce(min(admitted_ns), -1) FROM (
        SELECT * FROM (SELECT admitted_ns FROM arrivals WHERE state = 0 ORDER BY key LIMIT 1)
        UNION ALL
        SELECT * FROM (SELECT admitted_ns FROM arrivals WHERE state = 1 AND awaiting > 0 ORDER BY key LIMIT 1))
      """, as: "find the oldest unfinished arrival")
    return oldest < 0 ? nil : oldest
  }

  /// How to find arrivals that somebody asks about.
  package enum Sought: Equatable, Sendable {
    case id(String)
    /// The path that it was admitted under, or where it lies now.
    case path([UInt8])
    /// Of its bytes, in lower-case hexadecimal.
    case sha256(String)
  }

  /// What became of the arrivals that match, the latest first, at most `limit`.
  ///
  /// By id it costs a few page reads; by path or digest all rows are read.
  package func history(of sought: Sought, limit: Int = 20) throws(LedgerError) -> [ArrivalHistory] {
    try asking { (database) throws(LedgerError) -> [ArrivalHistory] in
      let condition =
        switch sought {
        case .id: "id = ?1"
        case .path: "(path = ?1 OR final_path = ?1)"
        case .sha256: "sha256 = ?1"
        }
      let query = try database.statement(
        "SELECT \(Self.historyColumns) FROM arrivals WHERE \(condition) ORDER BY key DESC LIMIT ?2", as: "find arrivals"
      )
      defer { query.reset() }
      switch sought {
      case .id(let id): try query.bind(1, id)
      case .path(let path): try query.bind(1, path)
      case .sha256(let digest): try query.bind(1, digest)
      }
      try query.bind(2, Int64(limit))
      var found: [(key: Int64, history: ArrivalHistory)] = []
      while try query.step() { found.append((query.integer(18), history(query))) }
      return try found.map { (found) throws(LedgerError) -> ArrivalHistory in
        var history = found.history
        history.waitingSinks = try Self.waitingSinks(found.key, history.arrival.id, database)
        history.deadLetters = try Self.deadLetters(found.key, database)
        return history
      }
    }
  }

  /// Files that lie in quarantine and nobody released, the latest first.
  ///
  /// `before`: an id of an earlier page, to go on behind it.
  package func quarantine(limit: Int, before id: String? = nil) throws(LedgerError) -> [ArrivalHistory] {
    try asking { (database) throws(LedgerError) -> [ArrivalHistory] in
      let query = try database.statement(
        """
        SELECT \(Self.historyColumns) FROM arrivals WHERE state = 3 AND final_path IS NOT NULL
          AND (?2 = '' OR key < (SELECT key FROM arrivals WHERE id = ?2)) ORDER BY key DESC LIMIT ?1
        """, as: "list the quarantine")
      defer { query.reset() }
      try query.bind(1, Int64(limit))
      try query.bind(2, id ?? "")
      var found: [ArrivalHistory] = []
      while try query.step() { found.append(history(query)) }
      return found
    }
  }

  /// Notes that a file was taken out of quarantine; it is listed no more.
  package func released(_ id: String) throws(LedgerError) {
    try writing(as: "release \(id)") { () throws(LedgerError) in
      let update = try database.statement(
        "UPDATE arrivals SET final_path = NULL WHERE id = ?1 AND state = 3", as: "release \(id)")
      try update.bind(1, id)
      try update.run()
    }
  }

  static var historyColumns: String {
    "\(arrivalColumns), state, admitted_ns, finished_ns, sha256, final_path, reason, awaiting, key"
  }

  func history(_ row: Statement) -> ArrivalHistory {
    ArrivalHistory(
      arrival: arrival(row), state: ArrivalState(rawValue: Int(row.integer(11))) ?? .seen,
      admittedNanoseconds: row.integer(12), finishedNanoseconds: row.isNull(13) ? nil : row.integer(13),
      sha256: row.isNull(14) ? nil : row.text(14), finalPath: row.isNull(15) ? nil : row.bytes(15),
      reason: row.isNull(16) ? nil : row.text(16), waitingSinks: [], deadLetters: [])
  }

  private static func waitingSinks(
    _ key: Int64, _ id: String, _ database: Database
  ) throws(LedgerError) -> [String] {
    let query = try database.statement(
      """
      SELECT DISTINCT s.name FROM records r JOIN outbox o ON o.sequence = r.sequence JOIN sinks s ON s.key = o.sink
      WHERE r.arrival = ?1 ORDER BY s.name
      """, as: "find what \(id) waits for")
    defer { query.reset() }
    try query.bind(1, key)
    var names: [String] = []
    while try query.step() { names.append(query.text(0)) }
    return names
  }

  private static func deadLetters(_ key: Int64, _ database: Database) throws(LedgerError) -> [ArrivalHistory.DeadLetter]
  {
    let query = try database.statement(
      """
      SELECT s.name, d.reason FROM dead_letters d JOIN sinks s ON s.key = d.sink WHERE d.arrival = ?1 ORDER BY d.key
      """, as: "find dead letters")
    defer { query.reset() }
    try query.bind(1, key)
    var letters: [ArrivalHistory.DeadLetter] = []
    while try query.step() {
      letters.append(ArrivalHistory.DeadLetter(sink: query.text(0), reason: query.text(1)))
    }
    return letters
  }
}

/// Everything the ledger knows of one arrival.
package struct ArrivalHistory: Equatable, Sendable {
  /// A record that a sink refused for good.
  package struct DeadLetter: Equatable, Sendable {
    package var sink: String
    package var reason: String
  }

  package var arrival: Arrival
  package var state: ArrivalState
  /// Nanoseconds since 1970.
  package var admittedNanoseconds: Int64
  /// Nanoseconds since 1970; nil while it is under way.
  package var finishedNanoseconds: Int64?
  package var sha256: String?
  /// Where a moved or quarantined file was put.
  package var finalPath: [UInt8]?
  /// Why it is in quarantine, or will be once its sinks have the record.
  package var reason: String?
  /// Sinks that have not confirmed its record yet.
  package var waitingSinks: [String]
  package var deadLetters: [DeadLetter]
}
