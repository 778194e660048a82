# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action program: one executable file that imports the domain library, the same bytes each time."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.fraiseql.resilience.plugins.action import program

MAIN = b"""
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
print(Verdict.UNKNOWN.value)
"""
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"


def test_the_same_sources_make_the_same_bytes() -> None:
    assert program.pack(MAIN) == program.pack(MAIN)
    assert program.pack(MAIN) != program.pack(MAIN + b"\n")


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "say.py").write_bytes(MAIN)
    path = tmp_path / "play.yml"
    task = {"fraiseql.resilience.program": {"src": "say.py", "dest": str(tmp_path / "say")}}
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    return path


def play(playbook: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [str(ANSIBLE), "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        [*argv, str(playbook), *options], env=environment, capture_output=True, text=True, check=False
    )


def test_a_program_is_installed_once_and_runs_by_itself(playbook: Path, tmp_path: Path) -> None:
    installed = tmp_path / "say"
    planned = play(playbook, "--check")
    assert ("changed=1" in planned.stdout, installed.exists()) == (True, False), planned.stdout
    first, second = play(playbook), play(playbook)
    assert "changed=1" in first.stdout, first.stdout
    assert "changed=0" in second.stdout, second.stdout
    outside: dict[str, t.Any] = {"env": {"PATH": "/usr/bin:/bin"}, "cwd": "/"}
    said = subprocess.run([str(installed)], capture_output=True, text=True, check=False, **outside)
    assert said.stdout == "unknown\n", said.stderr


def test_a_program_that_does_not_exist_is_named(playbook: Path, tmp_path: Path) -> None:
    (tmp_path / "files" / "say.py").unlink()
    answer = play(playbook)
    assert answer.returncode != 0
    assert "there is no such program" in answer.stdout
    assert "say.py" in answer.stdout
