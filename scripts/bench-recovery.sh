#!/bin/sh
# How long the daemon takes from exec to READY after SIGKILL with a ledger of many rows (default a million).
# usage: scripts/bench-recovery.sh [ROWS [STARTS]]; needs a built tree and python3.
set -eu
cd "$(dirname "$0")/.."
rows=${1:-1000000}
starts=${2:-5}
root=$(mktemp -d)
daemon=
# shellcheck disable=SC2317  # the trap calls it
finish() {
  [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null || :
  rm -rf "$root"
}
trap finish EXIT INT TERM
mkdir "$root/inbox" "$root/out" "$root/state" "$root/run" "$root/plugins"
cp .build/release/liblookout-sink-csv.so "$root/plugins/lookout-sink-csv.so"
cat >"$root/lookout.toml" <<END
[daemon]
state_dir = "$root/state"
runtime_dir = "$root/run"
plugin_dirs = ["$root/plugins"]
[models.default]
file = "$PWD/models/default.swiftweights"
[watches.inbox]
path = "$root/inbox"
sinks = ["table"]
[sinks.table]
plugin = "csv"
path = "$root/out/results.csv"
END

# Starts the daemon, waits for READY, and kills it.
round() {
  : >"$root/log"
  .build/release/lookoutd --config "$root/lookout.toml" 2>"$root/log" &
  daemon=$!
  until grep -q 'ready in' "$root/log"; do
    kill -0 "$daemon" 2>/dev/null || {
      cat "$root/log" >&2
      exit 70
    }
    sleep 0.05
  done
  sed -n 's/.*\(ready in [0-9]* ms\).*/\1/p' "$root/log"
  sleep "${1:-0}"
  kill -9 "$daemon"
  wait "$daemon" 2>/dev/null || :
  daemon=
}

echo "an empty ledger:"
cp "$(find examples -name '*.jpg' | head -n 1)" "$root/inbox/"
round 3
python3 - "$root/state/ledger.db" "$rows" "$root" <<'END'
import sqlite3, sys
path, rows, root = sys.argv[1], int(sys.argv[2]), sys.argv[3]
db = sqlite3.connect(path)
db.execute("PRAGMA synchronous = OFF")
record = db.execute("SELECT scores FROM answers").fetchone()[0]
# Most are done; the last ten thousand wait for their sink, and a hundred have no result yet.
def arrival(n):
    left = rows - n
    state, awaiting = (0, 0) if left < 100 else (1, 1) if left < 10100 else (2, 0)
    return (n + 100, state, awaiting, n, None if state < 2 else n, 1, n, 5, 5, 100, f"{n:08x}-0000-7000-8000-{n:012x}",
            "inbox", f"{root}/inbox/folder-{n % 97}/photo-{n:08}.jpg".encode(), f"{n:064x}", b"k")
db.executemany("INSERT INTO arrivals (key, state, awaiting, admitted_ns, finished_ns, device, inode, ctime_ns, mtime_ns,"
               " size_bytes, id, watch, path, sha256, disposition) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
               (arrival(n) for n in range(rows)))
db.executemany("INSERT INTO answers (answered_ns, sha256, model, scores) VALUES (?,?,?,?)",
               ((n, f"{n:064x}", "m", record) for n in range(rows)))
for n in range(max(0, rows - 10099), rows - 99):
    at = db.execute("INSERT INTO records (arrival, arrival_id, record, committed_ns) VALUES (?,?,?,?)",
                    (n + 100, f"{n:08x}", record, n)).lastrowid
    db.execute("INSERT INTO outbox VALUES ((SELECT key FROM sinks WHERE name = 'table'), ?, 1)", (at,))
db.commit()
END
echo "$rows rows, $(du -m "$root/state/ledger.db" | cut -f1) MiB, killed in the midst of delivering and upkeep:"
n=0
while [ "$n" -lt "$starts" ]; do
  round 1
  n=$((n + 1))
done
