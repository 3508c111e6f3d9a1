#!/bin/sh
# Installs what was built into a fresh Debian 12 root and tries lookout.service there under a real systemd: start, status,
# drop photos, reload, stop, kill, restart, every image exactly once. Needs root, debootstrap and systemd-nspawn.
#
# usage: scripts/try-systemd.sh [ROOT]   ROOT is kept and used again; without it a temporary one is made and removed.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || {
  echo "try-systemd: run it as root" >&2
  exit 77
}
for tool in debootstrap systemd-nspawn; do
  command -v "$tool" >/dev/null || {
    echo "try-systemd: $tool is missing: apt-get install debootstrap systemd-container" >&2
    exit 69
  }
done

if [ $# -gt 0 ]; then
  root=$1
else
  root=$(mktemp -d)/root
  trap 'rm -rf "$(dirname "$root")"' EXIT
fi
[ -x "$root/usr/lib/systemd/systemd" ] || [ -x "$root/lib/systemd/systemd" ] ||
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libopenblas0-pthread,libjpeg62-turbo,libpng16-16,\
libsqlite3-0,libmicrohttpd12,libcurl4,libssl3,libsystemd0,sqlite3,procps bookworm "$root"

rm -rf "$root/etc/lookout" "$root/var/lib/lookout" "$root/srv/lookout" "$root/photos" "$root/transcript"
PREFIX=/usr DESTDIR=$root scripts/install.sh
mkdir "$root/photos"
cp examples/photos/*.jpg "$root/photos/"
install -m 755 scripts/try-systemd-inside.sh "$root/usr/local/sbin/try-lookout"
cat >"$root/etc/systemd/system/try-lookout.service" <<'UNIT'
[Unit]
Description=Tries lookout.service and powers off
After=dbus.service systemd-tmpfiles-setup.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c '/usr/local/sbin/try-lookout >/transcript 2>&1; echo "exit status $?" >>/transcript'
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=180
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../try-lookout.service "$root/etc/systemd/system/multi-user.target.wants/try-lookout.service"

timeout 240 systemd-nspawn --quiet -D "$root" --boot --register=no --keep-unit </dev/null >"$root/console" 2>&1 || true
[ -f "$root/transcript" ] || {
  echo "try-systemd: the root did not come up:" >&2
  tail -n 40 "$root/console" >&2
  exit 70
}
cat "$root/transcript"
grep -q '^exit status 0$' "$root/transcript"
