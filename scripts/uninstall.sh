#!/bin/sh
# Removes what scripts/install.sh copied. Configuration, state, results and foreign plugins stay.
set -eu
cd "$(dirname "$0")/.."
: "${PREFIX:=/usr/local}" "${DESTDIR:=}"
base=$DESTDIR$PREFIX
library=$base/lib/lookout

rm -f "$base/bin/lookoutd" "$base/bin/lookout" "$library/lookout-sink-host" "$base/include/lookout_sink.h"
for name in csv json sqlite; do
  rm -f "$library/plugins/lookout-sink-$name.so"
done
rm -rf "$library/runtime" "$base/share/doc/lookout"
for page in man/*.[1578]; do
  rm -f "$base/share/man/man${page##*.}/$(basename "$page")"
done
for name in status explain doctor reload pause resume drain redrive quarantine; do
  rm -f "$base/share/man/man1/lookout-$name.1"
done
rm -rf "$base/share/lookout/kit" "$base/share/lookout/grafana" "$base/share/lookout/prometheus" "$base/share/lookout/train"
rm -f "$base/share/bash-completion/completions/lookout" "$base/share/zsh/vendor-completions/_lookout" \
  "$base/share/fish/vendor_completions.d/lookout.fish" "$base/lib/systemd/catalog/lookout.catalog"
rm -f "$base/share/lookout/models/default.swiftweights"
rm -f "$base/lib/systemd/system/lookout.service" "$base/lib/systemd/system/lookout@.service" "$base/lib/sysusers.d/lookout.conf" "$base/lib/tmpfiles.d/lookout.conf"
for folder in "$library/plugins" "$library" "$base/share/lookout/models" "$base/share/lookout"; do
  rmdir "$folder" 2>/dev/null || true
done
