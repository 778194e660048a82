# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule that systemd or the clock would make something else of is refused before anything is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[4]
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
FULL = {"repo": 1, "type": "full", "calendar": "*-*-* 01:30:00 UTC"}


def preflight(folder: Path, *schedule: dict[str, t.Any], **given: t.Any) -> tuple[int, str]:
    variables = yaml.safe_load((TOP / "roles/backup/defaults/main.yml").read_text())
    variables |= yaml.safe_load((TOP / "roles/backup/vars/main.yml").read_text())
    variables |= {"backup_schedule": list(schedule), **given}
    task = {"ansible.builtin.import_tasks": str(TOP / "roles/backup/tasks/preflight.yml")}
    (folder / "play.yml").write_text(
        yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [task]}])
    )
    python = json.dumps({"ansible_python_interpreter": sys.executable})
    done = subprocess.run(
        [str(ANSIBLE), "-i", "localhost,", "-c", "local", "-e", python, "play.yml"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_what_systemd_does_not_understand_is_refused(tmp_path: Path) -> None:
    assert preflight(tmp_path, FULL)[0] == 0
    code, said = preflight(tmp_path, FULL, {"repo": 1, "type": "incr", "calendar": "*-*-* 25:00:00 UTC"})
    assert code != 0
    assert "systemd does not understand when a backup is to run" in said
    assert "Failed to parse calendar specification '*-*-* 25:00:00 UTC'" in said


@pytest.mark.parametrize(
    ("schedule", "given"),
    [
        ([{**FULL, "calendar": "*-*-* 01:30:00"}], {}),
        ([{**FULL, "calendar": "*-*-* 01:30:00 Europe/Paris"}], {}),
        ([FULL, FULL], {}),
        ([{**FULL, "type": "incr"}], {}),
        ([FULL], {"backup_size_low": 1.0}),
        ([FULL], {"backup_size_high": 0.9}),
        ([FULL], {"backup_wait": 0}),
    ],
    ids=["no zone", "a zone with summer time", "twice", "no full", "low", "high", "no wait"],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    tmp_path: Path, schedule: list[dict[str, t.Any]], given: dict[str, t.Any]
) -> None:
    code, said = preflight(tmp_path, *schedule, **given)
    assert code != 0 and "backup_schedule needs a full backup into repository 1" in said


def test_the_service_hides_no_lock() -> None:
    """pgBackRest's lock files are in /tmp: in a /tmp of its own, a backup would run beside another one."""
    lines = (TOP / "roles/backup/templates/resilience-backup@.service.j2").read_text().splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    assert not [line for line in settings if line.startswith("PrivateTmp")]
    [writable] = [line for line in settings if line.startswith("ReadWritePaths=")]
    assert "/tmp" in writable.removeprefix("ReadWritePaths=").split()


def test_retention_is_by_time_in_each_repository_and_nothing_shortens_it() -> None:
    """What the test with a real pgBackRest shows to keep 30 days whole is what role pgbackrest writes."""
    lines = (TOP / "roles/pgbackrest/templates/pgbackrest.conf.j2").read_text().splitlines()
    days = "{{ resilience_objectives.retention_days }}"
    wanted = {"repo{{ repo }}-retention-full-type=time", f"repo{{{{ repo }}}}-retention-full={days}"}
    assert {line for line in lines if "-retention-" in line} == wanted
