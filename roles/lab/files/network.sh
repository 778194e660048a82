#!/usr/bin/env bash
# The lab's network, and the catch-all route around it: network.sh up|down NAME SUBNET RANGE. Prints what it changed.
#
# Podman takes a network's bridge and route away with its last container; packets to the subnet would then follow the default
# route out of the machine. So the catch-all for the whole range comes before the first network and goes after the last one.
set -euo pipefail
verb=$1 name=$2 subnet=$3 range=$4
label=fraiseql.resilience.lab=$name

# One lab's last route must not go between another lab's route and its network.
exec 9</run/lock
flock --timeout 60 9

caught() { ip route show exact "$range" | grep -q '^unreachable'; }
# Whatever lies in the range, whoever made it: its packets need the route.
networks() {
  podman network ls --quiet | xargs --no-run-if-empty podman network inspect --format '{{range .Subnets}}{{.Subnet}} {{end}}' |
    grep -E '198\.1[89]\.' || true
}

case $verb in
up)
  if ! caught; then
    ip route add unreachable "$range" metric 4000000
    echo "route: $range is unreachable but for the labs in it"
  fi
  if ! podman network exists "$name"; then
    podman network create --internal --disable-dns --subnet "$subnet" --gateway "${subnet%.*}.1" --label "$label" "$name" >/dev/null
    echo "network: $name"
  fi
  ;;
down)
  if podman network ls --quiet --filter "label=$label" | grep -qx "$name"; then
    podman network rm "$name" >/dev/null
    echo "network: $name"
  fi
  if [ -z "$(networks)" ] && caught; then
    ip route del unreachable "$range" metric 4000000
    echo "route: $range"
  fi
  ;;
esac
