# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where several observers look, it counts what any of them could see."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import yaml
from local_play import played

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

SEES = {"verdict": "passed", "primary": "pg-a1"}
CUT_OFF = {"verdict": "unknown", "primary": None}
BROKEN = {"failed": True, "msg": "this host does not know its cluster"}
#: By cluster: what each of its observers has found, and whose word counts.
CLUSTERS: dict[str, tuple[dict[str, t.Any], str]] = {
    "orders": ({"o1": SEES, "o2": SEES}, "o1"),
    "bills": ({"o3": CUT_OFF, "o4": SEES}, "o4"),
    "stock": ({"o5": BROKEN, "o6": CUT_OFF}, "o6"),
    "shop": ({"o7": None, "o8": SEES}, "o8"),
    "mail": ({"o9": None}, "o9"),
}


def test_the_status_is_that_of_an_observer_that_could_look(tmp_path: Path) -> None:
    [answer] = [
        play
        for play in yaml.safe_load((catalogue.TOP / "playbooks" / "status.yml").read_text())
        if "observer" in play.get("vars", {})
    ]
    write = {
        "ansible.builtin.copy": {"content": "{{ observer }}", "dest": "{{ playbook_dir }}/{{ resilience_cluster }}"}
    }
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {**answer["vars"], "resilience_cluster": name},
            "tasks": [write],
        }
        for name in CLUSTERS
    ]
    groups = {
        name: {"hosts": {host: {} if found is None else {"cluster": found} for host, found in told.items()}}
        for name, (told, _counts) in CLUSTERS.items()
    }
    observers = {"hosts": {host: {} for told, _counts in CLUSTERS.values() for host in told}}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"vars": local, "children": {**groups, "observers": observers}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (tmp_path / "plays.yml").write_text(yaml.safe_dump(plays))
    ended = played(tmp_path, "plays.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {name: (tmp_path / name).read_text() for name in CLUSTERS} == {
        name: counts for name, (_told, counts) in CLUSTERS.items()
    }
