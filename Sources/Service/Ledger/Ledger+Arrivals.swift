extension Ledger {
  /// Tells for each file whether it was admitted before in this very state: same watch, path and identity.
  ///
  /// A renamed or rewritten file, one dropped again, and one that had vanished before it was classified are not known.
  package func known(
    _ identities: [FileIdentity], watch: String, paths: [[UInt8]]
  ) throws(LedgerError) -> [Bool] {
    precondition(identities.count == paths.count, "one path an identity")
    return try exclusively { () throws(LedgerError) -> [Bool] in
      var answers: [Bool] = []
      answers.reserveCapacity(identities.count)
      for (identity, path) in zip(identities, paths) {
        answers.append(try idOfKnown(identity, watch: watch, path: path) != nil)
      }
      return answers
    }
  }

  /// Takes charge of those files that are not known yet, in one transaction; returns them in the order given.
  ///
  /// A candidate whose id is already in the ledger for the same file and still without a result is answered like a new
  /// one, so that a call can be repeated.
  package func admit(
    _ candidates: [Arrival], now: Int64
  ) throws(LedgerError) -> [Arrival] {
    guard !candidates.isEmpty else { return [] }
    return try writing(as: "admit \(candidates.count) arrivals") { () throws(LedgerError) -> [Arrival] in
      let insert = """
        INSERT INTO arrivals (id, watch, path, device, inode, ctime_ns, mtime_ns, size_bytes, admitted_ns, sighting)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        """
      var admitted: [Arrival] = []
      for candidate in candidates {
        var arrival = candidate
        if let id = try idOfKnown(candidate.identity, watch: candidate.watch, path: candidate.path) {
          guard id == candidate.id, let known = try unfinished(id: id) else { continue }
          arrival = known
        } else {
          let row = try database.statement(insert, as: "admit \(candidate.id)")
          try row.bind(1, candidate.id)
          try row.bind(2, candidate.watch)
          try row.bind(3, candidate.path)
          try row.bind(4, Int64(bitPattern: candidate.identity.device))
          try row.bind(5, Int64(bitPattern: candidate.identity.inode))
          try row.bind(6, candidate.identity.ctimeNanoseconds)
          try row.bind(7, candidate.identity.mtimeNanoseconds)
          try row.bind(8, candidate.identity.size)
          try row.bind(9, now)
          try row.bind(10, Int64(candidate.sighting.rawValue))
          try row.run()
        }
        arrival.isFirst = try !hasArrivedBefore(arrival)
        admitted.append(arrival)
      }
      return admitted
    }
  }

  /// All arrivals without a result, oldest first: what a start takes up again.
  package func unfinished() throws(LedgerError) -> [Arrival] {
    try exclusively { () throws(LedgerError) -> [Arrival] in
      let query = try database.statement(
        "SELECT \(Self.arrivalColumns) FROM arrivals WHERE state = 0 ORDER BY key", as: "list unfinished arrivals")
      defer { query.reset() }
      var arrivals: [Arrival] = []
      while try query.step() { arrivals.append(arrival(query)) }
      return arrivals
    }
  }

  /// Gives up arrivals that have no result yet.
  ///
  /// As `vanished` when gone or changed while being read: its next listing is a new arrival. As `ignored` when it is to
  /// be left alone. Those that have a result by now stay as they are.
  package func withdraw(_ ids: [String], as state: ArrivalState, now: Int64 = 0) throws(LedgerError) {
    precondition(state == .vanished || state == .ignored, "an arrival is withdrawn as vanished or ignored")
    guard !ids.isEmpty else { return }
    try writing(as: "withdraw \(ids.count) arrivals") { () throws(LedgerError) in
      var changed = 0
      for id in ids {
        let update = try database.statement(
          "UPDATE arrivals SET state = ?2, finished_ns = max(?3, admitted_ns) WHERE id = ?1 AND state = 0",
          as: "withdraw \(id)")
        try update.bind(1, id)
        try update.bind(2, Int64(state.rawValue))
        try update.bind(3, now)
        changed += try update.run()
      }
      try count(changed, as: state)
    }
  }

  /// Adds a strike to each arrival that was in a thread's hand when the daemon crashed; unknown and already answered
  /// ones are left out of the reply.
  package func strike(_ ids: [String]) throws(LedgerError) -> [(id: String, strikes: Int)] {
    guard !ids.isEmpty else { return [] }
    return try writing(as: "record strikes") { () throws(LedgerError) -> [(id: String, strikes: Int)] in
      var strikes: [(id: String, strikes: Int)] = []
      for id in ids {
        let update = try database.statement(
          "UPDATE arrivals SET strikes = strikes + 1 WHERE id = ?1 AND state = 0 RETURNING strikes",
          as: "record a strike for \(id)")
        try update.bind(1, id)
        while try update.step() { strikes.append((id, Int(update.integer(0)))) }
      }
      return strikes
    }
  }

  /// The columns that `arrival(_:)` reads, in its order.
  static var arrivalColumns: String {
    "id, watch, path, device, inode, ctime_ns, mtime_ns, size_bytes, strikes, attempts, sighting"
  }

  /// The arrival in the current row of a query for `arrivalColumns`.
  func arrival(_ row: Statement) -> Arrival {
    Arrival(
      id: row.text(0), watch: row.text(1), path: row.bytes(2),
      identity: FileIdentity(
        device: UInt64(bitPattern: row.integer(3)), inode: UInt64(bitPattern: row.integer(4)),
        ctimeNanoseconds: row.integer(5), mtimeNanoseconds: row.integer(6), size: row.integer(7)),
      sighting: Arrival.Sighting(rawValue: Int(row.integer(10))) ?? .found,
      strikes: Int(row.integer(8)), attempts: Int(row.integer(9)))
  }

  private func unfinished(id: String) throws(LedgerError) -> Arrival? {
    let query = try database.statement(
      "SELECT \(Self.arrivalColumns) FROM arrivals WHERE id = ?1 AND state = 0", as: "find arrival \(id)")
    defer { query.reset() }
    try query.bind(1, id)
    return try query.step() ? arrival(query) : nil
  }

  /// Whether there is another arrival of a file's path, inode and size, whatever its times.
  private func hasArrivedBefore(_ arrival: Arrival) throws(LedgerError) -> Bool {
    let query = try database.statement(
      "SELECT 1 FROM arrivals WHERE inode = ?1 AND path = ?2 AND watch = ?3 AND size_bytes = ?4 AND id <> ?5 LIMIT 1",
      as: "look for an earlier arrival of \(arrival.id)")
    defer { query.reset() }
    try query.bind(1, Int64(bitPattern: arrival.identity.inode))
    try query.bind(2, arrival.path)
    try query.bind(3, arrival.watch)
    try query.bind(4, arrival.identity.size)
    try query.bind(5, arrival.id)
    return try query.step()
  }

  private func idOfKnown(_ identity: FileIdentity, watch: String, path: [UInt8]) throws(LedgerError) -> String? {
    let query = try database.statement(
      """
      SELECT id FROM arrivals WHERE inode = ?1 AND ctime_ns = ?2 AND mtime_ns = ?3 AND size_bytes = ?4
        AND path = ?5 AND watch = ?6 AND state <> 5 LIMIT 1
      """, as: "look up a file")
    defer { query.reset() }
    try query.bind(1, Int64(bitPattern: identity.inode))
    try query.bind(2, identity.ctimeNanoseconds)
    try query.bind(3, identity.mtimeNanoseconds)
    try query.bind(4, identity.size)
    try query.bind(5, path)
    try query.bind(6, watch)
    return try query.step() ? query.text(0) : nil
  }
}
