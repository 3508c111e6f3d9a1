/// The tables of the ledger and how an older file becomes a current one.
///
/// `arrivals` holds one row a file admitted. `records` holds one row a result that some sink still lacks, and `outbox`
/// one tiny row for each such sink, so that a record is stored once however many sinks there are. `awaiting` counts an
/// arrival's outbox rows that hold its file back. Partial indexes keep every question asked at a start proportional to
/// the work at hand, not to the rows kept.
enum LedgerSchema {
  /// "Lkot": tells `file` and us whose database it is.
  static let applicationID: Int64 = 0x4C6B_6F74

  /// What this program reads and writes.
  static var version: Int64 { Int64(migrations.count) }

  /// The step at index n turns version n into version n + 1.
  static let migrations: [String] = [
    """
    CREATE TABLE arrivals (
      key INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL DEFAULT 0, awaiting INTEGER NOT NULL DEFAULT 0,
      strikes INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, admitted_ns INTEGER NOT NULL,
      finished_ns INTEGER, device INTEGER NOT NULL, inode INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
      mtime_ns INTEGER NOT NULL, size_bytes INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, watch TEXT NOT NULL,
      path BLOB NOT NULL, sha256 TEXT, disposition BLOB, final_path BLOB
    ) STRICT;
    CREATE INDEX arrivals_identity ON arrivals (inode, ctime_ns);
    CREATE INDEX arrivals_unfinished ON arrivals (key) WHERE state = 0;
    CREATE INDEX arrivals_awaiting ON arrivals (key) WHERE state = 1 AND awaiting > 0;
    CREATE INDEX arrivals_ready ON arrivals (key) WHERE state = 1 AND awaiting <= 0;
    CREATE TABLE sinks (
      key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cursor INTEGER NOT NULL DEFAULT 0, position TEXT,
      retired INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE records (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT, arrival INTEGER NOT NULL, arrival_id TEXT NOT NULL,
      record BLOB NOT NULL
    ) STRICT;
    CREATE TABLE outbox (
      sink INTEGER NOT NULL, sequence INTEGER NOT NULL, holds INTEGER NOT NULL,
      PRIMARY KEY (sink, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
      key INTEGER PRIMARY KEY, sink INTEGER NOT NULL, arrival INTEGER NOT NULL, arrival_id TEXT NOT NULL,
      reason TEXT NOT NULL, record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX dead_letters_arrival ON dead_letters (arrival);
    CREATE INDEX dead_letters_sink ON dead_letters (sink);
    CREATE TABLE answers (
      key INTEGER PRIMARY KEY, answered_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, model TEXT NOT NULL,
      scores BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX answers_sha256 ON answers (sha256, model);
    CREATE TABLE totals (state INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
    """,
    """
    ALTER TABLE records ADD COLUMN committed_ns INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE arrivals ADD COLUMN reason TEXT;
    ALTER TABLE arrivals ADD COLUMN due_ns INTEGER NOT NULL DEFAULT 0;
    DROP INDEX arrivals_ready;
    CREATE INDEX arrivals_ready ON arrivals (due_ns, key) WHERE state = 1 AND awaiting <= 0;
    CREATE INDEX records_arrival ON records (arrival);
    CREATE INDEX arrivals_quarantined ON arrivals (key) WHERE state = 3 AND final_path IS NOT NULL;
    """,
    "ALTER TABLE arrivals ADD COLUMN sighting INTEGER NOT NULL DEFAULT 0;",
  ]

  /// Sets up the connection and brings the file to the current version, or refuses it untouched.
  static func prepare(_ database: Database) throws(LedgerError) {
    let found = try database.integer("PRAGMA user_version", as: "read the schema version")
    let owner = try database.integer("PRAGMA application_id", as: "read the application id")
    let objects = try database.integer("SELECT count(*) FROM sqlite_schema", as: "read the schema")
    guard owner == applicationID || (owner == 0 && found == 0 && objects == 0) else {
      throw .foreign(path: database.path, applicationID: owner)
    }
    guard found <= version else { throw .newer(path: database.path, found: found, supported: version) }
    guard found >= 0 else {
      throw .misuse(path: database.path, operation: "read the schema version", detail: "it is \(found)")
    }
    try database.execute(
      """
      PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;
      PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF;
      """, as: "set up the connection")
    guard found < version else { return }
    try database.transaction(as: "bring the schema to version \(version)") { () throws(LedgerError) in
      // Another process may have done it while this one waited for the lock.
      let current = try database.integer("PRAGMA user_version", as: "read the schema version")
      for step in migrations.dropFirst(Int(current)) { try database.execute(step, as: "change the schema") }
      try database.execute(
        "PRAGMA user_version = \(version); PRAGMA application_id = \(applicationID)", as: "stamp the schema")
    }
  }
}
