# The part of scripts/try-deb.sh that runs inside the booted root, behind scripts/try-helpers.sh.
# shellcheck shell=sh disable=SC2154

export DEBIAN_FRONTEND=noninteractive
version=$(cat /packages/version)
next=$version+next
of() { # version: the packages of the service
  echo "/packages/lookout_$1_amd64.deb /packages/lookout-model-default_$1_all.deb"
}
installed() { dpkg-query -W -f '${Version}' lookout 2>/dev/null; }
exists() { if [ -e "$1" ]; then echo there; else echo gone; fi; }

step "install"
run apt-get -qq update
# The packages are words on purpose.
# shellcheck disable=SC2046
apt-get -qq -y --no-install-recommends install $(of "$version") >/tmp/apt 2>&1 || cat /tmp/apt
grep -E '^(Setting up lookout|Created symlink)' /tmp/apt
check "installed" "$version" "$(installed)"
check "enabled" enabled "$(systemctl is-enabled lookout)"
check "active" active "$(active)"
run lookoutd --version
run lookoutd --check --config /etc/lookout/lookout.toml
dpkg-query -W -f '${Package} ${Installed-Size} KiB\n' lookout lookout-model-default
find /usr/lib/lookout/runtime -type f -printf '%f %s\n'
check "what dpkg --verify finds" "" "$(dpkg --verify lookout lookout-model-default)"

step "work"
drop first
await "$photos"
check "rows" "$photos" "$(rows)"

step "sandbox as shipped, the service at work"
at_most "exposure, Unix socket alone" 0.5 "$(exposure lookout.service)"
pid=$(systemctl show -P MainPID lookout)
run grep -E '^(Uid|NoNewPrivs|Seccomp|CapEff)' "/proc/$pid/status"
check "address families" AF_UNIX "$(systemctl show -P RestrictAddressFamilies lookout)"
check "network devices" lo "$(awk -F: 'NR > 2 { gsub(/ /, "", $1); print $1 }' "/proc/$pid/net/dev" | tr '\n' ' ' | sed 's/ $//')"
nsenter -t "$pid" -m touch /usr/made 2>/dev/null
check "a file made below /usr" gone "$(exists /usr/made)"
nsenter -t "$pid" -m touch /etc/made 2>/dev/null
check "a file made below /etc" gone "$(exists /etc/made)"
check "ready over the socket" 200 \
  "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/lookout/http.sock http://localhost/readyz)"
hosts=$(pgrep lookout-sink-ho)
check "sink hosts" 3 "$(echo "$hosts" | wc -w)"
for host in $hosts; do
  check "filters of system calls before sink host $host" yes \
    "$(awk '/^Seccomp_filters/ { print ($2 > '"$(awk '/^Seccomp_filters/ { print $2 }' "/proc/$pid/status")"' ? "yes" : "no") }' "/proc/$host/status")"
done

step "upgrade while files flow"
# Files flow until ten rounds after the upgrade is done.
(
  copy=0
  left=10
  while [ "$left" -gt 0 ]; do
    drop "flow$copy"
    copy=$((copy + 1))
    [ ! -e /tmp/upgraded ] || left=$((left - 1))
    echo "$copy" >/tmp/copies
    sleep 0.2
  done
) &
flowing=$!
await $((photos + 2))
before=$(rows)
sed -i 's/^# top_k = 5 .*an image.*/top_k = 4/' /etc/lookout/lookout.toml
started=$(systemctl show -P ExecMainStartTimestampMonotonic lookout)
# shellcheck disable=SC2046
apt-get -qq -y --no-install-recommends install $(of "$next") >/tmp/apt 2>&1 || cat /tmp/apt
touch /tmp/upgraded
after=$(rows)
check "installed" "$next" "$(installed)"
check "active" active "$(active)"
check "restarted" yes "$([ "$(systemctl show -P ExecMainStartTimestampMonotonic lookout)" -gt "$started" ] && echo yes)"
check "the administrator's configuration" "top_k = 4" "$(grep '^top_k' /etc/lookout/lookout.toml)"
wait "$flowing"
total=$((photos + photos * $(cat /tmp/copies)))
echo "rows before and after the upgrade: $before, $after of $total"
check "the upgrade fell amid the flow" yes "$([ "$after" -gt "$before" ] && [ "$after" -lt "$total" ] && echo yes)"
await "$total"
sleep 1
once_everywhere "$total"

step "a stopped service stays stopped through an upgrade"
systemctl stop lookout
# shellcheck disable=SC2046
apt-get -qq -y --no-install-recommends --allow-downgrades install $(of "$version") >/tmp/apt 2>&1 || cat /tmp/apt
check "active" inactive "$(active)"
systemctl start lookout
check "active" active "$(active)"

step "HTTP over TCP on the machine itself"
install -D -m 644 /usr/share/doc/lookout/examples/localhost-tcp.conf \
  /etc/systemd/system/lookout.service.d/localhost-tcp.conf
sed -i 's|^# listen = .*|listen = ["unix:/run/lookout/http.sock", "127.0.0.1:8642"]|' /etc/lookout/lookout.toml
systemctl daemon-reload
systemctl restart lookout
drop tcp
total=$((total + photos))
await "$total"
check "rows" "$total" "$(rows)"
check "live over TCP" 200 "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8642/livez)"
check "metrics over TCP" 200 "$(curl -s -o /tmp/metrics -w '%{http_code}' http://127.0.0.1:8642/metrics)"
check "ready over the socket" 200 \
  "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/lookout/http.sock http://localhost/readyz)"
