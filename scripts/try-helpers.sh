#!/bin/sh
# What the scripts that run inside a booted root share; it is put in front of them.
set -u
faults=0
results=/var/lib/lookout/results

step() { printf '\n== %s\n' "$1"; }
run() {
  echo "\$ $*"
  "$@" 2>&1
}
check() { # what, expected, found
  if [ "$2" = "$3" ]; then
    echo "ok: $1: $3"
  else
    echo "NOT OK: $1: expected $2, found $3"
    faults=$((faults + 1))
  fi
}
at_most() { # what, limit, found
  if awk "BEGIN { exit !($3 <= $2) }"; then
    echo "ok: $1: $3, at most $2"
  else
    echo "NOT OK: $1: $3 is above $2"
    faults=$((faults + 1))
  fi
}
rows() { sqlite3 "$results/results.db" 'SELECT count(*) FROM results' 2>/dev/null || echo 0; }
drop() { # prefix: every photo under a new name
  for photo in /photos/*.jpg; do
    cp "$photo" "/srv/lookout/inbox/$1-${photo##*/}"
  done
}
await() { # how many rows, within 60 s
  rounds=0
  while [ "$(rows)" -lt "$1" ] && [ "$rounds" -lt 1200 ]; do
    sleep 0.05
    rounds=$((rounds + 1))
  done
}
active() { systemctl is-active lookout; }
exposure() { systemd-analyze security --no-pager "$1" | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p'; }
once_everywhere() { # how many images: each once in every sink
  check "rows in sqlite" "$1" "$(rows)"
  check "distinct paths in sqlite" "$1" "$(sqlite3 "$results/results.db" 'SELECT count(DISTINCT path) FROM results')"
  check "lines in json" "$1" "$(wc -l <"$results/results.jsonl")"
  check "distinct ids in json" "$1" "$(grep -o '^{"id":"[^"]*"' "$results/results.jsonl" | sort -u | wc -l)"
  check "rows in csv" "$1" "$(sed 1d "$results/results.csv" | wc -l)"
  check "distinct ids in csv" "$1" "$(sed 1d "$results/results.csv" | cut -d, -f1 | sort -u | wc -l)"
}
photos=$(find /photos -name '*.jpg' | wc -l)
