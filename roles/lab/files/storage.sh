#!/usr/bin/env bash
# A folder of a host of the lab stands on a file system of its own: storage.sh own LAB DIRECTORY HOST FOLDER MEGABYTES
# That one takes no writes any more:                               storage.sh freeze LAB DIRECTORY HOST FOLDER SECONDS
# It has no room for any, not even root's:                         storage.sh fill LAB DIRECTORY HOST FOLDER SECONDS
# It takes them again:                                             storage.sh thaw LAB DIRECTORY HOST FOLDER
#
# Each prints what it changed. What the folder held moves along; nothing may use it meanwhile. What is frozen or full is so no more
# after SECONDS, or when its mark DIRECTORY/disks/LAB-HOST.faulty is gone, whatever became of whoever asked for it. A host that
# was switched off has an empty folder when it is on again: its disk is lost.
set -euo pipefail
verb=$1 lab=$2 directory=$3 host=$4 folder=$5 amount=${6:-}
image=$directory/disks/$lab-$host.img mark=$directory/disks/$lab-$host.faulty

running() { podman container inspect --format '{{.State.Pid}}' "$lab-$host"; }

# The kernel tells devices apart by number, so that a device file of any name will do where /dev has only a few.
own() {
  local pid
  pid=$(running)
  if nsenter --mount --target "$pid" mountpoint --quiet "$folder"; then return; fi
  mkdir -p "$directory/disks"
  rm -f "$image"
  truncate --size "${amount}M" "$image"
  mkfs.ext4 -q -F "$image"
  device=$(losetup --find --show "$image")
  # It is gone with the last mount then: the host may be switched off at any time.
  trap 'losetup --detach "$device"' EXIT
  nsenter --mount --target "$pid" bash -euo pipefail -s -- "$folder" "$(stat --format '%Hr %Lr' "$device")" <<'INSIDE'
folder=$1 numbers=$2
rm -f /dev/lab-disk
mknod -m 600 /dev/lab-disk b $numbers
mkdir -p /run/lab-storage
mount /dev/lab-disk /run/lab-storage
find "$folder" -mindepth 1 -maxdepth 1 -exec mv -t /run/lab-storage {} +
rmdir /run/lab-storage/lost+found
chown --reference="$folder" /run/lab-storage
chmod --reference="$folder" /run/lab-storage
mount --bind /run/lab-storage "$folder"
umount /run/lab-storage
INSIDE
  echo "$host: $folder stands on $device"
}

freeze() {
  mkdir -p "$directory/disks"
  touch "$mark"
  setsid "$0" keep_frozen "$lab" "$directory" "$host" "/proc/$(running)/root$folder" "$amount" </dev/null >/dev/null 2>&1 &
  fsfreeze --freeze "/proc/$(running)/root$folder"
  echo "$host: $folder is frozen for $amount s at most"
}

# By an open folder, which is there as long as anybody uses the file system, whatever becomes of the host.
keep_frozen() {
  exec 9<"$folder"
  until_thawed
  fsfreeze --unfreeze /proc/self/fd/9
}

# What is allocated is not written: the image takes no more room than before.
fill() {
  local inside size step
  inside=/proc/$(running)/root$folder
  mkdir -p "$directory/disks"
  touch "$mark"
  setsid "$0" keep_full "$lab" "$directory" "$host" "$inside" "$amount" </dev/null >/dev/null 2>&1 &
  : >"$inside/.full"
  size=0
  for step in 256M 16M 1M 64K 4K; do
    step=$(numfmt --from=iec "$step")
    while fallocate --offset "$size" --length "$step" "$inside/.full" 2>/dev/null; do size=$((size + step)); done
  done
  echo "$host: $folder is full for $amount s at most"
}

keep_full() {
  exec 9<"$folder"
  until_thawed
  rm -f /proc/self/fd/9/.full
}

until_thawed() {
  while [ -e "$mark" ] && [ "$SECONDS" -lt "$amount" ]; do sleep 0.2; done
  rm -f "$mark"
}

thaw() {
  [ -e "$mark" ] || return 0
  rm -f "$mark"
  echo "$host: $folder thaws"
}

"$verb"
