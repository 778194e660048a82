# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings with which a recovery would not be one are refused before anything is changed, and all others are not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[4] / "roles" / "postgresql"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
TASK = "preflight | Settings that recovery stands on are left alone"
VARIABLES = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
OWNED: dict[str, str] = VARIABLES["__postgresql_settings_owned"]


def judged(folder: Path, **settings: t.Any) -> tuple[int, str]:
    tasks = yaml.safe_load((ROLE / "tasks/preflight.yml").read_text(encoding="utf-8"))
    own = {name: VARIABLES[name] for name in ("__postgresql_settings_owned", "__postgresql_settings_refused")}
    play = {
        "hosts": "localhost", "gather_facts": False, "vars": {**own, "postgresql_settings": settings},
        "tasks": [task for task in tasks if task["name"] == TASK],
    }  # fmt: skip
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    done = subprocess.run(
        [str(ANSIBLE), "-i", "localhost,", "-c", "local", "-e",
         json.dumps({"ansible_python_interpreter": sys.executable}), "play.yml"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


def test_settings_that_say_nothing_of_recovery_are_taken(tmp_path: Path) -> None:
    taken = {"work_mem": "64MB",
             "default_transaction_isolation": "repeatable read", "default_transaction_read_only": False,
             "datestyle": "German, DMY", "idle_in_transaction_session_timeout": 15000}  # fmt: skip
    assert judged(tmp_path, **taken)[0] == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"Archive_Mode": False}, "Archive_Mode, which is on."),
        ({"port": 5433}, "port, which is resilience_postgresql_port."),
        ({"fsync": "off", "work_mem": "1MB"}, "fsync, which is on."),
        ({"default_transaction_isolation": "Serializable"}, "since standbys would answer nobody"),
        ({"default_transaction_read_only": True}, "since nobody could write"),
    ],
)
def test_settings_that_recovery_stands_on_are_refused(tmp_path: Path, settings: dict[str, t.Any], said: str) -> None:
    code, told = judged(tmp_path, **settings)
    assert code != 0
    assert said in told and "Nothing was changed." in told, told


def test_what_the_roles_write_themselves_is_theirs_alone() -> None:
    """But for TLS, logging and time-outs, which are anybody's to change."""
    written = set()
    for path in (ROLE / "templates/resilience.conf.j2", ROLE.parent / "replication/templates/replication.conf.j2"):
        written |= set(re.findall(r"^(\w+) = ", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    free = {
        name for name in written - set(OWNED) if not re.match(r"ssl|log_|tcp_|wal_(sender|receiver|retrieve)_", name)
    }
    assert free == {"password_encryption", "max_standby_streaming_delay"}
