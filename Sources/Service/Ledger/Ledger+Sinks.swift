extension Ledger {
  /// The records that wait for a sink beyond a sequence, in order: at most `limit`, and no more than `byteLimit` bytes
  /// of records, though always one if there is any.
  package func pending(
    sink: String, after sequence: Int64, limit: Int, byteLimit: Int
  ) throws(LedgerError) -> [OutboxEntry] {
    try exclusively { () throws(LedgerError) -> [OutboxEntry] in
      guard let key = try existingKey(ofSink: sink) else { return [] }
      let query = try database.statement(
        """
        SELECT o.sequence, r.arrival_id, r.record, r.committed_ns FROM outbox o JOIN records r ON r.sequence = o.sequence
        WHERE o.sink = ?1 AND o.sequence > ?2 ORDER BY o.sequence LIMIT ?3
        """, as: "read the outbox of \(sink)")
      defer { query.reset() }
      try query.bind(1, key)
      try query.bind(2, sequence)
      try query.bind(3, Int64(limit))
      var entries: [OutboxEntry] = []
      var size = 0
      while try query.step() {
        let record = query.bytes(2)
        size += record.count
        if size > byteLimit, !entries.isEmpty { break }
        entries.append(
          OutboxEntry(
            sequence: query.integer(0), arrivalID: query.text(1), record: record,
            committedNanoseconds: query.integer(3)))
      }
      return entries
    }
  }

  /// How far a sink has everything durably, and the position it gave then; a sink never heard of is at the beginning.
  package func sinkState(_ sink: String) throws(LedgerError) -> (cursor: Int64, position: String?) {
    try exclusively { () throws(LedgerError) -> (cursor: Int64, position: String?) in
      let query = try database.statement(
        "SELECT cursor, position FROM sinks WHERE name = ?1", as: "read the position of \(sink)")
      defer { query.reset() }
      try query.bind(1, sink)
      guard try query.step() else { return (0, nil) }
      return (query.integer(0), query.isNull(1) ? nil : query.text(1))
    }
  }

  /// Notes that a sink has everything up to `cursor` durably, `rejected` excepted, which go to the dead letters.
  ///
  /// Cursor and position change together. Records no other sink lacks are deleted, and arrivals that waited for this
  /// sink alone become ready to be disposed of.
  ///
  /// - Throws: `misuse` when the cursor would go back or a rejected sequence lies beyond it.
  package func advance(
    sink: String, to cursor: Int64, position: String, rejected: [(sequence: Int64, reason: String)] = []
  ) throws(LedgerError) {
    try writing(as: "advance the sink \(sink)") { () throws(LedgerError) in
      let key = try key(ofSink: sink)
      let operation = "advance the sink \(sink) to \(cursor)"
      for letter in rejected {
        guard letter.sequence <= cursor else {
          throw .misuse(
            path: database.path, operation: operation, detail: "the rejected record \(letter.sequence) lies beyond")
        }
        try bury(letter.sequence, sink: key, reason: letter.reason)
      }
      try release(sink: key, upTo: cursor, as: operation)
      let update = try database.statement(
        "UPDATE sinks SET cursor = ?2, position = ?3 WHERE key = ?1 AND cursor <= ?2", as: operation)
      try update.bind(1, key)
      try update.bind(2, cursor)
      try update.bind(3, position)
      guard try update.run() == 1 else {
        throw .misuse(path: database.path, operation: operation, detail: "it is further already")
      }
    }
  }

  /// Lets no arrival wait for sinks that the configuration no longer names, and lets arrivals wait again for one that
  /// came back.
  ///
  /// What such a sink still lacks stays in its outbox and is delivered when the configuration names it again;
  /// `dropSink` gives it up. Call it at a start and after each reload, before the sinks are opened.
  package func retireSinks(keeping names: [String]) throws(LedgerError) {
    try writing(as: "retire sinks") { () throws(LedgerError) in
      for name in Set(names) { _ = try key(ofSink: name) }
      for (retired, matches) in [(Int64(1), false), (0, true)] {
        let query = try database.statement("SELECT key, name, retired FROM sinks", as: "read the sinks")
        var keys: [Int64] = []
        while try query.step() {
          let isKept = names.contains(query.text(1))
          if isKept == matches, query.integer(2) != retired { keys.append(query.integer(0)) }
        }
        for key in keys { try setRetired(retired == 1, sink: key) }
      }
    }
  }

  /// Gives up a sink for good: its outbox, its position and its dead letters.
  ///
  /// - Returns: How many records it never got.
  @discardableResult
  package func dropSink(_ sink: String) throws(LedgerError) -> Int {
    try writing(as: "drop the sink \(sink)") { () throws(LedgerError) -> Int in
      guard let key = try existingKey(ofSink: sink) else { return 0 }
      let lost = try release(sink: key, upTo: .max, as: "drop the outbox of \(sink)")
      for sql in ["DELETE FROM dead_letters WHERE sink = ?1", "DELETE FROM sinks WHERE key = ?1"] {
        let delete = try database.statement(sql, as: "drop the sink \(sink)")
        try delete.bind(1, key)
        try delete.run()
      }
      sinkKeys[sink] = nil
      return lost
    }
  }

  /// Sends a sink's dead letters once more.
  ///
  /// Each becomes a new record of the same arrival id at the end of its outbox. A file that has not left yet waits for it.
  ///
  /// - Returns: How many there were.
  @discardableResult
  package func redrive(sink: String, now: Int64) throws(LedgerError) -> Int {
    try writing(as: "redrive the dead letters of \(sink)") { () throws(LedgerError) -> Int in
      guard let sink = try existingKey(ofSink: sink) else { return 0 }
      let query = try database.statement(
        "SELECT key, arrival, arrival_id, record FROM dead_letters WHERE sink = ?1 ORDER BY key LIMIT 1",
        as: "read a dead letter")
      try query.bind(1, sink)
      var moved = 0
      while try query.step() {
        let letter = (key: query.integer(0), arrival: query.integer(1), id: query.text(2), record: query.bytes(3))
        query.reset()
        let sequence = try enter(record: letter.record, arrival: letter.arrival, id: letter.id, now: now)
        let wait = try database.statement(
          """
          UPDATE arrivals SET awaiting = awaiting + 1
          WHERE key = ?1 AND state = 1 AND EXISTS (SELECT 1 FROM sinks WHERE key = ?2 AND retired = 0)
          """, as: "hold a file for its sink")
        try wait.bind(1, letter.arrival)
        try wait.bind(2, sink)
        try enter(sequence: sequence, sink: sink, holds: try wait.run() > 0)
        let delete = try database.statement("DELETE FROM dead_letters WHERE key = ?1", as: "take a dead letter")
        try delete.bind(1, letter.key)
        try delete.run()
        moved += 1
      }
      return moved
    }
  }

  private func existingKey(ofSink name: String) throws(LedgerError) -> Int64? {
    let query = try database.statement("SELECT key FROM sinks WHERE name = ?1", as: "find the sink \(name)")
    defer { query.reset() }
    try query.bind(1, name)
    return try query.step() ? query.integer(0) : nil
  }

  private func bury(_ sequence: Int64, sink: Int64, reason: String) throws(LedgerError) {
    let insert = try database.statement(
      """
      INSERT INTO dead_letters (sink, arrival, arrival_id, reason, record)
      SELECT o.sink, r.arrival, r.arrival_id, ?3, r.record FROM outbox o JOIN records r ON r.sequence = o.sequence
      WHERE o.sink = ?1 AND o.sequence = ?2
      """, as: "bury record \(sequence)")
    try insert.bind(1, sink)
    try insert.bind(2, sequence)
    try insert.bind(3, reason)
    try insert.run()
  }

  /// Takes a sink's outbox away up to a sequence; returns how many records that were.
  @discardableResult
  private func release(sink: Int64, upTo sequence: Int64, as operation: String) throws(LedgerError) -> Int {
    var released = 0
    for sql in [
      """
      UPDATE arrivals SET awaiting = awaiting - 1 WHERE key IN (SELECT r.arrival FROM outbox o
        JOIN records r ON r.sequence = o.sequence WHERE o.sink = ?1 AND o.sequence <= ?2 AND o.holds = 1)
      """,
      """
      DELETE FROM records WHERE sequence IN (SELECT sequence FROM outbox WHERE sink = ?1 AND sequence <= ?2)
        AND NOT EXISTS (SELECT 1 FROM sinks s CROSS JOIN outbox o ON o.sink = s.key
          AND o.sequence = records.sequence WHERE s.key <> ?1)
      """,
      "DELETE FROM outbox WHERE sink = ?1 AND sequence <= ?2",
    ] {
      let change = try database.statement(sql, as: operation)
      try change.bind(1, sink)
      try change.bind(2, sequence)
      released = try change.run()
    }
    return released
  }

  /// Retiring releases the files that wait for the sink; its return holds back those that are still there.
  private func setRetired(_ isRetired: Bool, sink: Int64) throws(LedgerError) {
    let held = """
      SELECT r.arrival FROM outbox o JOIN records r ON r.sequence = o.sequence
      JOIN arrivals a ON a.key = r.arrival WHERE o.sink = ?1 AND o.holds = ?2 AND a.state = 1
      """
    let from: Int64 = isRetired ? 1 : 2
    for sql in [
      "UPDATE arrivals SET awaiting = awaiting + \(isRetired ? -1 : 1), due_ns = 0 WHERE key IN (\(held))",
      "UPDATE outbox SET holds = \(isRetired ? 2 : 1) WHERE sink = ?1 AND holds = ?2",
      "UPDATE sinks SET retired = 2 - ?2 WHERE key = ?1",
    ] {
      let change = try database.statement(sql, as: "retire or revive a sink")
      try change.bind(1, sink)
      try change.bind(2, from)
      try change.run()
    }
  }
}
