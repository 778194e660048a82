#!/usr/bin/env bash
# Builds the image of the lab's hosts: build_image.sh IMAGE RELEASE MIRROR BASE LAB SCRATCH PACKAGE...
#
# BASE is a registry's image to start from, or empty: then Debian's own packages are the start (mmdebstrap). The image gets its
# name only when it is complete, so a build that was cut off is begun again. What it leaves then: one container <LAB>-image, the
# folder SCRATCH, and SCRATCH/pid, by which a build that outlived its play is found.
set -euo pipefail
image=$1 release=$2 mirror=$3 base=$4 lab=$5 scratch=$6
shift 6
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
builder=$lab-image

# Two labs may ask for the same image at the same time.
exec 9</var/lib/containers
flock --timeout 900 9
if podman image exists "$image"; then
  echo "there already: $image"
  exit 0
fi

mkdir -p "$scratch"
echo "$$" >"$scratch/pid"
podman rm --force --ignore "$builder" >/dev/null
if [ -z "$base" ]; then
  base=localhost/fraiseql-resilience-lab-base:$release
  if ! podman image exists "$base"; then
    # The mirror of this machine's own release: not of its updates, not of anybody else's packages.
    [ -n "$mirror" ] || mirror=$(apt-get indextargets 'Created-By: Packages' |
      awk -v own="$(sed -n s/^VERSION_CODENAME=//p /etc/os-release)" \
        '/^Component:/ {main = $2 == "main"} /^Release:/ {plain = $2 == own} /^Repo-URI:/ && main && plain {print $2; exit}')
    [ -n "$mirror" ] || {
      echo "apt of this machine uses no Debian mirror; name one: lab_debian_mirror" >&2
      exit 1
    }
    TMPDIR=$scratch mmdebstrap --quiet --variant=minbase --include=ca-certificates --components=main \
      "$release" "$scratch/base.tar" "$mirror"
    podman import --quiet "$scratch/base.tar" "$base"
  fi
fi
# The machine's own network: the mirror must be reached, and no bridge is needed for that.
podman run --name "$builder" --label "fraiseql.resilience.lab=$lab" --network host --security-opt label=disable \
  --volume "$here:/recipe:ro" "$base" sh /recipe/install_host.sh "$@"
podman commit --quiet --change 'CMD ["/sbin/init"]' --change 'STOPSIGNAL SIGRTMIN+3' "$builder" "$image"
podman rm --force "$builder" >/dev/null
rm -rf "$scratch"
