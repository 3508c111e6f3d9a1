// SQLite: a results table and a predictions table, upserted by id in one transaction a batch.

internal import CSQLite
public import CSinkABI
internal import LookoutSinkKit

private let schema = """
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS results (
    id TEXT PRIMARY KEY, time TEXT NOT NULL, watch TEXT NOT NULL, path NOT NULL, sha256 TEXT NOT NULL,
    status TEXT NOT NULL, error TEXT, width INTEGER NOT NULL, height INTEGER NOT NULL, model TEXT NOT NULL,
    model_digest TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS predictions (
    result_id TEXT NOT NULL REFERENCES results (id), rank INTEGER NOT NULL, idx INTEGER NOT NULL, label TEXT NOT NULL,
    score REAL NOT NULL, PRIMARY KEY (result_id, rank)) WITHOUT ROWID;
  """

/// Writes a row a record.
///
/// A path that is no UTF-8 is stored as a blob. Replayed records replace themselves.
final class SQLiteSink: Sink {
  static let keys = ["path", "top_k"]

  private let path: String
  private let topK: Int
  private var database: OpaquePointer?
  private var result: OpaquePointer?
  private var clear: OpaquePointer?
  private var prediction: OpaquePointer?
  private var last: String

  init(config: SinkConfiguration, resumeAt position: Position?) throws(SinkError) {
    path = try config.string("path")
    topK = try config.int("top_k", default: 5, in: 0...1000)
    last = position?.text ?? "0"
    guard path.utf8.first == UInt8(ascii: "/") else {
      throw .fatal("key 'path' is '\(path)'; it must be the absolute path of a file")
    }
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
    try check(sqlite3_open_v2(path, &database, flags, nil))
    sqlite3_busy_timeout(database, 5000)
    try check(sqlite3_exec(database, schema, nil, nil, nil))
    result = try prepare("INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?,?,?,?,?,?)")
    clear = try prepare("DELETE FROM predictions WHERE result_id = ?")
    prediction = try prepare("INSERT INTO predictions VALUES (?,?,?,?,?)")
  }

  deinit {
    sqlite3_finalize(result)
    sqlite3_finalize(clear)
    sqlite3_finalize(prediction)
    sqlite3_close_v2(database)
  }

  func write(_ batch: borrowing Batch) throws(SinkError) {
    guard batch.count > 0 else { return }
    try check(sqlite3_exec(database, "BEGIN IMMEDIATE", nil, nil, nil))
    var sequence = last
    do throws(SinkError) {
      try batch.forEach { record throws(SinkError) in
        try store(record)
        sequence = String(record.sequence)
      }
      try check(sqlite3_exec(database, "COMMIT", nil, nil, nil))
    } catch {
      sqlite3_exec(database, "ROLLBACK", nil, nil, nil)
      throw error
    }
    last = sequence
  }

  /// Each batch is durable when its transaction ended.
  func flush() throws(SinkError) -> Position { Position(last) }

  private func store(_ record: Record) throws(SinkError) {
    bind(result, 1, record.id)
    bind(result, 2, timestamp(nanoseconds: record.timeNanoseconds))
    bind(result, 3, record.watch)
    let path = record.path
    if let text = String(validating: path, as: UTF8.self) {
      bind(result, 4, text)
    } else {
      sqlite3_bind_blob64(result, 4, path, UInt64(path.count), transient)
    }
    bind(result, 5, record.sha256)
    bind(result, 6, record.status)
    bind(result, 7, record.error)
    sqlite3_bind_int64(result, 8, Int64(record.width))
    sqlite3_bind_int64(result, 9, Int64(record.height))
    bind(result, 10, record.model)
    bind(result, 11, record.modelDigest)
    try run(result)
    bind(clear, 1, record.id)
    try run(clear)
    for item in record.predictions(upTo: topK) {
      bind(prediction, 1, record.id)
      sqlite3_bind_int64(prediction, 2, Int64(item.rank))
      sqlite3_bind_int64(prediction, 3, Int64(item.index))
      bind(prediction, 4, item.label)
      sqlite3_bind_double(prediction, 5, item.score.isFinite ? Double(item.score) : 0)
      try run(prediction)
    }
  }

  private func prepare(_ text: String) throws(SinkError) -> OpaquePointer? {
    var statement: OpaquePointer?
    try check(sqlite3_prepare_v3(database, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
    return statement
  }

  private func bind(_ statement: OpaquePointer?, _ place: Int32, _ text: String?) {
    guard let text else {
      sqlite3_bind_null(statement, place)
      return
    }
    sqlite3_bind_text(statement, place, text, Int32(text.utf8.count), transient)
  }

  private func run(_ statement: OpaquePointer?) throws(SinkError) {
    let code = sqlite3_step(statement)
    sqlite3_reset(statement)
    guard code == SQLITE_DONE else { throw failure(code) }
  }

  private func check(_ code: Int32) throws(SinkError) {
    guard code == SQLITE_OK else { throw failure(code) }
  }

  /// Space, rights and locks pass; a damaged file or a foreign schema does not.
  private func failure(_ code: Int32) -> SinkError {
    let reason = "\(path): \(database.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory")"
    switch code & 0xff {
    case SQLITE_FULL, SQLITE_IOERR, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM,
      SQLITE_NOMEM:
      return .retry(reason)
    default: return .fatal(reason)
    }
  }
}

/// SQLITE_TRANSIENT, which Swift cannot see: SQLite copies the bytes during the call.
private var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

/// The plugin's one symbol.
@c @implementation
public func lookout_sink_v1() -> UnsafePointer<lookout_sink>! {
  exportSink(SQLiteSink.self, name: "sqlite", version: "1.0.0")
}
