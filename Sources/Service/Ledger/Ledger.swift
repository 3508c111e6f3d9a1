internal import Synchronization

/// The daemon's memory: which files it took charge of, what it found, and which sink still lacks what.
///
/// One SQLite file in WAL mode with `synchronous=FULL`: when a writing call returns, its effect survives a power cut; when
/// it throws or the process dies in it, nothing of it happened. Every method may be called on any thread. One connection
/// behind one lock writes and blocks for the disk; two others, each behind its own lock, read meanwhile, always from the
/// last whole transaction: one what the stages need, the other what people ask, which may take a while. Times are
/// nanoseconds since 1970, passed in.
///
/// After a transient error the same call may be made again: `admit`, `commit`, `withdraw`, `advance` and `disposed` do
/// nothing twice.
package final class Ledger: @unchecked Sendable {
  private let lock = Mutex(())
  let database: Database
  private let readingLock = Mutex(())
  private let readingDatabase: Database
  private let askingLock = Mutex(())
  private let askingDatabase: Database
  /// Which bytes and models were never answered.
  let answered = AnswerFilter()
  /// Which stages the ledger makes wait now; see `patiently`.
  let patience = LedgerPatience()
  /// Keys of the sinks by name; a cache of a table with a handful of rows.
  var sinkKeys: [String: Int64] = [:]

  /// Opens the ledger, makes it if there is none, and brings an older one to the current schema.
  ///
  /// Costs a few page reads whatever the number of rows.
  ///
  /// - Throws: `unavailable` when it cannot be opened now; `damaged`, `foreign` or `newer` when it must not be used.
  package init(path: String) throws(LedgerError) {
    database = try Database(path: path)
    try LedgerSchema.prepare(database)
    let query = try database.statement("SELECT name, key FROM sinks", as: "read the sinks")
    while try query.step() { sinkKeys[query.text(0)] = query.integer(1) }
    readingDatabase = try Database(path: path)
    askingDatabase = try Database(path: path)
    for database in [readingDatabase, askingDatabase] {
      try database.execute("PRAGMA query_only = ON; PRAGMA cache_size = -512", as: "set up a reading connection")
    }
  }

  /// Folds the log into the file and closes it; any later call throws `misuse`.
  package func close() {
    askingLock.withLock { _ in askingDatabase.close() }
    readingLock.withLock { _ in readingDatabase.close() }
    lock.withLock { _ in database.close() }
  }

  /// Lets the file grow to so many pages of 4 KiB and no further (`PRAGMA max_page_count`), until closed; beyond, calls
  /// fail as on a full disk.
  package func limit(pages: Int64) throws(LedgerError) {
    try exclusively { () throws(LedgerError) in
      try database.execute("PRAGMA max_page_count = \(pages)", as: "limit the file")
    }
  }

  /// Runs `body` with the connection to itself.
  func exclusively<Answer: Sendable>(_ body: () throws(LedgerError) -> Answer) throws(LedgerError) -> Answer {
    try lock.withLock { _ throws(LedgerError) -> Answer in try body() }
  }

  /// Runs `body`, which must not write and is quick, with the stages' reading connection to itself; no writer is kept
  /// waiting.
  func reading<Answer: Sendable>(_ body: (Database) throws(LedgerError) -> Answer) throws(LedgerError) -> Answer {
    try readingLock.withLock { _ throws(LedgerError) -> Answer in try body(readingDatabase) }
  }

  /// Runs `body`, which must not write, with the connection for questions to itself; no stage is kept waiting.
  func asking<Answer: Sendable>(_ body: (Database) throws(LedgerError) -> Answer) throws(LedgerError) -> Answer {
    try askingLock.withLock { _ throws(LedgerError) -> Answer in try body(askingDatabase) }
  }

  /// Runs `body` with the connection to itself in one transaction.
  func writing<Answer: Sendable>(
    as operation: String, _ body: () throws(LedgerError) -> Answer
  ) throws(LedgerError) -> Answer {
    try exclusively { () throws(LedgerError) -> Answer in
      do throws(LedgerError) {
        return try database.transaction(as: operation, body)
      } catch {
        // A sink added by what was just undone.
        sinkKeys.removeAll()
        throw error
      }
    }
  }

  /// Adds to how many arrivals ever reached a final state.
  func count(_ number: Int, as state: ArrivalState) throws(LedgerError) {
    guard number > 0 else { return }
    let update = try database.statement(
      "INSERT INTO totals VALUES (?1, ?2) ON CONFLICT (state) DO UPDATE SET count = count + ?2",
      as: "count final states")
    try update.bind(1, Int64(state.rawValue))
    try update.bind(2, Int64(number))
    try update.run()
  }

  /// The key of a sink, which is entered when it is new.
  func key(ofSink name: String) throws(LedgerError) -> Int64 {
    if let key = sinkKeys[name] { return key }
    let insert = try database.statement(
      "INSERT INTO sinks (name) VALUES (?1) ON CONFLICT (name) DO NOTHING", as: "enter the sink \(name)")
    try insert.bind(1, name)
    try insert.run()
    let query = try database.statement("SELECT key FROM sinks WHERE name = ?1", as: "find the sink \(name)")
    defer { query.reset() }
    try query.bind(1, name)
    guard try query.step() else {
      throw .misuse(path: database.path, operation: "find the sink \(name)", detail: "it is not in the table")
    }
    let key = query.integer(0)
    sinkKeys[name] = key
    return key
  }
}
