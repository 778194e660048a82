#!/usr/bin/env bash
# One host of the lab runs and can be reached: host_up.sh HOST ADDRESS. Prints what it changed.
#
# In the environment: LAB (name), LAB_DIRECTORY, LAB_IMAGE, LAB_HOSTS (host:address ...), LAB_TIMEOUT (seconds), and
# LAB_CHECK=yes to say what would be done only.
set -euo pipefail
host=$1 address=$2
container=$LAB-$host
label=fraiseql.resilience.lab
# The same for the same host: with another one, its neighbours would talk to the lost one for ten seconds more.
IFS=. read -r -a octets <<<"$address"
mac=02:00:$(printf '%02x:%02x:%02x:%02x' "${octets[@]}")
deadline=$((SECONDS + LAB_TIMEOUT))

fail() {
  echo "$host: $*" >&2
  exit 1
}

not_removed() {
  if [ -e "$LAB_DIRECTORY/removing" ] || [ ! -e "$LAB_DIRECTORY/lab.yml" ]; then fail "the lab is being removed"; fi
}

run() {
  local known=()
  for pair in $LAB_HOSTS; do known+=(--add-host "$pair"); done
  # As on a host of its own, root may close other processes' connections; the network is this container's alone.
  # A container that did not start is no host: the next run finds nothing and begins anew.
  podman run --detach --quiet --name "$container" --hostname "$host" --label "$label=$LAB" --systemd=always \
    --network "$LAB:ip=$address,mac=$mac" "${known[@]}" --shm-size 256m --security-opt label=disable --cap-add NET_ADMIN \
    --volume "$LAB_DIRECTORY/hosts/$host:/etc/lab-host:ro" "$LAB_IMAGE" >/dev/null 8>&- || {
    podman rm --force --volumes --ignore "$container" >/dev/null
    fail "podman could not run it"
  }
}

booted() {
  local state
  while true; do
    state=$(timeout "$((deadline - SECONDS + 1))" podman exec "$container" systemctl is-system-running --wait 2>/dev/null) || true
    case $state in
    running) return ;;
    degraded)
      [ "$fresh" != created ] && return # something that runs on it failed since; that is not the lab's to judge
      fail "booted, but failed: $(podman exec "$container" systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | xargs)"
      ;;
    esac
    not_removed
    [ "$SECONDS" -lt "$deadline" ] || fail "did not boot within $LAB_TIMEOUT s: ${state:-no answer from systemd}"
    sleep 0.2
  done
}

reached() {
  until ssh -F /dev/null -i "$LAB_DIRECTORY/ssh/id_ed25519" -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=2 \
    -o "UserKnownHostsFile=$LAB_DIRECTORY/ssh/known_hosts" -o StrictHostKeyChecking=yes "root@$address" true 2>"$LAB_DIRECTORY/ssh/$host.log"; do
    not_removed
    [ "$SECONDS" -lt "$deadline" ] || fail "no SSH within $LAB_TIMEOUT s: $(tail -n 1 "$LAB_DIRECTORY/ssh/$host.log")"
    sleep 0.2
  done
  rm -f "$LAB_DIRECTORY/ssh/$host.log"
}

read -r state owner <<<"$(podman container inspect --format "{{.State.Status}} {{index .Config.Labels \"$label\"}}" "$container" 2>/dev/null || echo absent)"
[ "$state" = absent ] || [ "$owner" = "$LAB" ] || fail "a container $container exists that no lab made; rename it, or set lab_name"

# lab_down waits for whoever is here, and nobody comes in after it. Not for podman to inherit: its monitor lives on.
if [ -z "${LAB_CHECK:-}" ]; then
  exec 8<"$LAB_DIRECTORY"
  flock --shared --timeout 60 8
fi
[ -n "${LAB_CHECK:-}" ] || not_removed

fresh=
case $state in
running) ;;
absent) fresh=created ;;
paused) fail "is paused: podman unpause $container" ;;
*) fresh=started ;;
esac
if [ -n "${LAB_CHECK:-}" ]; then
  [ -z "$fresh" ] || echo "$host would be $fresh"
  exit 0
fi
case $fresh in
created) run ;;
started) podman start "$container" >/dev/null 8>&- || fail "podman could not start it" ;;
esac
exec 8<&-
booted
reached
[ -z "$fresh" ] || echo "$host: $fresh"
