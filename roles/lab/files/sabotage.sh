#!/usr/bin/env bash
# One fault on this host that a check has to find, and its undoing:
#   sabotage.sh do FAULT STANZA SECONDS   |   sabotage.sh undo
#
# What is changed is kept first, and put back by `undo`, which comes by itself after SECONDS. Files of the repository that
# is on this host are those below repo1-path; the others' are left alone.
set -euo pipefail
kept=/var/lib/lab-sabotage
conf=/etc/pgbackrest.conf
verb=$1

keep() {
  mkdir -p "$kept/files$(dirname "$1")"
  cp --preserve "$1" "$kept/files$1"
}
flip() { # a byte in the middle of a file
  local at=$(($(stat --format %s "$1") / 2)) byte
  keep "$1"
  byte=$(dd if="$1" bs=1 skip="$at" count=1 status=none | od -An -tu1 | tr -d ' ')
  printf '%b' "\\$(printf '%03o' $((byte ^ 255)))" | dd of="$1" bs=1 seek="$at" count=1 conv=notrunc status=none
}
repository() { sed -n 's/^repo1-path=//p' "$conf"; }
# The last segment but one of the newest timeline: WAL goes on behind it.
segment() {
  find "$(repository)/archive/$1" -regextype posix-extended -regex '.*/[0-9A-F]{24}-[0-9a-f]{40}(\.[a-z0-9]+)?' -printf '%f %p\n' |
    sort | tail -n 2 | head -n 1 | cut -d' ' -f2
}
newest_backup() { find "$(repository)/backup/$1" -maxdepth 1 -type d -name '2*' | sort | tail -n 1; }
newest_full() { find "$(repository)/backup/$1" -maxdepth 1 -type d -name '2*F' | sort | tail -n 1; }
largest_file() { find "$1" -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2; }
pgbackrest() { (cd / && runuser -u postgres -- /usr/bin/pgbackrest "$@"); }
postmaster_children() { pgrep --full "postgres: .*$1" || true; }

undo() {
  local pid file
  while read -r pid; do kill -CONT "$pid" 2>/dev/null || true; done < <(cat "$kept/stopped" 2>/dev/null)
  # File by file: the folders are the host's own.
  while read -r file; do cp --preserve "$kept/files/$file" "/$file"; done < <(cd "$kept/files" 2>/dev/null && find . -type f)
  while read -r file; do rm -f "$file"; done < <(cat "$kept/added" 2>/dev/null)
  rm -rf "$kept"
  systemctl stop lab-sabotage-undo.timer 2>/dev/null || true
}

if [ "$verb" = undo ]; then
  undo
  exit
fi

fault=$2 stanza=$3 seconds=$4
[ ! -e "$kept" ] || undo
mkdir -p "$kept"
cp "$0" "$kept/sabotage.sh"
systemd-run --quiet --collect --unit=lab-sabotage-undo --on-active="$seconds" bash "$kept/sabotage.sh" undo
case $fault in
wal_gap)
  file=$(segment "$stanza")
  keep "$file"
  rm "$file"
  ;;
wal_byte) flip "$(segment "$stanza")" ;;
backup_byte) flip "$(largest_file "$(newest_backup "$stanza")")" ;;
full_backup_byte) flip "$(largest_file "$(newest_full "$stanza")")" ;;
backup_without_wal)
  first=$(pgbackrest --stanza="$stanza" --repo=1 info --output=json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["backup"][-1]["archive"]["start"])')
  for file in "$(repository)/archive/$stanza"/*/"${first:0:16}/$first"*; do
    keep "$file"
    rm "$file"
  done
  ;;
foreign_history)
  # As of a server that was promoted unseen, and whose history reached the archive; encrypted as the others are.
  key=$(pgbackrest --repo=1 repo-get "archive/$stanza/archive.info" | sed -n 's/^cipher-pass="\(.*\)"$/\1/p')
  version=$(basename "$(dirname "$(dirname "$(segment "$stanza")")")")
  printf '1\t0/1000000\tno recovery target specified\n' |
    pgbackrest --repo=1 ${key:+--cipher-pass="$key"} repo-put "archive/$stanza/$version/00000063.history"
  file=$(repository)/archive/$stanza/$version/00000063.history
  echo "$file" >"$kept/added"
  touch --date="@$(($(stat --format %Y "$(segment "$stanza")") - 60))" "$file" # older than the newest WAL
  ;;
wrong_key)
  keep "$conf"
  sed -i 's/^repo2-cipher-pass=.*/repo2-cipher-pass=another/' "$conf"
  ;;
stale_repository)
  keep "$conf"
  sed -i "s/^repo2-s3-key-secret=.*/repo2-s3-key-secret=another/" "$conf"
  ;;
receiver_paused)
  pgrep --full 'receive_?wal' >"$kept/stopped"
  xargs kill -STOP <"$kept/stopped"
  ;;
standby_paused)
  postmaster_children walreceiver >"$kept/stopped"
  xargs --no-run-if-empty kill -STOP <"$kept/stopped"
  ;;
*)
  echo "no such fault: $fault" >&2
  exit 2
  ;;
esac
