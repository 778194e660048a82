#!/usr/bin/env bash
# debian_packages.sh PACKAGE...: installs what is missing, as root or by sudo; where nothing is missing, nobody is asked.
set -euo pipefail
missing=()
for package in "$@"; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "These Debian packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
# PostgreSQL's programs are wanted, not a server of its own on this machine.
settings=/etc/postgresql-common/createcluster.conf
case " ${missing[*]} " in
*" postgresql "*)
  if [ ! -e "$settings" ]; then
    "${as_root[@]}" mkdir -p "$(dirname "$settings")"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$settings" >/dev/null
  fi
  ;;
esac
# Of the same kind: promtool and amtool come with services that would begin to run. `systemctl unmask` gives them back.
for package in "${missing[@]}"; do
  case "$package" in
  prometheus*)
    "${as_root[@]}" mkdir -p /etc/systemd/system
    "${as_root[@]}" ln --symbolic --force /dev/null "/etc/systemd/system/$package.service"
    ;;
  esac
done
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