at_most "exposure, localhost TCP" 1.3 "$(exposure lookout.service)"
rm -r /etc/systemd/system/lookout.service.d
sed -i 's|^listen = .*|listen = ["unix:/run/lookout/http.sock"]|' /etc/lookout/lookout.toml

step "an inbox elsewhere"
mkdir -p /data/scans
chown lookout:lookout /data/scans
install -D -m 644 /usr/share/doc/lookout/examples/inbox.conf /etc/systemd/system/lookout.service.d/scans.conf
cat >>/etc/lookout/lookout.toml <<'TOML'

[watches.scans]
path = "/data/scans"
sinks = ["table", "lines", "archive"]
after = "move:/data/done"
TOML
mkdir /data/done
chown lookout:lookout /data/done
sed -i 's|^ReadWritePaths=.*|& /data/done|' /etc/systemd/system/lookout.service.d/scans.conf
systemctl daemon-reload
systemctl restart lookout
for photo in /photos/*.jpg; do cp "$photo" /data/scans/; done
total=$((total + photos))
await "$total"
check "rows" "$total" "$(rows)"
rounds=0
while [ "$(ls /data/done | wc -l)" -lt "$photos" ] && [ "$rounds" -lt 200 ]; do
  sleep 0.05
  rounds=$((rounds + 1))
done
check "photos moved" "$photos" "$(ls /data/done | wc -l)"

step "a second instance"
mkdir -p /srv/lookout/second
chown lookout:lookout /srv/lookout/second
cat >/etc/lookout/second.toml <<'TOML'
[daemon]
state_dir = "/var/lib/lookout-second"
runtime_dir = "/run/lookout-second"
listen = ["unix:/run/lookout-second/http.sock"]
[models.default]
[watches.inbox]
path = "/srv/lookout/second"
sinks = ["lines"]
[sinks.lines]
plugin = "json"
path = "/var/lib/lookout-second/lines.jsonl"
TOML
run systemctl start lookout@second
check "active" active "$(systemctl is-active lookout@second)"
cp /photos/*.jpg /srv/lookout/second/
rounds=0
while [ "$(cat /var/lib/lookout-second/lines.jsonl 2>/dev/null | wc -l)" -lt "$photos" ] && [ "$rounds" -lt 600 ]; do
  sleep 0.05
  rounds=$((rounds + 1))
done
check "its lines" "$photos" "$(wc -l </var/lib/lookout-second/lines.jsonl)"
check "rows of the first" "$total" "$(rows)"

step "a sink of one's own, from lookout-dev"
apt-get -qq -y --no-install-recommends install "/packages/lookout-dev_${next}_all.deb" gcc libc6-dev make >/tmp/apt 2>&1 ||
  cat /tmp/apt
cd /root || exit 1
run lookout plugin new rows --language c
cd lookout-sink-rows || exit 1
run make
lookout plugin test lookout-sink-rows.so >/tmp/conformance 2>&1
check "lookout plugin test" 0 "$?"
tail -n 1 /tmp/conformance
cd / || exit 1
apt-get -qq -y purge lookout-dev >/tmp/apt 2>&1 || cat /tmp/apt

step "remove"
apt-get -qq -y remove lookout >/tmp/apt 2>&1 || cat /tmp/apt
check "program" gone "$(exists /usr/bin/lookoutd)"
check "first instance" inactive "$(active)"
check "second instance" inactive "$(systemctl is-active lookout@second)"
check "configuration" there "$(exists /etc/lookout/lookout.toml)"
check "ledger" there "$(exists /var/lib/lookout/ledger.db)"
check "results" there "$(exists $results/results.db)"
drop meanwhile
total=$((total + photos))

step "install again: it goes on where it was"
# shellcheck disable=SC2046
apt-get -qq -y --no-install-recommends install $(of "$next") >/tmp/apt 2>&1 || cat /tmp/apt
check "active" active "$(active)"
await "$total"
sleep 1
once_everywhere "$total"

step "purge"
apt-get -qq -y purge lookout lookout-model-default >/tmp/apt 2>&1 || cat /tmp/apt
grep '^lookout: ' /tmp/apt
check "unit" gone "$(exists /etc/systemd/system/multi-user.target.wants/lookout.service)"
check "mask" gone "$(exists /etc/systemd/system/lookout.service)"
check "ledger" gone "$(exists /var/lib/lookout/ledger.db)"
check "configuration" gone "$(exists /etc/lookout/lookout.toml)"
check "results" there "$(exists $results/results.db)"
check "photos in the inbox" "there" "$(exists /srv/lookout/inbox/first-"$(basename "$(ls /photos/*.jpg | head -n 1)")")"
find /usr /etc /lib -xdev -path '*lookout*' -not -path '/etc/systemd/system/try-lookout*' \
  -not -path '/etc/systemd/system/multi-user.target.wants/try-lookout*' -not -path '/usr/local/sbin/*' \
  -not -path '/etc/lookout/second.toml' -not -path /etc/lookout -not -path '/etc/systemd/system/lookout.service.d*' \
  >/tmp/left
check "what is left below /usr and /etc" "" "$(cat /tmp/left)"

step "the journal's warnings and worse"
journalctl -b -u lookout -u lookout@second -p warning --no-pager -o cat | sort | uniq -c | sort -rn | head -n 20

[ "$faults" -eq 0 ]
