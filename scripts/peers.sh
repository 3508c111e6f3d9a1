#!/bin/sh
# Prints a Python that has the programs which tests drive Lookout with (Tests/Peers/requirements.txt), and makes it first:
# a virtual environment in .build/peers. Where PyPI is not to be had it says so and prints nothing; those tests are skipped.
# LOOKOUT_PYTHON names another Python. Lookout itself never needs one.
set -eu
cd "$(dirname "$0")/.."
[ -z "${LOOKOUT_PYTHON:-}" ] || {
  echo "$LOOKOUT_PYTHON"
  exit 0
}
wanted=Tests/Peers/requirements.txt
place=$PWD/.build/peers
if ! cmp -s "$wanted" "$place/has.txt"; then
  rm -rf "$place"
  /usr/bin/python3 -m venv "$place" >&2 && "$place/bin/pip" install -q --retries 1 --timeout 20 --only-binary :all: \
    -r "$wanted" >&2 && cp "$wanted" "$place/has.txt" || {
    echo "peers: PyPI is not to be had; tests with other projects' programs are skipped" >&2
    exit 0
  }
fi
echo "$place/bin/python"
