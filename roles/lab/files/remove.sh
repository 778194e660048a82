#!/usr/bin/env bash
# Takes a lab away: remove.sh NAME DIRECTORY CONTROL_DIRECTORY SUBNET RANGE. Prints what it removed.
#
# Everything is found by what it is, not by what a finished lab_up would have noted, so it does not matter where lab_up ended. The
# folder's lab.yml, which says whose it is, goes last: a removal that was cut off can be run again.
# LAB_CHECK=yes says what would go, and removes nothing.
set -euo pipefail
name=$1 directory=$2 control=$3 subnet=$4 range=$5
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
label=fraiseql.resilience.lab=$name

gone() { # WHAT COMMAND...: say it, and do it unless only asked
  echo "$1"
  [ -n "${LAB_CHECK:-}" ] || "${@:2}" >/dev/null
}

containers() { podman ps --all --filter "label=$label" --format '{{.Names}}'; }

end_build() {
  kill -TERM -- "-$1"
  for _ in $(seq 50); do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$1"
}

forget_connections() {
  for socket in "$1"/*; do
    [ ! -S "$socket" ] || ssh -F /dev/null -o "ControlPath=$socket" -O exit lab 2>/dev/null || true
  done
}

# 1. Nothing more is made: a build or a start that outlived its play is ended or waited for.
if [ -d "$directory" ]; then
  [ -n "${LAB_CHECK:-}" ] || touch "$directory/removing"
  builder=$(cat "$directory/image/pid" 2>/dev/null || true)
  if [ -n "$builder" ] && tr '\0' ' ' 2>/dev/null <"/proc/$builder/cmdline" | grep -q build_image; then
    gone "build: process $builder" end_build "$builder"
  fi
  exec 8<"$directory"
  flock --timeout 60 8
fi

# Storage that stands still would keep containers from ending.
[ -n "${LAB_CHECK:-}" ] || rm -f "$directory"/disks/*.faulty

# 2. Containers with their disks, the network, and last of all the route.
for container in $(containers); do
  gone "container: $container" podman rm --force --volumes --ignore --time 0 "$container"
done
if [ -z "${LAB_CHECK:-}" ]; then
  "$here/network.sh" down "$name" "$subnet" "$range"
  [ -z "$(containers)" ] || {
    echo "still there: $(containers)" >&2
    exit 1
  }
elif podman network exists "$name"; then
  echo "network: $name"
fi

# 3. Files.
if [ "$control" != "$directory/ssh" ] && [ -d "$control" ]; then
  forget_connections "$control"
  gone "folder: $control" rm -rf "$control"
fi
if [ -d "$directory" ]; then
  if [ -z "${LAB_CHECK:-}" ]; then
    forget_connections "$directory/ssh"
    find "$directory" -mindepth 1 -maxdepth 1 ! -name lab.yml -exec rm -rf --one-file-system {} +
  fi
  gone "folder: $directory" rm -rf --one-file-system "$directory"
fi
