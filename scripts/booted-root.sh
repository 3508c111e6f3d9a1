# Sourced by scripts/try-*.sh: a Debian 12 root, and running a script in it under its own systemd.

# Sets $root to the folder asked for, or to a temporary one that goes when the script ends. usage: choose_root [ROOT]
choose_root() {
  [ "$(id -u)" -eq 0 ] || {
    echo "$0: run it as root" >&2
    exit 77
  }
  root=${1:-}
  [ -z "$root" ] || return 0
  temporary=$(mktemp -d)
  trap 'rm -rf "$temporary"' EXIT
  root=$temporary/root
}

# Makes the root unless it is there. usage: make_root ROOT PACKAGE,PACKAGE…
make_root() {
  for tool in debootstrap systemd-nspawn; do
    command -v "$tool" >/dev/null || {
      echo "$tool is missing: apt-get install debootstrap systemd-container" >&2
      exit 69
    }
  done
  [ -x "$1/usr/lib/systemd/systemd" ] || [ -x "$1/lib/systemd/systemd" ] ||
    debootstrap --variant=minbase --include="systemd,systemd-sysv,dbus,$2" bookworm "$1"
  [ "$(readlink "$1/etc/resolv.conf" 2>/dev/null)" = "" ] || rm -f "$1/etc/resolv.conf"
  [ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$1/etc/resolv.conf"
}

# Boots the root, runs a script in it with the helpers of scripts/try-helpers.sh, powers off and shows the transcript.
# The script's last status decides. usage: boot_root ROOT SCRIPT SECONDS
boot_root() {
  root=$1
  mkdir -p "$root/usr/local/sbin"
  cat scripts/try-helpers.sh "$2" >"$root/usr/local/sbin/try-lookout"
  chmod 755 "$root/usr/local/sbin/try-lookout"
  rm -f "$root/transcript"
  cat >"$root/etc/systemd/system/try-lookout.service" <<UNIT
[Unit]
Description=Tries Lookout and powers off
After=dbus.service systemd-tmpfiles-setup.service network.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c '/usr/local/sbin/try-lookout >/transcript 2>&1; echo "exit status \$\$?" >>/transcript'
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=$3
UNIT
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -sf ../try-lookout.service "$root/etc/systemd/system/multi-user.target.wants/try-lookout.service"
  timeout $(($3 + 60)) systemd-nspawn --quiet -D "$root" --boot --register=no --keep-unit </dev/null \
    >"$root/console" 2>&1 || true
  [ -f "$root/transcript" ] || {
    echo "the root did not come up:" >&2
    tail -n 40 "$root/console" >&2
    exit 70
  }
  cat "$root/transcript"
  grep -q '^exit status 0$' "$root/transcript"
}
