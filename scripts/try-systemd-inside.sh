# The part of scripts/try-systemd.sh that runs inside the booted root, behind scripts/try-helpers.sh.
# shellcheck shell=sh disable=SC2154

step "set-up"
run systemd-sysusers
run systemd-tmpfiles --create lookout.conf
run lookoutd --version
run systemd-analyze verify lookout.service
run systemctl daemon-reload

step "start"
run systemctl start lookout
check "active" active "$(active)"
run systemctl status --no-pager --lines=5 lookout

step "sandbox"
pid=$(systemctl show -P MainPID lookout)
run grep -E '^(Uid|NoNewPrivs|Seccomp|CapBnd)' "/proc/$pid/status"
[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] && echo "its own network namespace"
at_most "exposure" 0.5 "$(exposure lookout.service)"

step "drop photos"
drop first
await "$photos"
check "rows" "$photos" "$(rows)"
sleep 1
run systemctl show -p StatusText lookout

step "who may do what"
useradd --no-create-home stranger
useradd --no-create-home --groups lookout member
as() { # user, command…: whether it may
  user=$1
  shift
  if runuser -u "$user" -- "$@" >/tmp/said 2>&1; then echo yes; else echo no; fi
}
for user in root member; do
  for command in status pause resume "quarantine list" redrive drain resume reload doctor \
    "explain /srv/lookout/inbox/first-$(basename "$(ls /photos/*.jpg | head -n 1)")"; do
    # The command is words on purpose.
    # shellcheck disable=SC2086
    check "$command by $user" yes "$(as "$user" lookout $command --json)"
    check "its answer is JSON" 1 "$(sqlite3 :memory: "SELECT json_valid(CAST(readfile('/tmp/said') AS TEXT))")"
  done
done
for command in status pause reload; do
  check "$command by a stranger" no "$(as stranger lookout "$command" --json)"
done
check "active" active "$(active)"
userdel stranger
userdel member

step "reload"
run systemctl reload lookout
check "active" active "$(active)"
sed -i 's/^# top_k = 5 .*an image.*/top_k = 3/' /etc/lookout/lookout.toml
run systemctl reload lookout
drop second
await $((2 * photos))
check "rows" $((2 * photos)) "$(rows)"
for nonsense in '[nonsense]' '[!]' 'daemon = 1'; do
  echo "$nonsense" >>/etc/lookout/lookout.toml
  outcome=done
  systemctl reload lookout || outcome=refused
  check "a bad file's reload" refused "$outcome"
  check "active after a refused reload" active "$(active)"
  sed -i '$d' /etc/lookout/lookout.toml
done
drop afterwards
await $((3 * photos))
check "rows after refused reloads" $((3 * photos)) "$(rows)"

step "stop"
drop third
run systemctl stop lookout
check "inactive" inactive "$(active)"
check "result" success "$(systemctl show -P Result lookout)"
run systemctl start lookout
await $((4 * photos))
check "rows" $((4 * photos)) "$(rows)"

step "kill -9 and restart"
# A kill counts only if it falls between the first and the last row of its photos: 16 copies of each.
count=0
amid=0
total=$((4 * photos))
while [ "$count" -lt 6 ]; do
  before=$total
  total=$((total + 16 * photos))
  for copy in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do drop "kill$count-$copy"; done &
  copying=$!
  await $((before + 1))
  systemctl kill -s KILL --kill-whom=main lookout
  found=$(rows)
  wait "$copying"
  echo "kill $count: $((found - before)) of $((total - before)) rows in sqlite"
  if [ "$found" -gt "$before" ] && [ "$found" -lt "$total" ]; then amid=$((amid + 1)); fi
  await "$total"
  count=$((count + 1))
done
check "kills amid the work" 6 "$amid"
sleep 1
check "active" active "$(active)"
run systemctl show -p NRestarts lookout
run systemctl stop lookout
once_everywhere "$total"

step "a wrong configuration is not tried again"
echo '[nonsense]' >>/etc/lookout/lookout.toml
run systemctl start lookout
sleep 2
check "state" failed "$(active)"
check "exit status" 78 "$(systemctl show -P ExecMainStatus lookout)"
sed -i '/^\[nonsense\]/d' /etc/lookout/lookout.toml
run systemctl reset-failed lookout

step "what the daemon wrote to the journal"
journalctl -b _COMM=lookoutd --no-pager -o short-precise | grep -v 'is open$'
step "fields of the line at READY"
journalctl -b -u lookout --no-pager -o verbose MESSAGE_ID=5b0c1b6f6f0c4e3c9d1f2a7e61b40001 | head -n 45 |
  grep -E 'MESSAGE|LOOKOUT|PRIORITY|_SYSTEMD_UNIT|_UID' || true

[ "$faults" -eq 0 ]
