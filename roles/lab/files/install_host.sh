#!/bin/sh
# Runs in a container of the bare Debian image and turns it into a host of the lab: install_host.sh PACKAGE...
set -eu
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive

# No service starts while it is installed, and no cluster that nobody asked for is made.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/lab
printf 'path-exclude=/usr/share/%s/*\n' doc man info locale >>/etc/dpkg/dpkg.cfg.d/lab

apt-get update --quiet
apt-get install --yes --quiet --no-install-recommends "$@"
apt-get clean
rm /usr/sbin/policy-rc.d

# Roles decide what runs. Timers of a desktop's life would only disturb measurements.
for unit in etcd haproxy patroni pgbouncer postgresql nftables; do
  systemctl disable "$unit.service"
done
for unit in /usr/lib/systemd/system/prometheus*.service; do
  if [ -e "$unit" ]; then systemctl disable "$(basename "$unit")"; fi
done
# Debian's unit asks for more than a container without CAP_SYS_ADMIN can give.
mkdir -p /etc/systemd/system/prometheus.service.d
cat >/etc/systemd/system/prometheus.service.d/lab.conf <<'UNIT'
[Service]
DeviceAllow=
DevicePolicy=auto
LockPersonality=no
MemoryDenyWriteExecute=no
PrivateDevices=no
PrivateUsers=no
ProtectKernelModules=no
ProtectKernelTunables=no
RestrictNamespaces=no
RestrictRealtime=no
SystemCallArchitectures=
UNIT
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
  systemd-networkd-wait-online.service getty.target console-getty.service

# Host keys and who may log in come from the folder that the lab mounts, so a host made again has the same key.
rm -f /etc/ssh/ssh_host_*
cat >/etc/ssh/sshd_config.d/lab.conf <<'CONFIG'
HostKey /etc/lab-host/ssh_host_ed25519_key
AuthorizedKeysFile /etc/lab-host/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
MaxSessions 100
MaxStartups 100
CONFIG
# From 9.8 on, a host that refused a few logins answers nobody at that address for a while.
if dpkg --compare-versions "$(dpkg-query --show --showformat='${Version}' openssh-server)" ge 1:9.8; then
  echo 'PerSourcePenalties no' >>/etc/ssh/sshd_config.d/lab.conf
fi
mkdir -p /run/sshd /etc/lab-host
systemctl enable ssh.service

install -D -m 0755 "$here/await_store.sh" /usr/local/lib/lab/await_store
install -m 0644 "$here/seaweedfs.service" /etc/systemd/system/seaweedfs.service
systemctl enable seaweedfs.service
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
# Each host makes its own at boot.
: >/etc/machine-id
