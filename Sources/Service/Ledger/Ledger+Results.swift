extension Ledger {
  /// Stores results and puts each into the outbox of its sinks, all in one transaction.
  ///
  /// An outcome without sinks is ready to be disposed of at once. One whose arrival already has a result, or was
  /// withdrawn meanwhile, changes nothing, so that no result is ever doubled.
  ///
  /// - Returns: How many outcomes were stored.
  @discardableResult
  package func commit(_ outcomes: [Outcome], now: Int64) throws(LedgerError) -> Int {
    guard !outcomes.isEmpty else { return 0 }
    return try writing(as: "commit \(outcomes.count) results") { () throws(LedgerError) -> Int in
      var stored = 0
      for outcome in outcomes where try commitOne(outcome, now: now) { stored += 1 }
      return stored
    }
  }

  /// The answer that this model gave for the same bytes before, if any.
  ///
  /// Once `rememberAnswers` is done, the file is not touched for bytes that were never answered.
  package func answer(sha256: String, modelDigest: String) throws(LedgerError) -> [UInt8]? {
    guard answered.mayHold(sha256: sha256, modelDigest: modelDigest) else { return nil }
    return try reading { (database) throws(LedgerError) -> [UInt8]? in
      let query = try database.statement(
        "SELECT scores FROM answers WHERE sha256 = ?1 AND model = ?2", as: "look up an earlier answer")
      defer { query.reset() }
      try query.bind(1, sha256)
      try query.bind(2, modelDigest)
      return try query.step() ? query.bytes(0) : nil
    }
  }

  /// Up to `limit` arrivals whose sinks are all done with them, oldest first; the same ones are answered again until
  /// `disposed` or `postpone` is called for them.
  ///
  /// `moment` is one of the monotonic clock; those that were postponed beyond it are left out.
  package func readyToDispose(limit: Int, at moment: Int64 = .max) throws(LedgerError) -> [ReadyArrival] {
    try exclusively { () throws(LedgerError) -> [ReadyArrival] in
      let query = try database.statement(
        """
        SELECT \(Self.arrivalColumns), disposition, (SELECT group_concat(DISTINCT name) FROM dead_letters
          JOIN sinks ON sinks.key = dead_letters.sink WHERE dead_letters.arrival = arrivals.key), sha256
        FROM arrivals WHERE state = 1 AND awaiting <= 0 AND due_ns <= ?2 ORDER BY due_ns, key LIMIT ?1
        """, as: "list arrivals to dispose of")
      defer { query.reset() }
      try query.bind(1, Int64(limit))
      try query.bind(2, moment)
      var ready: [ReadyArrival] = []
      while try query.step() {
        let arrival = arrival(query)
        guard let disposition = Disposition(stored: query.bytes(11)) else {
          throw .misuse(
            path: database.path, operation: "read the disposition of \(arrival.id)", detail: "it has an unknown form")
        }
        let sinks = query.text(12).split(separator: ",").map(String.init)
        ready.append(
          ReadyArrival(arrival: arrival, disposition: disposition, sha256: query.text(13), rejectedBy: sinks))
      }
      return ready
    }
  }

  /// Puts off files that cannot leave now, each until its moment of the monotonic clock, and counts the attempt.
  package func postpone(_ files: [(id: String, due: Int64)]) throws(LedgerError) {
    guard !files.isEmpty else { return }
    try writing(as: "postpone \(files.count) disposals") { () throws(LedgerError) in
      for file in files {
        let update = try database.statement(
          "UPDATE arrivals SET due_ns = ?2, attempts = attempts + 1 WHERE id = ?1 AND state = 1",
          as: "postpone the disposal of \(file.id)")
        try update.bind(1, file.id)
        try update.bind(2, file.due)
        try update.run()
      }
    }
  }

  /// When the first of the postponed files is due, by the monotonic clock; nil if nothing is ready at all.
  package func nextDisposal() throws(LedgerError) -> Int64? {
    let due = try reading { (database) throws(LedgerError) in
      try database.integer(
        "SELECT coalesce((SELECT due_ns FROM arrivals WHERE state = 1 AND awaiting <= 0 ORDER BY due_ns LIMIT 1), -1)",
        as: "find the next disposal")
    }
    return due < 0 ? nil : due
  }

  /// Makes all postponed files due at once: the monotonic clock of an earlier boot means nothing in this one.
  package func forgetPostponements() throws(LedgerError) {
    try writing(as: "forget postponements") { () throws(LedgerError) in
      try database.execute(
        "UPDATE arrivals SET due_ns = 0, attempts = 0 WHERE state = 1 AND awaiting <= 0 AND due_ns > 0",
        as: "forget postponements")
    }
  }

  /// Records what became of files, in one transaction.
  ///
  /// `finalPath` is where a moved or quarantined one now lies. Also ends arrivals that never had a result, for example one put into quarantine for its strikes. A final state
  /// never changes again.
  package func disposed(
    _ results: [(id: String, state: ArrivalState, finalPath: [UInt8]?)], now: Int64
  ) throws(LedgerError) {
    guard !results.isEmpty else { return }
    try writing(as: "record \(results.count) disposals") { () throws(LedgerError) in
      for result in results {
        precondition(result.state.rawValue >= ArrivalState.disposed.rawValue, "a disposal ends in a final state")
        let update = try database.statement(
          """
          UPDATE arrivals SET state = ?2, finished_ns = ?3, final_path = ?4, disposition = NULL
          WHERE id = ?1 AND state <= 1
          """, as: "record the disposal of \(result.id)")
        try update.bind(1, result.id)
        try update.bind(2, Int64(result.state.rawValue))
        try update.bind(3, now)
        if let path = result.finalPath { try update.bind(4, path) } else { try update.bindNull(4) }
        try count(try update.run(), as: result.state)
      }
    }
  }

  private func commitOne(_ outcome: Outcome, now: Int64) throws(LedgerError) -> Bool {
    let operation = "commit the result of \(outcome.arrivalID)"
    let sinks = Set(outcome.sinks)
    let update = try database.statement(
      """
      UPDATE arrivals SET state = 1, awaiting = ?2, sha256 = ?3, disposition = ?4, reason = ?5
      WHERE id = ?1 AND state = 0 RETURNING key
      """, as: operation)
    try update.bind(1, outcome.arrivalID)
    try update.bind(2, Int64(sinks.count))
    try update.bind(3, outcome.sha256)
    try update.bind(4, outcome.disposition.stored)
    if case .quarantine(_, let reason) = outcome.disposition {
      try update.bind(5, reason)
    } else {
      try update.bindNull(5)
    }
    guard try update.step() else { return false }
    let arrival = update.integer(0)
    update.reset()

    if !sinks.isEmpty {
      let sequence = try enter(record: outcome.record, arrival: arrival, id: outcome.arrivalID, now: now)
      for sink in sinks { try enter(sequence: sequence, sink: try key(ofSink: sink), holds: true) }
    }
    guard !outcome.scores.isEmpty, !outcome.sha256.isEmpty else { return true }
    answered.insert(sha256: outcome.sha256, modelDigest: outcome.modelDigest)
    let keep = try database.statement(
      """
      INSERT INTO answers (sha256, model, answered_ns, scores) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT (sha256, model) DO UPDATE SET answered_ns = ?3
      """, as: operation)
    try keep.bind(1, outcome.sha256)
    try keep.bind(2, outcome.modelDigest)
    try keep.bind(3, now)
    try keep.bind(4, outcome.scores)
    try keep.run()
    return true
  }

  /// Stores a record; its key is the sequence.
  func enter(record: [UInt8], arrival: Int64, id: String, now: Int64) throws(LedgerError) -> Int64 {
    let insert = try database.statement(
      "INSERT INTO records (arrival, arrival_id, record, committed_ns) VALUES (?1, ?2, ?3, ?4)",
      as: "store the record of \(id)")
    try insert.bind(4, now)
    try insert.bind(1, arrival)
    try insert.bind(2, id)
    try insert.bind(3, record)
    try insert.run()
    return database.lastKey
  }

  /// Makes a record wait for a sink; `holds` when the file is to wait with it.
  func enter(sequence: Int64, sink: Int64, holds: Bool) throws(LedgerError) {
    let insert = try database.statement(
      "INSERT INTO outbox (sink, sequence, holds) VALUES (?1, ?2, ?3)", as: "put record \(sequence) into an outbox")
    try insert.bind(1, sink)
    try insert.bind(2, sequence)
    try insert.bind(3, holds ? 1 : 0)
    try insert.run()
  }
}
