# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role writes on its hosts, by a run of Ansible: its own tasks, variables and templates, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
#: What a role's tasks have looked at before they write.
LOOKED = {
    "__postgresql_there": {"stdout_lines": ["config"]},
    "__replication_there": {"stdout_lines": ["config"]},
    "__pgbackrest_answer": {"stdout": "pgBackRest 2.55.1"},
}


class Site:
    """A cluster with names that no lab has. ``hosts``, ``groups``, ``of_group`` and ``everywhere`` may be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = "9orders-EU.prod"
        self.hosts: dict[str, dict[str, t.Any]] = {
            "9-Pg.A1": {"resilience_region": "a"},
            "pg_B.x": {"resilience_region": "b"},
            "Repo-A.x": {"resilience_region": "a"},
            "0gate": {"resilience_region": "o"},
        }
        self.groups = {
            "members": ["9-Pg.A1", "pg_B.x"],
            "repositories": ["Repo-A.x"],
            "gateways": ["0gate"],
            "observers": ["0gate"],
        }
        #: Variables of a group by function, as group_vars/<group>.yml has them.
        self.of_group: dict[str, dict[str, t.Any]] = {}
        self.everywhere: dict[str, t.Any] = {
            "resilience_cluster": self.cluster,
            "resilience_postgresql_version": 17,
            "resilience_replication_password": "r",
            "resilience_monitor_password": "m",
            "resilience_probe_password": "p",
            "resilience_cipher_passphrase": "0123456789abcdef",
        }

    def rendered(self, role: str, *options: str) -> dict[str, dict[str, str]]:
        """By host, the files that the role writes there, by their place."""
        self._copy_of(role)
        inventory: dict[str, t.Any] = {
            self.cluster: {"hosts": self.hosts, "vars": self.everywhere},
            **{
                name: {"hosts": {host: {} for host in hosts}, "vars": self.of_group.get(name, {})}
                for name, hosts in self.groups.items()
            },
        }
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        whole = {"all": {"vars": {**local, **LOOKED}, "children": inventory}}
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(whole, allow_unicode=True))
        play = {"hosts": self._hosts_of(role), "gather_facts": False, "roles": [role]}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        ended = subprocess.run(
            [str(ANSIBLE), "-i", "inventory.yml", "play.yml", *options],
            cwd=self.folder, check=False, capture_output=True, text=True,
            env={**given, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(self.folder / "home"), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return {
            path.name: {
                file["place"]: as_text(file["text"]) for file in json.loads(path.read_text()) if file["written"]
            }
            for path in (self.folder / role).iterdir()
        }

    def _hosts_of(self, role: str) -> list[str]:
        wanted = {
            "gateway": ["gateways"], "observer": ["observers"], "etcd": ["etcd"],
            "pgbackrest": ["members", "repositories"], "health": ["members", "gateways"],
        }  # fmt: skip
        return [host for group in wanted.get(role, ["members"]) for host in self.groups[group]]

    def _copy_of(self, role: str) -> None:
        copy = self.folder / "roles" / role
        (copy / "tasks").mkdir(parents=True, exist_ok=True)
        (copy / "meta").mkdir(exist_ok=True)
        for part in ("defaults", "vars", "templates", "files"):
            if (ROLES / role / part).exists() and not (copy / part).exists():
                (copy / part).symlink_to(ROLES / role / part)
        (copy / "meta" / "main.yml").write_text(yaml.safe_dump({"dependencies": ["fraiseql.resilience.cluster"]}))
        files = [file for path in sorted((ROLES / role / "tasks").glob("configure*.yml")) for file in written_in(path)]
        task = {
            "ansible.builtin.copy": {
                "content": "{{ files | to_json }}\n",
                "dest": f"{self.folder}/{role}/{{{{ inventory_hostname }}}}",
            },
            "vars": {"files": files},
        }
        (self.folder / role).mkdir(exist_ok=True)
        (copy / "tasks" / "main.yml").write_text(yaml.safe_dump([task], sort_keys=False, allow_unicode=True))


def as_text(content: t.Any) -> str:
    """As module copy writes it: before 2.19, Ansible hands it what looks like JSON as a structure."""
    return content if isinstance(content, str) else json.dumps(content)


def written_in(path: Path) -> t.Iterator[dict[str, t.Any]]:
    """The files that a role's tasks put together: where, whether, and what."""
    for task in yaml.safe_load(path.read_text(encoding="utf-8")):
        conditions = task.get("when", "true")
        conditions = [conditions] if isinstance(conditions, str) else list(conditions)
        if path.stem == "configure_receiver":
            conditions.append("__pgbackrest_receives | bool")
        whether = " and ".join(f"({condition})" for condition in conditions)
        for file in made_by(task):
            template = f"{{{{ lookup('ansible.builtin.template', '{file.get('template')}') if {whether} else '' }}}}"
            yield {"place": file["dest"], "written": f"{{{{ {whether} }}}}", "text": file.get("content", template)}


def made_by(task: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """What a task makes of a template or of its own words; not what a variable lists."""
    files = task.get("fraiseql.resilience.files", {}).get("files", [])
    found = [file for file in files if isinstance(file, dict)]
    if "ansible.builtin.template" in task:
        found.append({**task["ansible.builtin.template"], "template": task["ansible.builtin.template"]["src"]})
    found.append(task.get("ansible.builtin.copy", {}))
    return [file for file in found if "content" in file or "template" in file]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
