#!/bin/sh
# Tries the Debian packages in a bare Debian 12 root under a real systemd: install, work, upgrade while files flow, a changed
# configuration, the sandbox with and without TCP, a second instance, remove, install again, purge.
# Needs root, debootstrap, systemd-nspawn, and what `make deb` needs; run `make build` first.
#
# usage: scripts/try-deb.sh [ROOT]   ROOT is kept and its base system used again; without it a temporary one is made.
set -eu
cd "$(dirname "$0")/.."
. scripts/booted-root.sh

choose_root "$@"
base=$root
# Nothing that Lookout needs is in it: apt has to bring that.
make_root "$base" procps,sqlite3,acl,curl
# Each try begins with the bare system.
root=$base.tried
rm -rf "$root"
cp -a "$base" "$root"

mkdir "$root/photos" "$root/packages"
cp examples/photos/*.jpg "$root/photos/"
version=$(sed -n 's/.*text = "\(.*\)".*/\1/p' Sources/Service/Supervision/Version.swift)
for number in "$version" "$version+next"; do
  VERSION=$number scripts/deb.sh
  cp .build/deb/*.deb "$root/packages/"
done
echo "$version" >"$root/packages/version"
boot_root "$root" scripts/try-deb-inside.sh 600
