#!/bin/sh
# The part of the scenario `manager` that runs inside a booted Debian root: starts, stops, squeezes and restarts
# lookout.service under a real systemd. Prints "figure NAME = VALUE", "fault COUNT" and "NOT OK: …" lines.
# usage: try-faults BACKLOG RESTARTS
set -u
backlog=$1
restarts=$2
results=/var/lib/lookout/results

rows() { sqlite3 "file:$results/results.db?mode=ro" 'SELECT count(*) FROM results' 2>/dev/null || echo 0; }
now() { date +%s.%N; }
since() { echo "$(now) - $1" | bc; }
check() { [ "$2" = "$3" ] || echo "NOT OK: $1: expected $2, found $3"; }
await() { # rows: as long as there is progress, and a minute without any
  have=$(rows)
  end=$(($(date +%s) + 60))
  while [ "$have" -lt "$1" ] && [ "$(date +%s)" -lt "$end" ]; do
    sleep 0.5
    found=$(rows)
    [ "$found" -gt "$have" ] && end=$(($(date +%s) + 60))
    have=$found
  done
  [ "$have" -ge "$1" ] || echo "NOT OK: $have of $1 rows, and no more since a minute"
}

systemd-sysusers
systemd-tmpfiles --create lookout.conf
chown -R lookout:lookout /srv/lookout/inbox /var/lib/lookout
systemctl daemon-reload

# A backlog, and a stop in the midst of it: the manager waits for no more than what is in hand.
systemctl start lookout
sleep 2
before=$(rows)
start=$(now)
systemctl stop lookout
echo "figure stop amid a backlog of $backlog = $(since "$start") s"
check "result of the stop" success "$(systemctl show -P Result lookout)"
[ "$(rows)" -lt "$backlog" ] && echo "fault 1"
echo "figure rows before and after that stop = $before, $(rows)"

# Restarts in the midst of the work.
amid=0
count=0
systemctl start lookout
start=$(now)
while [ "$count" -lt "$restarts" ]; do
  systemctl reset-failed lookout
  systemctl restart lookout || echo "NOT OK: restart $count failed"
  [ "$(rows)" -lt "$backlog" ] && amid=$((amid + 1))
  count=$((count + 1))
done
echo "figure $restarts restarts, $amid amid the work = $(since "$start") s"
echo "fault $amid"
check "active after restarts" active "$(systemctl is-active lookout)"

# The journal does not listen: a stopped journald, and files that want a line each.
journald=$(systemctl show -P MainPID systemd-journald)
kill -STOP "$journald"
install -d -o lookout -g lookout /srv/lookout/inbox/bad
count=0
while [ "$count" -lt 300 ]; do
  echo "no picture $count" >"/srv/lookout/inbox/bad/$count.jpg"
  count=$((count + 1))
done
start=$(now)
await $((backlog + 300))
echo "figure all answered with the journal stopped after = $(since "$start") s"
kill -CONT "$journald"
echo "fault 1"
check "active with the journal stopped" active "$(systemctl is-active lookout)"
check "aborts by the watchdog" 0 "$(journalctl -b -u lookout --no-pager | grep -c 'Watchdog timeout')"
check "restarts by the manager" 0 "$(systemctl show -P NRestarts lookout)"
start=$(now)
systemctl stop lookout
echo "figure last stop = $(since "$start") s"
[ "$(systemctl show -P Result lookout)" = success ] || journalctl -b -u lookout -n 40 --no-pager
check "result of the last stop" success "$(systemctl show -P Result lookout)"

# A daemon that stands still: the manager's watchdog ends it and starts another, which answers.
install -d /run/systemd/system/lookout.service.d
printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/lookout.service.d/watchdog.conf
systemctl daemon-reload
systemctl start lookout
start=$(now)
kill -STOP "$(systemctl show -P MainPID lookout)"
end=$(($(date +%s) + 60))
while [ "$(systemctl show -P NRestarts lookout)" = 0 ] && [ "$(date +%s)" -lt "$end" ]; do sleep 0.2; done
echo "figure another daemon after one stood still at WatchdogSec=4 = $(since "$start") s"
check "restarts of a daemon that stood still" 1 "$(systemctl show -P NRestarts lookout)"
journalctl --sync
check "aborts by the watchdog" 1 "$(journalctl -b -u lookout --no-pager | grep -c 'Watchdog timeout')"
echo "fault 1"
systemctl stop lookout
check "result after a daemon stood still" success "$(systemctl show -P Result lookout)"
echo "done"
