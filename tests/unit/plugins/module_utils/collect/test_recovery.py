# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery has ended when the server has left it, and not when it answers."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import recovery
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, UnknownError


class Host:
    """A member whose looks answer ``roles`` in turn (None: no answer), and whose unit is ``unit``."""

    def __init__(self, *roles: str | None, unit: str = "active") -> None:
        self.roles, self.unit = list(roles), unit
        self.ran: list[str] = []

    def __call__(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        assert timeout > 0
        if argv[0] == "systemctl":
            self.ran.append(argv[1])
            return Completed(tuple(argv), 0, f"{self.unit}\n", "", 0.0)
        role = self.roles.pop(0) if len(self.roles) > 1 else self.roles[0]
        if role is None:
            raise CommandFailed("psql ended with exit code 2", rc=2)
        return Completed(tuple(argv), 0, f"{role}\n", "", 0.0)


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> recovery.Member:
    monkeypatch.setattr(recovery, "POLL_SECONDS", 0.01)
    return recovery.Member(
        name="pg-a1",
        unit="postgresql@17-main.service",
        bin_dir="/usr/lib/postgresql/17/bin",
        data_dir=str(tmp_path),
        socket_dir="/var/run/postgresql",
        port=5432,
        os_user="postgres",
        log_file=str(tmp_path / "postgresql.log"),
    )


def test_a_member_is_started_once(member: recovery.Member) -> None:
    host = Host("f", unit="inactive")
    assert recovery.start(member, run=host) is True
    # The fence is looked for, and taken away, before the start.
    assert host.ran == ["is-active", "is-enabled", "reset-failed", "start"]
    assert recovery.start(member, run=Host("f", unit="activating")) is False


def test_consistency_is_not_the_end(member: recovery.Member) -> None:
    host = Host(None, "t", "t", "f")
    recovery.await_end(member, timeout=5, run=host)
    assert host.roles == ["f"]


def test_a_server_that_dies_is_quoted(member: recovery.Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "Deadline", lambda _seconds: Over())
    Path(member.log_file).write_text("FATAL:  of an earlier run\n")

    def dies(argv: t.Sequence[str], **given: t.Any) -> Completed:
        if argv[0] == "systemctl":
            with open(member.log_file, "a") as log:
                log.write("LOG:  x\nFATAL:  recovery ended before configured recovery target was reached\n")
        return Host(None, unit="failed")(argv, **given)

    with pytest.raises(recovery.RecoveryDied, match="before configured recovery target") as error:
        recovery.await_end(member, timeout=5, run=dies)
    assert "earlier run" not in error.value.message
    assert error.value.changed
    assert error.value.next_step


class Over:
    def expired(self) -> bool:
        return True


def test_a_rotated_log_is_read_from_its_begin(member: recovery.Member) -> None:
    Path(member.log_file).write_text("FATAL:  new\n")
    assert "FATAL:  new" in recovery._read_from(member.log_file, 10_000)
    assert recovery._read_from("/nowhere/at/all", 0) == ""


def test_a_recovery_that_goes_on_is_not_waited_for_for_ever(member: recovery.Member) -> None:
    with pytest.raises(UnknownError, match="in vain"):
        recovery.await_end(member, timeout=0.05, run=Host("t"))


def test_the_history_is_read_from_the_member(member: recovery.Member) -> None:
    with pytest.raises(UnknownError, match=r"0000001A\.history"):
        recovery.read_history(member, 26)
    (Path(member.data_dir) / "pg_wal").mkdir()
    (Path(member.data_dir) / "pg_wal" / "0000001A.history").write_text("25\t0/1\tx\n")
    assert recovery.read_history(member, 26) == "25\t0/1\tx\n"
