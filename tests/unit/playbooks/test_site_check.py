# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``site --check`` on hosts that have Debian's packages and nothing of ours: a plan, and nothing is changed."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
NO_STANZA = {
    "name": "orders", "status": {"code": 1, "message": "missing stanza path", "lock": {"backup": {"held": False}}},
    "repo": [{"key": 1, "cipher": "aes-256-cbc", "status": {"code": 1, "message": "missing stanza path"}}],
    "db": [], "archive": [], "backup": [],
}  # fmt: skip
#: What Debian's packages bring, as far as it is asked; every unit of ours is missing.
PROGRAMS = {
    "dpkg-query": 'for package in "$@"; do echo "installed $package"; done',
    "runuser": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
    "pgbackrest": f"case \"$*\" in *info*) echo '{json.dumps([NO_STANZA])}';; *) echo pgBackRest 2.55.1;; esac",
    "systemctl": """case "$*" in
*daemon-reload*) ;;
*show*etcd.service*|*show*patroni.service*|*show*postgresql@*) echo LoadState=loaded; echo ActiveState=inactive ;;
*show*) echo LoadState=not-found; echo ActiveState=inactive ;;
*is-active*) echo inactive; exit 3 ;;
*is-enabled*) exit 1 ;;
esac""",
}
HOSTS = {"a1": "members", "b1": "members", "repo": "repositories", "obs": "observers"}


@pytest.mark.parametrize("engine", ["manual", "patroni"])
def test_a_plan_of_everything_can_be_had_before_there_is_anything(tmp_path: Path, engine: str) -> None:
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("no user postgres on this machine, as Debian's packages would have made it")
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    for part in ("ca", "cert", "key"):
        (tmp_path / part).write_text("pretended")
    groups = {group: {"hosts": {h: {} for h, own in HOSTS.items() if own == group}} for group in set(HOSTS.values())}
    groups["gateways"] = groups["observers"]
    groups["etcd"] = {"hosts": {"b1": {}, "repo": {}, "obs": {}}}
    secrets = ["replication_password", "monitor_password", "probe_password", "cipher_passphrase"]
    variables = {
        "resilience_cluster": "orders",
        "resilience_ha_engine": engine,
        "resilience_postgresql_version": 17,
        "resilience_postgresql_cluster_name": "none_such",
        "pgbackrest_receiver_enabled": True,
        **{f"resilience_tls_{part}": str(tmp_path / part) for part in ("ca", "cert", "key")},
        **{f"resilience_{secret}": "0123456789abcdef" for secret in secrets},
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    orders = {"hosts": {host: {"resilience_region": "a"} for host in HOSTS}, "vars": variables}
    inventory = {"all": {"vars": local, "children": {"orders": orders, **groups}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
    given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    before = {path: path.exists() for path in map(Path, ("/etc/fraiseql-resilience", "/etc/systemd/system/x"))}
    ended = subprocess.run(
        [str(ANSIBLE), "-i", "inventory.yml", "fraiseql.resilience.site", "--check"],
        cwd=tmp_path, check=False, capture_output=True, text=True,
        env={**given, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8",
             "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "unreachable=0    failed=0" in ended.stdout
    assert {path: path.exists() for path in before} == before
