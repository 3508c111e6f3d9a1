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
command -v patchelf >/dev/null || {
  echo "install: patchelf is missing; run 'make setup' first" >&2
  exit 69
}

# A file is replaced by a rename, so that a running daemon keeps the one that it has mapped.
put() { # mode source target
  mkdir -p "$(dirname "$3")"
  install -m "$1" "$2" "$3.new"
  mv -f "$3.new" "$3"
}

# The same with the paths of the unit and the configuration turned to PREFIX. The programs' own defaults are below /usr,
# so elsewhere the configuration has to say where plugins and model are.
put_text() { # source target
  say='s|^$||'
  [ "$PREFIX" = /usr ] || say='s/^# \(plugin_dirs = \["\)/\1/; s/^# \(file = "\)/\1/'
  sed -e "s|/usr/bin/lookout|$PREFIX/bin/lookout|g" -e "s|/usr/lib/lookout/|$PREFIX/lib/lookout/|g" \
    -e "s|/usr/share/|$PREFIX/share/|g" -e "$say" "$1" >"$build/install.tmp"
  put 644 "$build/install.tmp" "$2"
  rm -f "$build/install.tmp"
}

# A program or plugin that looks for the Swift runtime in the installed folder alone: the build's toolchain may go or
# change, and may belong to another user.
put_linked() { # run path, source, target
  cp "$2" "$build/install.tmp"
  patchelf --set-rpath "$1" "$build/install.tmp"
  put 755 "$build/install.tmp" "$3"
  rm -f "$build/install.tmp"
}

put_linked '$ORIGIN/../lib/lookout/runtime' "$build/lookoutd" "$base/bin/lookoutd"
put_linked '$ORIGIN/../lib/lookout/runtime' "$build/lookout" "$base/bin/lookout"
put_linked '$ORIGIN/runtime' "$build/lookout-sink-host" "$library/lookout-sink-host"
for name in csv json sqlite; do
  put_linked '$ORIGIN/../runtime' "$build/liblookout-sink-$name.so" "$library/plugins/lookout-sink-$name.so"
done

# The closure of ldd, as far as it lies in the toolchain.
needed=$(ldd "$build/lookoutd" "$build/lookout" "$build/lookout-sink-host" "$build"/liblookout-sink-*.so |
  awk '$2 == "=>" && $3 ~ /\/swift\/linux\// { print $3 }' | sort -u)
[ -n "$needed" ] || {
  echo "install: found no Swift runtime library among what the programs load" >&2
  exit 70
}
rm -rf "$library/runtime"
for file in $needed; do
  put 644 "$file" "$library/runtime/$(basename "$file")"
done

put 644 models/default.swiftweights "$base/share/lookout/models/default.swiftweights"
put 644 Sources/CSinkABI/include/lookout_sink.h "$base/include/lookout_sink.h"
put_text systemd/lookout.service "$base/lib/systemd/system/lookout.service"
put 644 systemd/lookout.catalog "$base/lib/systemd/catalog/lookout.catalog"
# The template for further instances is the same unit with configuration, state and runtime folder named by the instance.
sed -e 's|lookout/lookout\.toml|lookout/%i.toml|' -e 's/^\(StateDirectory\|RuntimeDirectory\)=lookout$/\1=lookout-%i/' \
  -e 's|^Description=.*|&, instance %i|' systemd/lookout.service >"$build/instance.tmp"
put_text "$build/instance.tmp" "$base/lib/systemd/system/lookout@.service"
rm -f "$build/instance.tmp"
put_text systemd/lookout.sysusers "$base/lib/sysusers.d/lookout.conf"
put_text systemd/lookout.tmpfiles "$base/lib/tmpfiles.d/lookout.conf"
for section in 1 5 7 8; do
  for page in man/*."$section"; do
    put 644 "$page" "$base/share/man/man$section/$(basename "$page")"
  done
done
for name in status explain doctor reload pause resume drain redrive quarantine; do
  ln -sf lookout-service.1 "$base/share/man/man1/lookout-$name.1"
done

# The kit: what `lookout plugin new` copies from, and the Swift package that its projects build against.
kit=$base/share/lookout/kit
put 644 plugins/Package.swift "$kit/Package.swift"
put 644 plugins/example-c/sink.c "$kit/plugins/example-c/sink.c"
put 644 plugins/template-swift/Sink.swift "$kit/plugins/template-swift/Sink.swift"
for file in Sources/CSinkABI/lookout_sink.c Sources/CSinkABI/include/* Sources/LookoutSinkKit/*.swift; do
  put 644 "$file" "$kit/$file"
done

put 644 completions/lookout.bash "$base/share/bash-completion/completions/lookout"
put 644 completions/_lookout "$base/share/zsh/vendor-completions/_lookout"
put 644 completions/lookout.fish "$base/share/fish/vendor_completions.d/lookout.fish"
for file in grafana/lookout-dashboard.json prometheus/lookout.rules.yml prometheus/lookout.scrape.yml; do
  put 644 "config/$file" "$base/share/lookout/$file"
done
for file in config/train/*.toml; do
  sed "s|/usr/share/lookout/|$PREFIX/share/lookout/|g" "$file" >"$build/install.tmp"
  put 644 "$build/install.tmp" "$base/share/lookout/train/$(basename "$file")"
done
rm -f "$build/install.tmp"
for file in LICENSE NOTICE README.md CHANGELOG.md docs/OPERATIONS.md docs/MODELS.md docs/TRAINING.md \
  docs/tutorials/own-classifier.md; do
  put 644 "$file" "$base/share/doc/lookout/$(basename "$file")"
done
put_text config/lookout.toml "$base/share/doc/lookout/lookout.toml"
for file in systemd/examples/*; do
  put_text "$file" "$base/share/doc/lookout/examples/$(basename "$file")"
done
if [ -e "$DESTDIR/etc/lookout/lookout.toml" ]; then
  echo "install: $DESTDIR/etc/lookout/lookout.toml stays as it is"
else
  put_text config/lookout.toml "$DESTDIR/etc/lookout/lookout.toml"
fi

if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ] && [ "$(id -u)" -eq 0 ]; then
  echo "install: now run: systemd-sysusers && systemd-tmpfiles --create && journalctl --update-catalog &&" \
    "systemctl daemon-reload &&" \
    "systemctl enable --now lookout"
fi
