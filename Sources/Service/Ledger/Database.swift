internal import CSQLite

/// One SQLite connection: the narrow part of the library that the ledger needs.
///
/// Not safe for concurrent use (`SQLITE_OPEN_NOMUTEX`): its owner holds a lock. Prepared statements are kept for the life
/// of the connection. Every failure is a `LedgerError` that names the file and what was tried.
final class Database {
  let path: String
  private var handle: OpaquePointer?
  private var cache: [String: Statement] = [:]

  /// Opens or creates the file (`sqlite3_open_v2`); nothing is read from it yet.
  init(path: String, busyTimeoutMilliseconds: Int32 = 5_000) throws(LedgerError) {
    self.path = path
    guard !path.utf8.contains(0), !path.isEmpty else {
      throw .misuse(path: path, operation: "open", detail: "the path is empty or holds a zero byte")
    }
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = sqlite3_open_v2(path, &handle, flags, nil)
    guard code == SQLITE_OK else {
      let error = failure(code, "open")
      sqlite3_close_v2(handle)
      handle = nil
      throw error
    }
    sqlite3_busy_timeout(handle, busyTimeoutMilliseconds)
  }

  deinit { close() }

  /// Finalises all statements and closes; calling it twice does nothing, and any later statement fails as misuse.
  func close() {
    cache.removeAll()
    sqlite3_close_v2(handle)
    handle = nil
  }

  /// Runs statements that answer nothing, separated by semicolons (`sqlite3_exec`).
  func execute(_ sql: String, as operation: String) throws(LedgerError) {
    guard handle != nil else { throw closed(operation) }
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw failure(code, operation) }
  }

  /// The compiled form of one statement, reset and without values, from the cache if it ran before.
  func statement(_ sql: String, as operation: String) throws(LedgerError) -> Statement {
    if let kept = cache[sql] {
      kept.reset()
      kept.operation = operation
      return kept
    }
    guard let handle else { throw closed(operation) }
    var compiled: OpaquePointer?
    let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
    guard code == SQLITE_OK, let compiled else { throw failure(code, operation) }
    let statement = Statement(compiled, database: self, operation: operation)
    cache[sql] = statement
    return statement
  }

  /// The first column of the first row, for pragmas and counts; zero when there is no row.
  func integer(_ sql: String, as operation: String) throws(LedgerError) -> Int64 {
    let query = try statement(sql, as: operation)
    defer { query.reset() }
    return try query.step() ? query.integer(0) : 0
  }

  /// Runs `body` in one write transaction: all of it is durable on return, or none of it happened and it threw.
  func transaction<Answer>(
    as operation: String, _ body: () throws(LedgerError) -> Answer
  ) throws(LedgerError) -> Answer {
    try execute("BEGIN IMMEDIATE", as: operation)
    do throws(LedgerError) {
      let answer = try body()
      for statement in cache.values { statement.reset() }
      try execute("COMMIT", as: operation)
      return answer
    } catch {
      for statement in cache.values { statement.reset() }
      // SQLite itself may have rolled back already, for example on a full disk.
      if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
      throw error
    }
  }

  /// Rows changed by the last statement that ran to its end.
  var changes: Int { Int(sqlite3_changes64(handle)) }

  /// The key of the row inserted last.
  var lastKey: Int64 { sqlite3_last_insert_rowid(handle) }

  /// Turns a result code into the error with this connection's text.
  fileprivate func failure(_ code: Int32, _ operation: String) -> LedgerError {
    let text = handle.flatMap { sqlite3_errmsg($0) } ?? sqlite3_errstr(code)
    let detail = text.map { String(cString: $0) } ?? "unknown"
    switch code & 0xFF {
    case SQLITE_FULL, SQLITE_IOERR, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_NOMEM,
      SQLITE_PERM, SQLITE_PROTOCOL, SQLITE_INTERRUPT:
      return .unavailable(path: path, operation: operation, code: code, detail: detail)
    case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT:
      return .damaged(path: path, operation: operation, code: code, detail: detail)
    default:
      return .misuse(path: path, operation: operation, detail: "\(detail) (sqlite \(code))")
    }
  }

  private func closed(_ operation: String) -> LedgerError {
    .misuse(path: path, operation: operation, detail: "the ledger is closed")
  }
}

/// One prepared statement; finalised when released, which the connection does on closing.
///
/// Values are bound by position from 1 and read by position from 0, as in SQLite. Bytes are copied both ways.
final class Statement {
  private let compiled: OpaquePointer
  private unowned let database: Database
  /// What an error says was tried.
  var operation: String

  fileprivate init(_ compiled: OpaquePointer, database: Database, operation: String) {
    self.compiled = compiled
    self.database = database
    self.operation = operation
  }

  deinit { sqlite3_finalize(compiled) }

  /// Advances to the next row, or to the end with `false`, after which the statement is reset.
  func step() throws(LedgerError) -> Bool {
    switch sqlite3_step(compiled) {
    case SQLITE_ROW: return true
    case SQLITE_DONE:
      sqlite3_reset(compiled)
      return false
    case let code:
      let error = database.failure(code, operation)
      sqlite3_reset(compiled)
      throw error
    }
  }

  /// Runs to the end a statement that answers no rows; returns how many rows it changed.
  @discardableResult
  func run() throws(LedgerError) -> Int {
    while try step() {}
    return database.changes
  }

  /// Ends a query early; the values stay bound.
  func reset() { sqlite3_reset(compiled) }

  /// Binds an integer.
  func bind(_ position: Int32, _ value: Int64) throws(LedgerError) {
    try check(sqlite3_bind_int64(compiled, position, value))
  }

  /// Binds text.
  func bind(_ position: Int32, _ value: String) throws(LedgerError) {
    let length = UInt64(value.utf8.count)
    let code = sqlite3_bind_text64(compiled, position, value, length, Self.copied, UInt8(SQLITE_UTF8))
    try check(code)
  }

  /// Binds bytes; none at all are an empty blob, not null.
  func bind(_ position: Int32, _ value: [UInt8]) throws(LedgerError) {
    let code = value.withUnsafeBytes { bytes in
      bytes.isEmpty
        ? sqlite3_bind_zeroblob(compiled, position, 0)
        : sqlite3_bind_blob64(compiled, position, bytes.baseAddress, UInt64(bytes.count), Self.copied)
    }
    try check(code)
  }

  /// Binds null.
  func bindNull(_ position: Int32) throws(LedgerError) {
    try check(sqlite3_bind_null(compiled, position))
  }

  /// A column of the current row as an integer; null is zero.
  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(compiled, column) }

  /// A column of the current row as text; null is empty.
  func text(_ column: Int32) -> String {
    String(decoding: bytes(column), as: UTF8.self)
  }

  /// A column of the current row as bytes; null is empty.
  func bytes(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(compiled, column) else { return [] }
    return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(compiled, column))))
  }

  /// Whether a column of the current row is null.
  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(compiled, column) == SQLITE_NULL }

  private func check(_ code: Int32) throws(LedgerError) {
    guard code == SQLITE_OK else { throw database.failure(code, operation) }
  }

  /// `SQLITE_TRANSIENT`, a macro that Swift cannot see: SQLite makes its own copy before the call returns.
  private static var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}
