extension Ledger {
  /// Tells whether an admitted file is one that was answered before and whose rights, owner, links or times changed since;
  /// if so, the earlier arrival is that of the file as it is now, and this one ends without a result.
  ///
  /// That is so for the same path, inode, size and bytes, unless an event told that the file was dropped again. Of one
  /// that a listing found, while nobody listened to events, the times tell: a write sets mtime and ctime alike, a change of
  /// anything but the contents leaves them apart. Such changes come from `chmod`, `chown`, `ln`, `touch`, backup programs,
  /// and from writers that set a file's times after they closed it (unzip, FTP, Samba). An earlier arrival that could not
  /// leave its folder because of the change is disposed of after all.
  ///
  /// `disposition` is what the watch does with answered files.
  ///
  /// - Returns: true if it was recognised.
  package func recognise(
    _ arrival: Arrival, sha256: String, disposition: Disposition
  ) throws(LedgerError) -> Bool {
    let identity = arrival.identity
    switch arrival.sighting {
    case .dropped: return false
    case .found: guard identity.mtimeNanoseconds != identity.ctimeNanoseconds else { return false }
    case .changed: break
    }
    guard !arrival.isFirst, !sha256.isEmpty else { return false }
    return try writing(as: "recognise \(arrival.id)") { () throws(LedgerError) -> Bool in
      let query = try database.statement(
        """
        SELECT key, state FROM arrivals WHERE inode = ?1 AND path = ?2 AND watch = ?3 AND size_bytes = ?4 AND sha256 = ?5
          AND state IN (1, 2) AND id <> ?6 ORDER BY key DESC LIMIT 1
        """, as: "look for an earlier arrival of \(arrival.id)")
      try query.bind(1, Int64(bitPattern: identity.inode))
      try query.bind(2, arrival.path)
      try query.bind(3, arrival.watch)
      try query.bind(4, identity.size)
      try query.bind(5, sha256)
      try query.bind(6, arrival.id)
      guard try query.step() else { return false }
      let (key, isDisposed) = (query.integer(0), query.integer(1) == 2)
      query.reset()
      try withdrawOne(arrival.id)
      let update = try database.statement(
        """
        UPDATE arrivals SET ctime_ns = ?2, mtime_ns = ?3, device = ?4, state = ?5,
          disposition = CASE WHEN ?5 = state THEN disposition ELSE ?6 END WHERE key = ?1
        """, as: "take over the identity of \(arrival.id)")
      try update.bind(1, key)
      try update.bind(2, identity.ctimeNanoseconds)
      try update.bind(3, identity.mtimeNanoseconds)
      try update.bind(4, Int64(bitPattern: identity.device))
      try update.bind(5, isDisposed && disposition == .keep ? 2 : 1)
      try update.bind(6, disposition.stored)
      try update.run()
      return true
    }
  }

  private func withdrawOne(_ id: String) throws(LedgerError) {
    let withdraw = try database.statement(
      "UPDATE arrivals SET state = 5, finished_ns = admitted_ns WHERE id = ?1 AND state = 0", as: "withdraw \(id)")
    try withdraw.bind(1, id)
    try count(try withdraw.run(), as: .vanished)
  }
}
