# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster cannot be is said by the first play, before anything is changed; a run of Ansible says it."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"


def run(folder: Path, known: str = "", cluster: str = "Orders-1.eu", **variables: t.Any) -> str:
    """What a run says that looks at one member, whose descriptors name the cluster ``known``."""
    (folder / "grep").write_text(f"#!/bin/sh\n{known and f'echo {known!r}'}\n")
    (folder / "grep").chmod(0o755)
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                cluster: {
                    "hosts": {"9-pg.A": {"resilience_region": "a"}, "repo": {"resilience_region": "a"}},
                    "vars": {"resilience_cluster": cluster, **variables},
                },
                "members": {"hosts": {"9-pg.A": {}}},
                "repositories": {"hosts": {"repo": {}}},
            },
        }
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    sole = {"ansible.builtin.include_role": {"name": "fraiseql.resilience.cluster", "tasks_from": "sole.yml"}}
    play = {"hosts": "9-pg.A", "gather_facts": False, "roles": ["fraiseql.resilience.cluster"], "tasks": [sole]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    ended = subprocess.run(
        [str(ANSIBLE), "-i", "inventory.yml", "play.yml"], cwd=folder, check=False, capture_output=True, text=True,
        env={**given, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8",
             "PATH": f"{folder}:{os.environ['PATH']}"},
    )  # fmt: skip
    return "passed" if ended.returncode == 0 else ended.stdout


def test_names_with_digits_dots_dashes_and_capitals_are_taken(tmp_path: Path) -> None:
    assert run(tmp_path, '"cluster": "Orders-1.eu"') == "passed"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"resilience_postgresql_cluster_name": "main-2"}, "systemd takes a dash for a slash"),
        ({"resilience_stanza": "two words"}, "two words"),
        ({"resilience_stanza": "../up"}, "../up"),
        ({"pgbackrest_receiver_enabled": True, "pgbackrest_receiver_name": "9_PG_a"}, "their slots: 9_pg_a, 9_pg_a"),
        ({"pgbackrest_receiver_enabled": "true", "pgbackrest_receiver_name": "r" * 64}, "up to 63 letters"),
        ({"resilience_objectives": {"rto_seconds": 60}}, "lacks rpo_seconds, availability_percent"),
    ],
)
def test_what_no_program_takes_is_refused(tmp_path: Path, variables: dict[str, t.Any], told: str) -> None:
    said = run(tmp_path, **variables)
    assert told in said, said
    assert "Nothing was changed." in said


def test_a_host_of_another_cluster_stays_its_own(tmp_path: Path) -> None:
    said = run(tmp_path, '"cluster": "billing"')
    assert "9-pg.A belongs to the cluster billing already" in said, said
