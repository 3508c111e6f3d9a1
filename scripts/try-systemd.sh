#!/bin/sh
# Installs what was built into a fresh Debian 12 root and tries lookout.service there under a real systemd: start, status,
# drop photos, reload, stop, kill, restart, every image exactly once. Needs root, debootstrap and systemd-nspawn.
#
# usage: scripts/try-systemd.sh [ROOT]   ROOT is kept and used again; without it a temporary one is made and removed.
set -eu
cd "$(dirname "$0")/.."
. scripts/booted-root.sh

choose_root "$@"
make_root "$root" \
  libopenblas0-pthread,libjpeg62-turbo,libcurl4,libmicrohttpd12,libpng16-16,libsqlite3-0,libssl3,libsystemd0,sqlite3,procps

rm -rf "$root/etc/lookout" "$root/var/lib/lookout" "$root/srv/lookout" "$root/photos"
PREFIX=/usr DESTDIR=$root scripts/install.sh
mkdir "$root/photos"
cp examples/photos/*.jpg "$root/photos/"
boot_root "$root" scripts/try-systemd-inside.sh 240
