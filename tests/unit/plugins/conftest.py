# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks are run for real, on this host alone, since what counts is what a run of Ansible leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
INVENTORY = {
    "all": {
        "children": {
            "lab": {"hosts": {"pg-a1": {"resilience_region": "a"}, "observer": {"resilience_region": "o"}}},
            "members": {"hosts": {"pg-a1": {}}},
            "observers": {"hosts": {"observer": {}}},
        },
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
    }
}


@dataclass
class Answer:
    rc: int
    stdout: str
    folders: list[Path]

    @property
    def folder(self) -> Path:
        [folder] = self.folders
        return folder

    @property
    def report(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads((self.folder / "report.json").read_text()))

    @property
    def events(self) -> list[dict[str, t.Any]]:
        return [json.loads(line) for line in (self.folder / "timeline.jsonl").read_text().splitlines()]


class Control:
    """A control node of its own: an inventory, a key, a folder for evidence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        (folder / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))

    def command(
        self, tasks: list[dict[str, t.Any]], *options: str, key: bool = True, hosts: str = "observer"
    ) -> list[str]:
        play = {"hosts": hosts, "gather_facts": False, "tasks": tasks}
        if key:
            play["vars"] = {"resilience_evidence_key": str(self.key)}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        return [str(ANSIBLE), "-i", "inventory.yml", "play.yml", *options]

    @property
    def environment(self) -> dict[str, str]:
        callbacks = {"ANSIBLE_CALLBACKS_ENABLED": "fraiseql.resilience.recovery_clock"}
        given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return {
            **given,
            **callbacks,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "home"),
            "LC_ALL": "C.UTF-8",
        }

    def play(
        self,
        tasks: list[dict[str, t.Any]],
        *options: str,
        key: bool = True,
        hosts: str = "observer",
        **environment: str,
    ) -> Answer:
        done = subprocess.run(
            self.command(tasks, *options, key=key, hosts=hosts),
            cwd=self.folder,
            env={**self.environment, **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        return Answer(done.returncode, done.stdout + done.stderr, sorted((self.folder / "evidence").glob("*")))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path)
