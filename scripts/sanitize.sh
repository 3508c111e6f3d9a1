#!/bin/sh
# Builds everything with a sanitizer in a tree of its own and runs the whole test suite on it, the real programs included.
#
# AddressSanitizer and UndefinedBehaviorSanitizer share a tree, ThreadSanitizer has its own. Swift traps where C is undefined,
# so UndefinedBehaviorSanitizer is for C and C++; its handlers come with AddressSanitizer's.
#
# usage: scripts/sanitize.sh [memory|thread …] [-- ARGUMENTS OF SWIFT TEST]   without a name: both
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
# Tests make processes crash on purpose and look how they ended, so the signal stays what it is.
export ASAN_OPTIONS="abort_on_error=1:allocator_may_return_null=1:detect_leaks=0:handle_segv=0"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:handle_segv=0:second_deadlock_stack=1:suppressions=$suppressions/thread.txt"
for kind in ${kinds:-memory thread}; do
  case $kind in
  memory)
    flags="--sanitize address"
    for flag in -fsanitize=undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined; do
      flags="$flags -Xcc $flag -Xcxx $flag"
    done
    ;;
  thread)
    mkdir -p .build/sanitize-thread
    clang -O2 -fPIC -Wall -Wextra -c scripts/sanitize/mutex.c -o .build/sanitize-thread/mutex.o
    # A plugin finds the runtime in the program that opens it.
    flags="--sanitize thread -Xlinker $PWD/.build/sanitize-thread/mutex.o"
    flags="$flags -Xlinker --dynamic-list=$suppressions/thread.exports"
    ;;
  *)
    echo "sanitize: $kind is neither memory nor thread" >&2
    exit 64
    ;;
  esac
  flags="-c release $flags --scratch-path .build/sanitize-$kind"
  echo "sanitize: $kind"
  # The flags are words on purpose.
  # shellcheck disable=SC2086
  {
    "$swift" build $flags
    "$swift" build $flags --build-tests
    # One after the other: a test's time limit counts the time that it waits for others.
    "$swift" test $flags --skip-build --no-parallel "$@"
  }
  echo "sanitize: $kind: no finding"
done
