#!/bin/sh
# Fuzzes one reader of strangers' bytes with the toolchain's libFuzzer and AddressSanitizer, and keeps what it learns in
# .build/fuzz-corpus. A finding is written to .build/fuzz-findings and ends the run with a status other than 0.
#
# usage: scripts/fuzz.sh SUBJECT [SECONDS [FOLDER…]]   FOLDER: further seeds, for example a corpus from elsewhere
#        scripts/fuzz.sh SUBJECT 0 FOLDER…             minimises the folders' inputs into Fuzz/Corpus/SUBJECT
set -eu
cd "$(dirname "$0")/.."
subject=${1:?usage: scripts/fuzz.sh SUBJECT [SECONDS [FOLDER…]]}
seconds=${2:-60}
[ $# -lt 2 ] && shift || shift 2

program=.build/fuzz/release/lookout-fuzz
if [ ! -x "$program" ] || [ -n "$(find Sources Fuzz/Main Fuzz/Subjects Tests Package.swift -newer "$program" -print -quit)" ]; then
  rm -rf .build/fuzz
  # The Swift compiler counts edges for the last sanitizer that it is given alone, and the package manager gives the two in any
  # order; so the edges are asked for by name.
  LOOKOUT_FUZZ=1 "${SWIFT:-swift}" build -c release --scratch-path .build/fuzz --product lookout-fuzz \
    --sanitize fuzzer --sanitize address \
    -Xswiftc -sanitize-coverage=edge,indirect-calls,trace-cmp,inline-8bit-counters,pc-table
  find .build/fuzz/release/Engine.build -name '*.o' -exec readelf -S -W {} + | grep -q sancov || {
    echo "fuzz: the build counts no edges of Swift code" >&2
    exit 70
  }
fi
case "$subject" in
ledger) longest=60000 ;;
imaging) longest=16000 ;;
onnx | script) longest=9000 ;;
*) longest=6000 ;;
esac
kept=.build/fuzz-corpus/$subject
findings=.build/fuzz-findings
mkdir -p "$kept" "$findings" "Fuzz/Corpus/$subject"
export LOOKOUT_FUZZ="$subject"
# SQLite and the readers' own caches live as long as the process.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
limits="-timeout=20 -rss_limit_mb=1500 -malloc_limit_mb=256 -max_len=$longest"
# The limits are words on purpose.
# shellcheck disable=SC2086
if [ "$seconds" -eq 0 ]; then
  exec "$program" -merge=1 -use_counters=0 $limits "Fuzz/Corpus/$subject" "$@"
else
  exec "$program" $limits -max_total_time="$seconds" -use_value_profile=1 -print_final_stats=1 \
    -artifact_prefix="$findings/$subject-" "$kept" "Fuzz/Corpus/$subject" "$@"
fi
