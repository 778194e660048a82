# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role monitoring writes on the hosts of a site, by a run of Ansible that changes none of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml
from alert_cases import TOP

CLUSTER = "9orders-EU.prod"
MEMBER, STANDBY, REPOSITORY, OBSERVER = "9-Pg.A1", "pg_B.x", "Repo-A.x", "0gate"
GROUPS = {
    "members": [MEMBER, STANDBY],
    "repositories": [REPOSITORY],
    "gateways": [OBSERVER],
    "observers": [OBSERVER],
}
Files = dict[str, dict[str, str]]


class Refused(Exception):
    """The role's preflight stopped the play; the text is all that Ansible said."""


def rendered(folder: Path, variables: t.Mapping[str, t.Any], *, debian: str = "13", **of_host: t.Any) -> Files:
    """By host, what the role writes there, by its place.

    :raises Refused: its preflight fails.
    """
    everywhere = {
        "resilience_cluster": CLUSTER,
        "resilience_postgresql_version": 17,
        "resilience_monitor_password": "m/:@'",
        "resilience_probe_password": "p",
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    hosts = {host: {"resilience_region": "a", **of_host.get(host, {})} for one in GROUPS.values() for host in one}
    children = {name: {"hosts": {host: {} for host in members}} for name, members in GROUPS.items()}
    inventory = {"all": {"vars": everywhere, "children": {CLUSTER: {"hosts": hosts}, **children}}}
    tasks: list[dict[str, t.Any]] = [
        {"ansible.builtin.set_fact": {"distribution_major_version": debian, "cacheable": True}},
        {
            "ansible.builtin.include_role": {
                "name": "fraiseql.resilience.monitoring",
                "tasks_from": "preflight.yml",
                "public": True,
            }
        },
        {
            "ansible.builtin.copy": {
                "content": "{{ __monitoring_placed | to_json }}",
                "dest": f"{folder}/{{{{ inventory_hostname }}}}.json",
            }
        },
    ]
    play = {"hosts": "all", "gather_facts": False, "roles": ["fraiseql.resilience.cluster"], "tasks": tasks}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    # Where a lookup finds the role's files, from a play that is not in the role.
    if not (folder / "files").exists():
        (folder / "files").symlink_to(TOP / "roles" / "monitoring" / "files")
    given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    ended = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", "play.yml"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**given, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"},
    )
    if ended.returncode != 0:
        raise Refused(ended.stdout + ended.stderr)
    return {
        host: {
            file["dest"]: file["content"]
            for file in json.loads((folder / f"{host}.json").read_text(encoding="utf-8"))
            if "content" in file
        }
        for host in hosts
    }
