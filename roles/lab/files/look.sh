#!/bin/sh
# Says what this machine has that a lab needs, as YAML; changes nothing.
set -eu
for program in podman runc crun mmdebstrap flock ip nft iptables ssh ssh-keygen setsid; do
  if command -v "$program" >/dev/null; then echo "$program: true"; else echo "$program: false"; fi
done
netavark=false
for folder in /usr/lib/podman /usr/libexec/podman /usr/local/libexec/podman /usr/local/lib/podman; do
  [ ! -x "$folder/netavark" ] || netavark=true
done
echo "netavark: $netavark"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo "cgroup: 2"; else echo "cgroup: 1"; fi
if [ -d /run/systemd/system ]; then echo "systemd: true"; else echo "systemd: false"; fi
echo "uid: $(id -u)"
awk '/^Max open files/ { print "nofile: \"" $5 "\"" } /^Max processes/ { print "nproc: \"" $4 "\"" }' /proc/self/limits
echo "free_mib: $(df --output=avail --block-size=M /var/lib | tail -n 1 | tr -d ' M')"
