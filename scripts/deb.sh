#!/bin/sh
# Packs what `make build` made as Debian packages: lookout (programs, plugins, the Swift runtime they need), lookout-model-default
# and lookout-dev, in .build/deb. Needs dpkg-dev, binutils and, to check the result, lintian.
#
# Set VERSION for another version than the programs', MAINTAINER for whom to ask.
set -eu
cd "$(dirname "$0")/.."
: "${VERSION:=$(sed -n 's/.*text = "\(.*\)".*/\1/p' Sources/Service/Supervision/Version.swift)}"
: "${MAINTAINER:=Lookout maintainers <maintainers@lookout.example>}"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)
export SOURCE_DATE_EPOCH
for tool in dpkg-shlibdeps dpkg-deb strip patchelf; do
  command -v "$tool" >/dev/null || {
    echo "deb: $tool is missing: apt-get install dpkg-dev binutils patchelf" >&2
    exit 69
  }
done

# Folders as a package wants them, whatever the umask here.
umask 022
out=$PWD/.build/deb
rm -rf "$out"
mkdir -p "$out"
stage=$out/stage
PREFIX=/usr DESTDIR=$stage scripts/install.sh >/dev/null

main=$out/lookout dev=$out/lookout-dev model=$out/lookout-model-default
mkdir -p "$main/DEBIAN" "$dev/DEBIAN" "$model/DEBIAN"
cp -a "$stage/." "$main/"

# Each file to its package.
move() { # package, path below the root
  mkdir -p "$1/$(dirname "$2")"
  mv "$main/$2" "$1/$2"
}
move "$model" usr/share/lookout/models/default.swiftweights
move "$dev" usr/include/lookout_sink.h
# What `lookout plugin new` copies from and builds against.
move "$dev" usr/share/lookout/kit
find "$main" -depth -type d -empty -delete
mkdir -p "$main/DEBIAN" "$dev/usr/share/doc/lookout-dev"
install -m 644 docs/SINK_ABI.md "$dev/usr/share/doc/lookout-dev/SINK_ABI.md"

find "$main/usr/bin" "$main/usr/lib/lookout" -type f -exec strip --strip-unneeded --remove-section=.comment {} +
find "$main/usr/lib/lookout/runtime" -type f -exec chmod 644 {} +

for package in lookout lookout-dev lookout-model-default; do
  root=$out/$package
  doc=$root/usr/share/doc/$package
  mkdir -p "$doc"
  rm -f "$doc/LICENSE" "$doc/CHANGELOG.md"
  install -m 644 packaging/copyright "$doc/copyright"
  printf '%s (%s) unstable; urgency=medium\n\n  * See NEWS for what a user notices.\n\n -- %s  %s\n' \
    "$package" "$VERSION" "$MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$doc/changelog"
  install -m 644 CHANGELOG.md "$doc/NEWS"
  gzip -9n "$doc/changelog" "$doc/NEWS"
done
find "$main/usr/share/man" -type f -exec gzip -9n {} +
find "$main/usr/share/man" -type l | while read -r link; do
  ln -s "$(readlink "$link").gz" "$link.gz"
  rm "$link"
done

# What the programs link, as packages; dpkg-shlibdeps wants a source tree around it.
shlibs=$out/shlibs
mkdir -p "$shlibs/debian"
printf 'Source: lookout\n\nPackage: lookout\nArchitecture: amd64\n' >"$shlibs/debian/control"
depends=$(cd "$shlibs" && find "$main/usr/bin" "$main/usr/lib/lookout" -type f \
  -exec dpkg-shlibdeps -O --ignore-missing-info -l"$main/usr/lib/lookout/runtime" {} + 2>"$shlibs/log" |
  sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || {
  cat "$shlibs/log" >&2
  exit 70
}

for package in lookout lookout-dev lookout-model-default; do
  root=$out/$package
  for script in conffiles preinst postinst prerm postrm; do
    [ ! -e "packaging/$package/$script" ] || cp "packaging/$package/$script" "$root/DEBIAN/$script"
  done
  (cd "$root" && find usr etc -type f 2>/dev/null | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
  size=$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f 1)
  sed -e "s|@SHLIBS@|$depends|" -e "s|@VERSION@|$VERSION|" -e "s|@MAINTAINER@|$MAINTAINER|" \
    -e "s|^Architecture: .*|&\nVersion: $VERSION\nInstalled-Size: $size|" "packaging/$package/control" >"$root/DEBIAN/control"
  architecture=$(sed -n 's/^Architecture: //p' "$root/DEBIAN/control")
  file=$out/${package}_${VERSION}_$architecture.deb
  dpkg-deb --root-owner-group -Zxz -b "$root" "$file" >/dev/null
  printf '%s  %s bytes\n' "${file#"$PWD/"}" "$(stat -c %s "$file")"
done

limit=$((20 << 20))
[ "$(stat -c %s "$out/lookout_${VERSION}_amd64.deb")" -lt "$limit" ] || {
  echo "deb: lookout_${VERSION}_amd64.deb is not below $limit bytes" >&2
  exit 70
}
if command -v lintian >/dev/null; then
  lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs "$out"/*.deb
else
  echo "deb: lintian is not installed, the packages are not checked" >&2
fi
