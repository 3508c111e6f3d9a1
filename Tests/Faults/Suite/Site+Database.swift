internal import CSQLite
internal import TestSupport

extension Site {
  /// How many results the sqlite sink holds now.
  package func rowsInArchive() -> Int { Self.number("SELECT count(*) FROM results", in: "\(out)/results.db") ?? 0 }

  /// The first number that a query of a database gives; nil if it cannot be asked.
  package static func number(_ query: String, in path: String) -> Int? {
    guard Files.exists(path) else { return nil }
    var database: OpaquePointer?
    defer { sqlite3_close(database) }
    guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, nil) == SQLITE_OK else { return nil }
    sqlite3_busy_timeout(database, 2000)
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    guard sqlite3_prepare_v2(database, query, -1, &statement, nil) == SQLITE_OK,
      sqlite3_step(statement) == SQLITE_ROW
    else { return nil }
    return Int(sqlite3_column_int64(statement, 0))
  }

  /// Runs statements on a database that nobody else has open.
  package static func execute(_ sql: String, in path: String) throws {
    var database: OpaquePointer?
    defer { sqlite3_close(database) }
    guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK,
      sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK
    else { throw SiteError("\(path): \(String(cString: sqlite3_errmsg(database)))") }
  }
}
