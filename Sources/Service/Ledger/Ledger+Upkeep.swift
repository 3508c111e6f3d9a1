extension Ledger {
  /// How many rows a step of the upkeep looks at, while which other threads may have to wait.
  static let upkeepRows: Int64 = 1_024

  /// Forgets arrivals that ended before a time and whose files are gone, and answers not used since; returns how many
  /// arrivals.
  ///
  /// `isNeeded` is asked without the lock, once for each such arrival: is this very file still at its path, or in
  /// quarantine? Answer true while a watch is offline, or its files will be new arrivals when it returns. Works in short
  /// steps; `pause` is called between them and ends the work with false.
  package func prune(
    olderThan time: Int64, isNeeded: (ArrivalHistory) -> Bool, pause: () -> Bool = { true }
  ) throws(LedgerError) -> Int {
    var forgotten = 0
    var next = try bound("SELECT min(key) FROM arrivals")
    let last = try bound("SELECT max(key) FROM arrivals")
    while next <= last {
      let candidates = try finished(from: next, upTo: next + Self.upkeepRows, before: time)
      next += Self.upkeepRows
      let gone = candidates.filter { !isNeeded($0) }
      if !gone.isEmpty {
        forgotten += try writing(as: "prune") { () throws(LedgerError) -> Int in
          var count = 0
          for history in gone {
            let delete = try database.statement(
              """
              DELETE FROM arrivals WHERE id = ?1 AND state >= 2
                AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letters.arrival = arrivals.key)
                AND NOT EXISTS (SELECT 1 FROM records WHERE records.arrival = arrivals.key)
              """, as: "forget \(history.arrival.id)")
            try delete.bind(1, history.arrival.id)
            count += try delete.run()
          }
          return count
        }
      }
      guard pause() else { return forgotten }
    }
    try pruneAnswers(olderThan: time, pause: pause)
    return forgotten
  }

  /// Learns which answers there are, so that `answer` need not look for those that there are not.
  ///
  /// Works in short steps; `pause` is called between them and ends the work with false.
  package func rememberAnswers(pause: () -> Bool = { true }) throws(LedgerError) {
    guard !answered.isComplete else { return }
    var next = try bound("SELECT min(key) FROM answers")
    let last = try bound("SELECT max(key) FROM answers")
    while next <= last {
      let start = next
      next += Self.upkeepRows
      try asking { (database) throws(LedgerError) in
        let query = try database.statement(
          "SELECT sha256, model FROM answers WHERE key >= ?1 AND key < ?2", as: "remember answers")
        defer { query.reset() }
        try query.bind(1, start)
        try query.bind(2, start + Self.upkeepRows)
        while try query.step() { answered.insert(sha256: query.text(0), modelDigest: query.text(1)) }
      }
      guard pause() else { return }
    }
    answered.becomeComplete()
  }

  private func bound(_ sql: String) throws(LedgerError) -> Int64 {
    try asking { (database) throws(LedgerError) in try database.integer(sql, as: "prune") }
  }

  private func finished(
    from start: Int64, upTo end: Int64, before time: Int64
  ) throws(LedgerError) -> [ArrivalHistory] {
    try asking { (database) throws(LedgerError) -> [ArrivalHistory] in
      let query = try database.statement(
        """
        SELECT \(Self.historyColumns) FROM arrivals
        WHERE key >= ?1 AND key < ?2 AND state >= 2 AND finished_ns < ?3
        """, as: "list finished arrivals")
      defer { query.reset() }
      try query.bind(1, start)
      try query.bind(2, end)
      try query.bind(3, time)
      var found: [ArrivalHistory] = []
      while try query.step() { found.append(history(query)) }
      return found
    }
  }

  private func pruneAnswers(olderThan time: Int64, pause: () -> Bool) throws(LedgerError) {
    var next = try bound("SELECT min(key) FROM answers")
    let last = try bound("SELECT max(key) FROM answers")
    while next <= last {
      try writing(as: "prune answers") { () throws(LedgerError) in
        let delete = try database.statement(
          "DELETE FROM answers WHERE key >= ?1 AND key < ?2 AND answered_ns < ?3", as: "forget answers")
        try delete.bind(1, next)
        try delete.bind(2, next + Self.upkeepRows)
        try delete.bind(3, time)
        try delete.run()
      }
      next += Self.upkeepRows
      guard pause() else { return }
    }
  }
}
