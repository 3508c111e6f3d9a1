#!/bin/sh
# Starts the daemon on a temporary folder, drops the photos of examples/photos and shows what the three sinks wrote.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/.build/release
root=$(mktemp -d)
daemon=

finish() {
  if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
    kill -TERM "$daemon"
    wait "$daemon" || true
  fi
  rm -rf "$root"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "demo: $1" >&2
  cat "$root/log" >&2 2>/dev/null || true
  exit 1
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

mkdir "$root/inbox" "$root/results" "$root/plugins"
chmod 755 "$root/plugins"
for name in csv json sqlite; do
  install -m 755 "$build/liblookout-sink-$name.so" "$root/plugins/lookout-sink-$name.so"
done

cat >"$root/lookout.toml" <<CONFIGURATION
[daemon]
state_dir = "$root/state"
runtime_dir = "$root/run"
plugin_dirs = ["$root/plugins"]

[models.default]
file = "$PWD/models/default.swiftweights"

[watches.inbox]
path = "$root/inbox"
sinks = ["table", "lines", "archive"]
after = "keep"
settle_ms = 500

[sinks.table]
plugin = "csv"
path = "$root/results/results.csv"

[sinks.lines]
plugin = "json"
path = "$root/results/results.jsonl"

[sinks.archive]
plugin = "sqlite"
path = "$root/results/results.db"
CONFIGURATION

"$build/lookoutd" --config "$root/lookout.toml" 2>"$root/log" >&2 &
daemon=$!
rounds=0
until grep -q 'ready in' "$root/log"; do
  kill -0 "$daemon" 2>/dev/null || fail "lookoutd ended before it was ready"
  rounds=$((rounds + 1))
  [ "$rounds" -lt 1500 ] || fail "lookoutd was not ready within 30 s"
  sleep 0.02
done
echo "lookoutd: $(sed -n 's/.*\(ready in .* resident\).*/\1/p' "$root/log" | head -n 1)"

# How many results every sink holds: the smallest count of the three.
delivered() {
  rows=$(sqlite3 "file:$root/results/results.db?mode=ro" 'SELECT count(*) FROM results' 2>/dev/null || echo 0)
  lines=$(cat "$root/results/results.jsonl" 2>/dev/null | wc -l)
  table=$(sed 1d "$root/results/results.csv" 2>/dev/null | wc -l)
  least=$rows
  [ "$lines" -ge "$least" ] || least=$lines
  [ "$table" -ge "$least" ] || least=$table
  echo "$least"
}

expected=$(find examples/photos -name '*.jpg' | wc -l)
begin=$(now_ms)
cp examples/photos/*.jpg "$root/inbox/"
rounds=0
until [ "$(delivered)" -ge "$expected" ]; do
  kill -0 "$daemon" 2>/dev/null || fail "lookoutd ended before every photo was delivered"
  rounds=$((rounds + 1))
  [ "$rounds" -lt 1500 ] || fail "after 30 s only $(delivered) of $expected photos are in all three sinks"
  sleep 0.02
done
end=$(now_ms)
echo "$expected photos copied into the inbox; $((end - begin)) ms later each is in all three sinks."

echo
echo "csv (path, label_1, score_1 of $(wc -c <"$root/results/results.csv") bytes):"
awk -F, '
  NR == 1 { for (i = 1; i <= NF; i++) { sub(/\r$/, "", $i); column[$i] = i }; next }
  { n = split($column["path"], parts, "/")
    printf "  %-16s %-28s %.3f\n", parts[n], $column["label_1"], $column["score_1"] }
' "$root/results/results.csv"
echo
echo "json (first of $(wc -l <"$root/results/results.jsonl") lines):"
head -n 1 "$root/results/results.jsonl" | fold -w 110 | sed 's/^/  /'
echo
echo "sqlite (SELECT … FROM results JOIN predictions):"
sqlite3 "file:$root/results/results.db?mode=ro" "
  SELECT printf('  %-16s %4dx%-4d  %-28s %.3f', replace(path, rtrim(path, replace(path, '/', '')), ''),
    width, height, label, score)
  FROM results JOIN predictions ON result_id = id WHERE rank = 1 ORDER BY id"
echo

kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
daemon=
[ "$status" -eq 0 ] || fail "lookoutd ended with status $status"
echo "lookoutd stopped with status 0."
