# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stopped member becomes a standby; a primary is never touched."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import demotion
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    UnknownError,
)

MEMBER: dict[str, t.Any] = {
    "name": "pg-a2",
    "bin_dir": "/usr/lib/postgresql/17/bin",
    "socket_dir": "/var/run/postgresql",
    "port": 5432,
    "os_user": "postgres",
    "unit": "postgresql@17-main.service",
    "peers": [{"name": "pg-a1"}, {"name": "pg-a2"}],
    "receivers": ["repo-a-receiver"],
}


class Host:
    """A member and its unit. ``role`` answers pg_is_in_recovery, None does not answer."""

    def __init__(self, role: str | None, unit: str, *, becomes: str | None = "t", stale: int = 0) -> None:
        self.role, self.unit, self.becomes, self.stale = role, unit, becomes, stale
        self.ran: list[str] = []

    def __call__(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        assert timeout > 0
        stdout = ""
        if argv[0] == "systemctl":
            self.ran.append(argv[1])
            if argv[1] == "start":
                self.role, self.unit = self.becomes, "active"
            stdout = self.unit
        elif self.role is None:
            raise CommandFailed("psql ended with exit code 2", rc=2)
        elif "pg_is_in_recovery" in argv[-1]:
            stdout = self.role
        elif "pg_drop_replication_slot" in argv[-1]:
            stdout, self.stale = str(self.stale), 0
        elif "count(*)" in argv[-1]:
            stdout = str(self.stale)
        else:
            stdout = "0"
        return Completed(tuple(argv), 0, stdout + "\n", "", 0.0)


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    monkeypatch.setattr(demotion.shutil, "chown", lambda *_given: None)
    monkeypatch.setattr(demotion, "POLL_SECONDS", 0.01)
    return {**MEMBER, "data_dir": str(tmp_path)}


def start(member: dict[str, t.Any], host: Host, *, check_mode: bool = False) -> bool:
    return demotion.start_as_standby(member, 0.1, check_mode=check_mode, run=host)


def signal(member: dict[str, t.Any]) -> bool:
    return (Path(member["data_dir"]) / "standby.signal").exists()


def test_a_stopped_member_starts_as_a_standby_once(member: dict[str, t.Any]) -> None:
    host = Host(None, "inactive")
    assert start(member, host) is True
    assert signal(member)
    host.ran.clear()
    assert start(member, host) is False
    assert host.ran == []


def test_a_running_primary_is_refused(member: dict[str, t.Any]) -> None:
    host = Host("f", "active")
    with pytest.raises(RefusedError, match="runs as a primary") as error:
        start(member, host)
    assert error.value.next_step
    assert host.ran == []
    assert not signal(member)


def test_a_slot_that_holds_wal_back_is_a_change(member: dict[str, t.Any]) -> None:
    host = Host("t", "active", stale=2)
    assert start(member, host, check_mode=True) is True
    assert start(member, host) is True
    assert start(member, host) is False


def test_check_mode_starts_nothing(member: dict[str, t.Any]) -> None:
    host = Host(None, "failed")
    assert start(member, host, check_mode=True) is True
    assert host.ran == ["is-active"]
    assert not signal(member)


def test_a_server_that_hangs_is_left_alone(member: dict[str, t.Any]) -> None:
    """It may be a primary in crash recovery, or one under SIGSTOP."""
    with pytest.raises(UnknownError) as error:
        start(member, Host(None, "active"))
    assert not error.value.changed
    assert not signal(member)


@pytest.mark.parametrize("becomes", ["f", None])
def test_what_does_not_become_a_standby_is_an_error(member: dict[str, t.Any], becomes: str | None) -> None:
    with pytest.raises(UnknownError) as error:
        start(member, Host(None, "inactive", becomes=becomes))
    assert error.value.changed
