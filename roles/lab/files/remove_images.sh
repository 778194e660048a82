#!/usr/bin/env bash
# Removes the images of the labs of one Debian release, but for those that a container stands on: remove_images.sh RELEASE.
# Prints what it removed. LAB_CHECK=yes says what would go, and removes nothing.
set -euo pipefail
release=$1

for kind in lab lab-base; do
  podman images --noheading --format '{{.Repository}}:{{.Tag}}' --filter "reference=localhost/fraiseql-resilience-$kind:$release*" |
    while read -r image; do
      if [ -n "${LAB_CHECK:-}" ]; then
        echo "image: $image"
      elif refused=$(podman rmi "$image" 2>&1 >/dev/null); then
        echo "image: $image"
      else
        echo "kept: $image: $refused" >&2
      fi
    done
done
