#!/usr/bin/env bash
# A region of the lab loses every connection to the others: region.sh cut LAB SECONDS HOST:ADDRESS ...
# One host loses those to some others only:            region.sh part LAB SECONDS HOST:ADDRESS OTHER:ADDRESS ...
# They have them again:                                region.sh heal LAB HOST:ADDRESS ...        Prints what it changed.
#
# Packets vanish without an answer, in either direction, as behind a dead link; hosts of the region reach each other. What is
# cut heals by itself after SECONDS, whatever became of whoever asked for it.
set -euo pipefail
verb=$1 lab=$2
shift 2

# A table of nftables in the host's network namespace; none where the host does not run.
in_host() {
  local pid
  pid=$(podman container inspect --format '{{.State.Pid}}' "$lab-$1" 2>/dev/null) || return 0
  [ "$pid" != 0 ] || return 0
  shift
  nsenter --net --target "$pid" -- nft "$@"
}

tables() { in_host "$1" list tables 2>/dev/null | awk -v wanted="${2:-lab_cut_}" '$1 == "table" && index($3, wanted) == 1 { print $3 }'; }

heal() {
  local only=$1 pair table
  shift
  for pair in "$@"; do
    for table in $(tables "${pair%:*}" "$only"); do
      in_host "${pair%:*}" delete table inet "$table" && echo "${pair%:*}: healed"
    done
  done
}

# drop TABLE HOST EXPRESSION: the host drops packets whose far address fits, as in "!= { 198.18.1.11 }".
drop() {
  in_host "$2" -f - <<NFT
table inet $1 {
  chain incoming { type filter hook input priority -300; ip saddr $3 drop; }
  chain outgoing { type filter hook output priority -300; ip daddr $3 drop; }
}
NFT
}
listed() { printf '%s, ' "${@#*:}" | sed 's/, $//'; }

case $verb in
cut | part)
  seconds=$1
  shift
  table=lab_cut_$$_$(date +%s)
  setsid "$0" heal-later "$lab" "$seconds" "$table" "$@" </dev/null >/dev/null 2>&1 &
  if [ "$verb" = part ]; then
    drop "$table" "${1%:*}" "{ $(listed "${@:2}") }"
    echo "${1%:*}: parted from ${*:2} for $seconds s at most"
    exit
  fi
  for pair in "$@"; do
    drop "$table" "${pair%:*}" "!= { 127.0.0.0/8, $(listed "$@") }"
    echo "${pair%:*}: cut off for $seconds s at most"
  done
  ;;
heal) heal lab_cut_ "$@" ;;
heal-later)
  seconds=$1 table=$2
  shift 2
  sleep "$seconds"
  heal "$table" "$@"
  ;;
esac
