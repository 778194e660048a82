# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stopped member becomes a standby; a primary is never touched."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
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
    monkeypatch.setattr(demotion, "UNPROTECTED", tmp_path / "unprotected")
    word = replace(armed.DEMOTION, state_file=str(tmp_path / "demotion.json"))
    monkeypatch.setattr(armed, "DEMOTION", word)
    (tmp_path / "global").mkdir()
    (tmp_path / "global" / "pg_control").touch()
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


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_member_without_data_is_refused_before_anything_is_touched(
    member: dict[str, t.Any], check_mode: bool
) -> None:
    """A restore would find a directory that is not empty, and no backup's."""
    control = Path(member["data_dir"]) / "global" / "pg_control"
    control.unlink()
    control.parent.rmdir()
    host = Host(None, "inactive")
    with pytest.raises(RefusedError, match="has no data") as error:
        start(member, host, check_mode=check_mode)
    assert error.value.next_step
    assert "start" not in host.ran
    assert list(Path(member["data_dir"]).iterdir()) == []


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


def test_the_target_of_an_earlier_recovery_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    """With it, the standby would replay up to there and stop following."""
    settings = tmp_path / "postgresql.auto.conf"
    settings.write_text(
        "# Do not edit this file manually!\n"
        "work_mem = '8MB'\n"
        "recovery_target_lsn = '0/5000148'\n"
        " recovery_target_action='promote'\n"
        "restore_command = 'restore_wal.py %f \"%p\"'\n",
        encoding="utf-8",
    )
    settings.chmod(0o600)
    assert demotion.forget_target(tmp_path) is True
    assert settings.read_text(encoding="utf-8").splitlines() == [
        "# Do not edit this file manually!",
        "work_mem = '8MB'",
        "restore_command = 'restore_wal.py %f \"%p\"'",
    ]
    assert settings.stat().st_mode & 0o777 == 0o600
    assert demotion.forget_target(tmp_path) is False
    assert [path.name for path in tmp_path.iterdir()] == ["postgresql.auto.conf"]


def test_a_member_without_settings_of_its_own_has_no_target(tmp_path: Path) -> None:
    assert demotion.forget_target(tmp_path) is False


STOPPED = {"state": "stopped", "token": "T"}


def resume(member: dict[str, t.Any], host: Host, said: dict[str, t.Any]) -> bool:
    return demotion.resume(member, said, 0.1, check_mode=False, run=host)


def test_what_a_switchover_stopped_and_never_started_follows_now(member: dict[str, t.Any]) -> None:
    (Path(member["data_dir"]) / "standby.signal").touch()
    host = Host(None, "inactive")
    assert resume(member, host, STOPPED) is True
    assert "start" in host.ran
    # It runs now, so there is nothing left to go on with.
    assert resume(member, host, STOPPED) is False


@pytest.mark.parametrize("said", [{}, {"state": "expired"}, {"state": "disarmed"}])
def test_what_somebody_else_stopped_stays_down(member: dict[str, t.Any], said: dict[str, t.Any]) -> None:
    (Path(member["data_dir"]) / "standby.signal").touch()
    host = Host(None, "inactive")
    assert resume(member, host, said) is False
    assert "start" not in host.ran


def test_a_primary_that_was_stopped_otherwise_is_not_made_a_standby(member: dict[str, t.Any]) -> None:
    """The word is of an earlier switchover; without standby.signal it has been a primary since."""
    host = Host(None, "inactive")
    assert resume(member, host, STOPPED) is False
    assert not signal(member)


def test_what_earlier_operations_left_to_go_on_with_ends_with_the_start(member: dict[str, t.Any]) -> None:
    left = [demotion.UNPROTECTED, Path(armed.DEMOTION.state_file)]
    for path in left:
        path.touch()
    start(member, Host(None, "inactive"))
    assert [path for path in left if path.exists()] == []
