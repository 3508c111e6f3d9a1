#!/bin/sh
# Copies what `make build` made below $DESTDIR$PREFIX, with the Swift runtime libraries that it needs and no others.
set -eu
cd "$(dirname "$0")/.."
: "${PREFIX:=/usr/local}" "${DESTDIR:=}"
build=.build/release
base=$DESTDIR$PREFIX
library=$base/lib/lookout

[ -x "$build/lookoutd" ] || {
  echo "install: $build/lookoutd is not there; run 'make build' first" >&2
  exit 66
}

# A file is replaced by a rename, so that a running daemon keeps the one that it has mapped.
put() { # mode source target
  mkdir -p "$(dirname "$3")"
  install -m "$1" "$2" "$3.new"
  mv -f "$3.new" "$3"
}

# The same with the paths of the unit and the configuration turned to PREFIX.
put_text() { # source target
  sed "s|/usr/bin/lookoutd|$PREFIX/bin/lookoutd|g
    s|/usr/lib/lookout/|$PREFIX/lib/lookout/|g
    s|/usr/share/|$PREFIX/share/|g" "$1" >"$build/install.tmp"
  put 644 "$build/install.tmp" "$2"
  rm -f "$build/install.tmp"
}

put 755 "$build/lookoutd" "$base/bin/lookoutd"
put 755 "$build/lookout" "$base/bin/lookout"
put 755 "$build/lookout-sink-host" "$library/lookout-sink-host"
for name in csv json sqlite; do
  put 755 "$build/liblookout-sink-$name.so" "$library/plugins/lookout-sink-$name.so"
done

# The closure of ldd, as far as it lies in the toolchain.
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
needed=$(ldd "$build/lookoutd" "$build/lookout" "$build/lookout-sink-host" "$build"/liblookout-sink-*.so |
  awk '$2 == "=>" && $3 ~ /\/swift\/linux\// { print $3 }' | sort -u)
[ -n "$needed" ] || {
  echo "install: found no Swift runtime library of $toolchain among what the programs load" >&2
  exit 70
}
rm -rf "$library/runtime"
for file in $needed; do
  put 644 "$file" "$library/runtime/$(basename "$file")"
done

put 644 models/default.swiftweights "$base/share/lookout/models/default.swiftweights"
put 644 Sources/CSinkABI/include/lookout_sink.h "$base/include/lookout_sink.h"
put_text systemd/lookout.service "$base/lib/systemd/system/lookout.service"
put_text systemd/lookout.sysusers "$base/lib/sysusers.d/lookout.conf"
put_text systemd/lookout.tmpfiles "$base/lib/tmpfiles.d/lookout.conf"
for file in LICENSE NOTICE README.md CHANGELOG.md docs/OPERATIONS.md docs/MODELS.md; do
  put 644 "$file" "$base/share/doc/lookout/$(basename "$file")"
done
put_text config/lookout.toml "$base/share/doc/lookout/lookout.toml"
if [ -e "$DESTDIR/etc/lookout/lookout.toml" ]; then
  echo "install: $DESTDIR/etc/lookout/lookout.toml stays as it is"
else
  put_text config/lookout.toml "$DESTDIR/etc/lookout/lookout.toml"
fi

if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ] && [ "$(id -u)" -eq 0 ]; then
  echo "install: now run: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload &&" \
    "systemctl enable --now lookout"
fi
