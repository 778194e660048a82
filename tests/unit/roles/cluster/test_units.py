# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units do not run as they should, and which are left from before, by one answer of systemd and find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

VARS = Path(__file__).parents[4] / "roles/cluster/vars/main.yml"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
WANTED = ["well.timer", "stopped.timer", "disabled.timer", "stale.service", "missing.timer"]


def shown(name: str, *, load: str = "loaded", active: str = "active", file: str = "enabled", reload: str = "no") -> str:
    return f"Id={name}\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\nNeedDaemonReload={reload}\n"


ANSWER = "\n".join(
    [
        shown("well.timer"),
        shown("stopped.timer", active="inactive"),
        shown("disabled.timer", file="disabled"),
        shown("stale.service", reload="yes"),
        shown("missing.timer", load="not-found", active="inactive", file=""),
        "there well.timer\n",
        "there old.timer",
    ]
)


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["plain", "over a terminal"])
@pytest.mark.parametrize(
    ("options", "down"),
    [([], WANTED[1:]), (["--check"], ["stopped.timer", "disabled.timer", "stale.service"])],
    ids=["run", "plan"],
)
def test_what_does_not_run_is_started_and_what_is_left_goes(
    tmp_path: Path, newline: str, options: list[str], down: list[str]
) -> None:
    answer = ANSWER.replace("\n", newline)
    told = {"stdout": answer, "stdout_lines": answer.splitlines()}
    found = "{{ {'down': __resilience_units_down, 'left': __resilience_units_left} | to_json }}"
    task = {"ansible.builtin.copy": {"content": found, "dest": f"{tmp_path}/found"}, "check_mode": False}
    given = {"__resilience_shown": told, "resilience_units": WANTED}
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": [str(VARS)], "vars": given, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    ended = subprocess.run(
        [str(ANSIBLE), "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}",
         "play.yml", *options],
        cwd=tmp_path, check=False, capture_output=True, text=True, env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads((tmp_path / "found").read_text()) == {"down": down, "left": ["old.timer"]}
