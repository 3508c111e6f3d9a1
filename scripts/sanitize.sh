#!/bin/sh
# Builds everything with a sanitizer in a tree of its own and runs the whole test suite on it, the real programs included.
#
# usage: scripts/sanitize.sh [address|undefined|thread …] [-- ARGUMENTS OF SWIFT TEST]   without a name: all three
set -eu
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
kinds=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  kinds="$kinds $1"
  shift
done
[ $# -eq 0 ] || shift
symbolizer=$(dirname "$(readlink -f "$(command -v swiftc)")")/llvm-symbolizer
suppressions=$PWD/scripts/sanitize
export SWIFT_BACKTRACE=enable=no
export ASAN_SYMBOLIZER_PATH="$symbolizer" UBSAN_SYMBOLIZER_PATH="$symbolizer" TSAN_SYMBOLIZER_PATH="$symbolizer"
export ASAN_OPTIONS="abort_on_error=1:allocator_may_return_null=1:detect_leaks=0"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$suppressions/thread.txt"
for kind in ${kinds:-address undefined thread}; do
  tree=.build/sanitize-$kind
  echo "sanitize: $kind"
  "$swift" build -c release --sanitize "$kind" --scratch-path "$tree"
  "$swift" build -c release --sanitize "$kind" --scratch-path "$tree" --build-tests
  "$swift" test -c release --sanitize "$kind" --scratch-path "$tree" --skip-build "$@"
  echo "sanitize: $kind: no finding"
done
