extension Ledger {
  /// Forgets arrivals that ended before a time and whose files are gone, and answers not used since; returns how many
  /// arrivals.
  ///
  /// `exists` is asked without the lock, once for each such arrival: is this very file still at this path? Answer true
  /// while a watch is offline, or its files will be new arrivals when it returns. Works in short steps, so that other
  /// threads wait no longer than for one of them.
  package func prune(
    olderThan time: Int64, exists: (_ watch: String, _ path: [UInt8], _ identity: FileIdentity) -> Bool
  ) throws(LedgerError) -> Int {
    let last = try exclusively { () throws(LedgerError) -> Int64 in
      try database.integer("SELECT max(key) FROM arrivals", as: "prune")
    }
    let step: Int64 = 2_048
    var forgotten = 0
    for start in stride(from: Int64(0), through: last, by: Int(step)) {
      let candidates = try finished(from: start, upTo: start + step, before: time)
      let gone = candidates.filter { !exists($0.watch, $0.path, $0.identity) }
      guard !gone.isEmpty else { continue }
      try writing(as: "prune") { () throws(LedgerError) in
        for arrival in gone {
          let delete = try database.statement(
            "DELETE FROM arrivals WHERE id = ?1 AND state >= 2", as: "forget \(arrival.id)")
          try delete.bind(1, arrival.id)
          forgotten += try delete.run()
        }
      }
    }
    try pruneAnswers(olderThan: time, step: step)
    return forgotten
  }

  private func finished(from start: Int64, upTo end: Int64, before time: Int64) throws(LedgerError) -> [Arrival] {
    try exclusively { () throws(LedgerError) -> [Arrival] in
      let query = try database.statement(
        """
        SELECT \(Self.arrivalColumns) FROM arrivals
        WHERE key >= ?1 AND key < ?2 AND state >= 2 AND finished_ns < ?3
        """, as: "list finished arrivals")
      defer { query.reset() }
      try query.bind(1, start)
      try query.bind(2, end)
      try query.bind(3, time)
      var arrivals: [Arrival] = []
      while try query.step() { arrivals.append(arrival(query)) }
      return arrivals
    }
  }

  private func pruneAnswers(olderThan time: Int64, step: Int64) throws(LedgerError) {
    let last = try exclusively { () throws(LedgerError) -> Int64 in
      try database.integer("SELECT max(key) FROM answers", as: "prune")
    }
    for start in stride(from: Int64(0), through: last, by: Int(step)) {
      try writing(as: "prune answers") { () throws(LedgerError) in
        let delete = try database.statement(
          "DELETE FROM answers WHERE key >= ?1 AND key < ?2 AND answered_ns < ?3", as: "forget answers")
        try delete.bind(1, start)
        try delete.bind(2, start + step)
        try delete.bind(3, time)
        try delete.run()
      }
    }
  }
}
