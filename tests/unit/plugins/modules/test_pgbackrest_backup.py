# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_backup: which backup it became; broken pages and a second backup at the same time."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_backup


def made(label: str, kind: str = "full", *, error: bool = False) -> dict[str, t.Any]:
    return {
        "label": label,
        "type": kind,
        "database": {"id": 1, "repo-key": 1},
        "archive": {"start": "000000010000000000000003", "stop": "000000010000000000000003"},
        "lsn": {"start": "0/3000028", "stop": "0/3000158"},
        "timestamp": {"start": 1, "stop": 2},
        "info": {"size": 10, "repository": {"delta": 5}},
        "reference": None,
        "error": error,
    }


class Host:
    """A repository host on which a backup adds ``makes`` to the list."""

    def __init__(self, *backups: dict[str, t.Any]) -> None:
        self.backups = list(backups)
        self.makes: dict[str, t.Any] | None = made("NEW", "incr")
        self.busy_looks = 0
        self.locked_tries = 0
        self.complaint = (50, "unable to acquire lock")
        self.ran: list[list[str]] = []

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        if argv[-1] == "backup":
            self.ran.append(list(argv))
            if self.locked_tries:
                self.locked_tries -= 1
                rc, complaint = self.complaint
                raise CommandFailed("ended", argv=argv, rc=rc, stderr=f"ERROR: [{rc:03}]: {complaint}")
            if self.makes:
                self.backups.append(self.makes)
            return Completed(tuple(argv), 0, "", "P00   WARN: no standby\n", 4.0)
        assert any(one.startswith("--repo=") for one in argv)
        self.busy_looks -= 1
        told = [{
            "name": "lab",
            "status": {"code": 0, "message": "ok",
                       "lock": {"backup": {"held": self.busy_looks >= 0, "pct-cplt": 4050}}},
            "repo": [{"key": 1, "status": {"code": 0, "message": "ok"}}],
            "db": [{"id": 1, "repo-key": 1, "system-id": 77, "version": "17"}],
            "backup": self.backups,
        }]  # fmt: skip
        return Completed(tuple(argv), 0, json.dumps(told), "", 0.1)

    def act(self, *, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        spec = pgbackrest_backup.argument_spec()
        params = {name: option.get("default") for name, option in spec.items()} | {"stanza": "lab"} | given
        return pgbackrest_backup.act(params, check_mode=check_mode, run=self, sleep=lambda _seconds: None)


def test_the_new_backup_is_told() -> None:
    answer = Host(made("OLD")).act()
    assert (answer["changed"], answer["backup"]["label"], answer["backup"]["type"]) == (True, "NEW", "incr")
    assert (answer["seconds"], answer["warnings_told"]) == (4.0, ["no standby"])


def test_a_backup_from_the_primary_begins_at_once() -> None:
    host = Host(made("OLD"))
    host.act(from_primary=True)
    assert host.ran[0][-3:] == ["--no-backup-standby", "--start-fast", "backup"]


def test_only_if_none_is_idempotent() -> None:
    host = Host(made("OLD"))
    answer = host.act(only_if_none=True, type="full")
    assert (answer["changed"], answer["backup"]["label"], host.ran) == (False, "OLD", [])


def test_a_full_backup_with_broken_pages_is_none() -> None:
    assert Host(made("OLD", error=True)).act(only_if_none=True, type="full")["changed"] is True


def test_broken_pages_fail_although_pgbackrest_ended_well() -> None:
    host = Host()
    host.makes = made("NEW", error=True)
    with pytest.raises(RefusedError, match="broken checksum") as caught:
        host.act()
    assert caught.value.changed is True


def test_a_backup_that_nobody_sees_is_unknown() -> None:
    host = Host()
    host.makes = None
    with pytest.raises(UnknownError):
        host.act()


def test_a_running_backup_is_waited_for() -> None:
    host = Host()
    host.busy_looks, host.locked_tries = 4, 2
    assert host.act()["changed"] is True
    assert len(host.ran) == 3


def test_a_new_primarys_first_checkpoint_is_waited_for() -> None:
    host = Host()
    host.locked_tries, host.complaint = 2, (58, "WAL timeline 8 does not match pg_control timeline 6")
    assert host.act()["changed"] is True
    host.locked_tries, host.complaint = 1, (58, "WAL file '1' version 17, system-id 7 do not match stanza")
    with pytest.raises(CommandFailed):
        host.act()


def test_waiting_has_an_end_and_tells_the_progress() -> None:
    host = Host()
    host.busy_looks = 10**9
    with pytest.raises(RefusedError, match="40 % done"):
        host.act(wait=0.0)
    assert host.ran == []


def test_check_mode_takes_none() -> None:
    host = Host()
    assert host.act(check_mode=True)["changed"] is True and host.ran == []


def test_one_that_runs_is_waited_for_and_none_is_taken() -> None:
    host = Host(made("OLD"))
    host.busy_looks = 4
    answer = host.act(state="awaited", wait=60.0)
    assert (answer["changed"], host.ran, sorted(answer)) == (False, [], ["changed", "waited_seconds"])
    assert host.busy_looks < 0, "until none runs"
    assert host.act(state="awaited")["changed"] is False


def test_one_that_does_not_end_is_not_waited_for_without_end() -> None:
    host = Host()
    host.busy_looks = 10**9
    with pytest.raises(RefusedError, match="40 % done"):
        host.act(state="awaited", wait=0.0)


def test_a_plan_waits_for_none() -> None:
    host = Host()
    host.busy_looks = 10**9
    assert host.act(state="awaited", wait=0.0, check_mode=True) == {"changed": False, "waited_seconds": 0.0}
