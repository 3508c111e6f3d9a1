-- A ledger as schema version 1 left it: one arrival of each kind, a record that waits, a dead letter.
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
INSERT INTO arrivals (id, watch, path, device, inode, ctime_ns, mtime_ns, size_bytes, admitted_ns, state, awaiting,
  strikes, attempts, finished_ns, sha256, disposition, final_path) VALUES
  ('seen', 'inbox', x'2F612E6A7067', 1, 11, 5, 5, 100, 1000, 0, 0, 1, 0, NULL, NULL, NULL, NULL),
  ('waits', 'inbox', x'2F622E6A7067', 1, 12, 5, 5, 100, 1001, 1, 1, 0, 3, NULL, 'aa', x'6B', NULL),
  ('ready', 'inbox', x'2F632E6A7067', 1, 13, 5, 5, 100, 1002, 1, 0, 0, 0, NULL, 'bb', x'64', NULL),
  ('kept', 'inbox', x'2F642E6A7067', 1, 14, 5, 5, 100, 1003, 2, 0, 0, 0, 2003, 'cc', NULL, NULL),
  ('bad', 'inbox', x'2F652E6A7067', 1, 15, 5, 5, 100, 1004, 3, 0, 0, 0, 2004, '', NULL, x'2F712F652E6A7067');
INSERT INTO sinks (name, cursor, position) VALUES ('csv', 1, 'p1'), ('json', 0, NULL);
INSERT INTO records (arrival, arrival_id, record) VALUES (1, 'seen', x'00'), (2, 'waits', x'01');
INSERT INTO outbox VALUES (2, 2, 1);
INSERT INTO dead_letters (sink, arrival, arrival_id, reason, record) VALUES (1, 4, 'kept', 'too long', x'02');
INSERT INTO answers (answered_ns, sha256, model, scores) VALUES (2003, 'cc', 'm1', x'03');
INSERT INTO totals VALUES (2, 1), (3, 1);
PRAGMA user_version = 1;
PRAGMA application_id = 1282109300;
