#!/usr/bin/env bash
# A fault on this host, and its end:
#   fault.sh make NAME SECONDS   |   fault.sh undo NAME   |   fault.sh undo_all
#
# In the environment, for `make`: MADE and UNDONE, what bash does for each. The end comes by itself after SECONDS, whatever
# has become of whoever made the fault.
set -euo pipefail
# Under a terminal of no height, psql would show one row by the page and wait for somebody to press a key.
exec </dev/null
verb=$1 name=${2-}
place=/var/lib/lab-fault
kept=$place/$name

if [ ! -e /etc/lab-host/ssh_host_ed25519_key ]; then
  echo "$(hostname) is no host of a lab, and faults are made in a lab alone. Next: the playbook lab_up, and its inventory. Nothing was changed." >&2
  exit 3
fi

undo() {
  if [ -e "$kept" ]; then
    timeout 120 bash "$kept/undo.sh"
    rm -rf "$kept"
  fi
  if systemctl is-active --quiet "lab-fault-$name.timer"; then systemctl stop "lab-fault-$name.timer"; fi
}

case $verb in
make)
  undo
  mkdir -p "$kept"
  cp "$0" "$kept/fault.sh"
  printf 'set -euo pipefail\n%s\n' "$UNDONE" >"$kept/undo.sh"
  systemd-run --quiet --collect --unit="lab-fault-$name" --on-active="$3" bash "$kept/fault.sh" undo "$name"
  timeout 120 bash -euo pipefail -c "$MADE"
  ;;
undo) undo ;;
undo_all)
  for kept in "$place"/*; do
    name=$(basename "$kept")
    if [ -e "$kept/undo.sh" ]; then
      undo
      echo "$name has ended"
    fi
  done
  ;;
*)
  echo "no such verb: $verb" >&2
  exit 2
  ;;
esac
