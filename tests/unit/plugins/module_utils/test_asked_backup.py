# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that a person asks for: begun once, followed by its own token, and told from one that was cut off."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import asked_backup, command
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backups
from ansible_collections.fraiseql.resilience.plugins.module_utils.scheduled_backup import Host


class Machine:
    """systemd and pgBackRest, as far as they are asked."""

    def __init__(self) -> None:
        self.units = ""
        self.lock: dict[str, t.Any] = {"held": False}
        self.started: list[str] = []

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        if argv[:2] == ["systemctl", "start"]:
            self.started.append(argv[-1])
            said = ""
        elif argv[0] == "systemctl":
            said = self.units
        else:
            said = json.dumps([{
                "name": "lab", "status": {"code": 2, "message": "", "lock": {"backup": self.lock}},
                "repo": [{"key": 1, "status": {"code": 2, "message": "no valid backups"}}], "db": [], "backup": [],
            }])  # fmt: skip
        return Completed(tuple(argv), 0, said, "", 0.1)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(command, "run", made)
    return made


@pytest.fixture
def host(machine: Machine, tmp_path: Path) -> Host:
    settings = {"directory": str(tmp_path), "options": []}
    return Host({"stanza": "lab", "user": "postgres", "members": [], "repos": [1]}, settings, lambda _said: None)


def test_the_timers_own_service_is_started_and_knows_who_asked(host: Host, machine: Machine) -> None:
    answer = asked_backup.ask(host, 1, "incr", check=False)
    assert (answer["last"], answer["would_take"]) == (None, "full")  # there is nothing to build on
    assert machine.started == ["resilience-backup@1-incr.service"]
    assert host.request(1, "full") == {"by": "timer"}
    assert host.request(1, "incr") == {"by": "playbook", "asked": answer["asked"]}
    assert host.request(1, "incr") == {"by": "timer"}  # once


def test_a_request_that_no_run_took_up_is_forgotten(host: Host) -> None:
    host.requested(1, "full").write_text(json.dumps({"token": "t", "at": time.time() - 3600}))
    assert host.request(1, "full") == {"by": "timer"}


def test_check_starts_nothing(host: Host, machine: Machine) -> None:
    assert asked_backup.ask(host, 1, "full", check=True)["asked"] is None
    assert machine.started == [] and not host.requested(1, "full").exists()


@pytest.mark.parametrize("check", [False, True])
def test_one_that_runs_is_told_and_no_second_is_begun(host: Host, machine: Machine, check: bool) -> None:
    machine.units = "resilience-backup@1-full.service loaded activating start Backup 1-full\n"
    machine.lock = {"held": True, "pct-cplt": 4210}
    with pytest.raises(RefusedError, match=r"resilience-backup@1-full\.service, 42 % done"):
        asked_backup.ask(host, 1, "incr", check=check)
    machine.units = ""  # somebody's by hand
    with pytest.raises(RefusedError, match="pgbackrest backup, 42 % done"):
        asked_backup.ask(host, 1, "incr", check=check)
    assert machine.started == []


def test_progress_waits_for_the_next_tenth_and_tells_the_time_left(host: Host, machine: Machine) -> None:
    machine.units = "resilience-backup@1-full.service loaded activating start Backup 1-full\n"
    machine.lock = {"held": True, "pct-cplt": 2500}
    began = time.time() - 30
    host.catalogue.begin(1, {"began_utc": backups.utc(began)})
    seen = asked_backup.progress(host, 1, "full", "token", beyond=0.0, wait=30.0)
    assert (seen["running"], seen["percent"], seen["line"]) == (True, 25.0, None)
    most = time.time() - began + 2  # the begin is kept to the second
    assert 28 <= seen["elapsed_seconds"] <= most and 84 <= seen["left_seconds"] <= 3 * most
    begin = time.monotonic()
    asked_backup.progress(host, 1, "full", "token", beyond=25.0, wait=0.3)
    assert 0.2 < time.monotonic() - begin < 30


def test_the_end_is_the_line_with_the_token_and_nobody_elses(host: Host) -> None:
    host.catalogue.append({"schema": backups.SCHEMA, "repo": 1, "label": "A", "asked": "other"})
    seen = asked_backup.progress(host, 1, "full", "token", beyond=0.0, wait=1.0)
    assert (seen["running"], seen["line"]) == (False, None)
    host.catalogue.append({"schema": backups.SCHEMA, "repo": 1, "label": "B", "asked": "token"})
    assert asked_backup.progress(host, 1, "full", "token", beyond=0.0, wait=1.0)["line"]["label"] == "B"


def test_a_service_that_has_yet_to_begin_is_waited_for(host: Host) -> None:
    asked_backup.ask(host, 1, "full", check=False)
    assert asked_backup.progress(host, 1, "full", "token", beyond=0.0, wait=0.1)["running"] is True


def test_a_service_that_begins_while_it_is_looked_for_is_no_service_that_has_ended(
    host: Host, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the request up, after systemd has said that it does not run."""
    asked_backup.ask(host, 1, "full", check=False)

    def begins(argv: t.Sequence[str], **more: t.Any) -> Completed:
        said = machine(argv, **more)
        if "list-units" in argv:
            host.request(1, "full")
            machine.units = "resilience-backup@1-full.service loaded activating start Backup 1-full\n"
        return said

    monkeypatch.setattr(command, "run", begins)
    assert asked_backup.progress(host, 1, "full", "token", beyond=0.0, wait=0.0)["running"] is True
