#!/bin/sh
# Runs `make test`, `make demo` and `make check` from a clean clone of HEAD inside a fresh Debian 12 root that holds nothing
# but Debian's base system, make and this machine's Swift toolchain (mounted read-only). Whatever else they need,
# scripts/setup.sh has to bring. Needs root, debootstrap, git and a Swift toolchain on the PATH.
#
# usage: scripts/try-fresh-root.sh [ROOT [TARGET…]]
#   ROOT     an empty or missing folder; it is kept. Without it a temporary one is made and removed.
#   TARGET…  targets of the Makefile; without any: test demo check
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || {
  echo "try-fresh-root: run it as root" >&2
  exit 77
}
for tool in debootstrap unshare git swift; do
  command -v "$tool" >/dev/null || {
    echo "try-fresh-root: $tool is missing" >&2
    exit 69
  }
done
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swiftc)")")")

if [ $# -gt 0 ]; then
  root=$1
  shift
  [ ! -e "$root" ] || rmdir "$root" || {
    echo "try-fresh-root: $root is not empty" >&2
    exit 73
  }
else
  root=$(mktemp -d)/root
  trap 'rm -rf "$(dirname "$root")"' EXIT
fi
[ $# -gt 0 ] || set -- test demo check

debootstrap --variant=minbase --include=make bookworm "$root" >"$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  exit 70
}
rm -f "$root.log"
# The daemon's tests run as root and as others, with a name to resolve and a machine identity.
echo fresh-root >"$root/etc/hostname"
mkdir -p "$root$toolchain" "$root/root"
git clone --quiet --no-hardlinks "$PWD" "$root/root/lookout"

# The mounts live in a namespace of their own and end with it, as do the processes.
ROOT=$root TOOLCHAIN=$toolchain unshare --mount --pid --fork --kill-child --propagation private sh -eu -c '
  # What looks at mounts wants its root to be one.
  mount --bind "$ROOT" "$ROOT"
  mount --bind "$TOOLCHAIN" "$ROOT$TOOLCHAIN"
  mount -o remount,bind,ro "$ROOT$TOOLCHAIN"
  mount -t proc proc "$ROOT/proc"
  mount -t sysfs -o ro sysfs "$ROOT/sys"
  mount --rbind /dev "$ROOT/dev"
  mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
  mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
  for target; do
    printf "\n== make %s\n" "$target"
    begin=$(date +%s)
    chroot "$ROOT" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
      PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$TOOLCHAIN/bin" \
      make -C /root/lookout --no-print-directory "$target" || {
      echo "NOT OK: make $target"
      exit 1
    }
    echo "ok: make $target in $(($(date +%s) - begin)) s"
  done
' sh "$@"
