#!/bin/sh
# Says what this machine has that a lab needs, as YAML, and changes nothing: look.sh LAB SUBNET
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

# Networks of podman that overlap with the lab's, its own excepted.
printf 'clashes: '
if command -v podman >/dev/null; then
  podman network ls --quiet | xargs podman network inspect --format '{{.Name}} {{range .Subnets}}{{.Subnet}} {{end}}'
fi | python3 -c '
import ipaddress, json, sys
lab, subnet = sys.argv[1], ipaddress.ip_network(sys.argv[2])
found = [line.split() for line in sys.stdin]
print(json.dumps(sorted({name for name, *others in found for other in others
                         if name != lab and ":" not in other and subnet.overlaps(ipaddress.ip_network(other))})))
' "$1" "$2"
