# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A standby is promoted with all the WAL that it must hold, or not at all."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import promotion
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.promotion import (
    create_slots,
    promote,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandTimedOut,
    InputError,
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


class Server:
    """PostgreSQL behind psql."""

    def __init__(self, *, standby: bool = True, replayed: bool = True, promotes: str | Exception = "t") -> None:
        self.standby, self.replayed, self.promotes = standby, replayed, promotes
        self.asked: list[str] = []

    def __call__(self, argv: t.Sequence[str], *, timeout: float, user: str | None = None, **_more: t.Any) -> Completed:
        assert timeout > 0
        assert user == "postgres"
        self.asked.append(argv[-1])
        return Completed(tuple(argv), 0, self.answer(argv[-1]) + "\n", "", 0.0)

    def answer(self, statement: str) -> str:
        if "pg_promote" in statement:
            if isinstance(self.promotes, Exception):
                raise self.promotes
            self.standby = self.promotes != "t"
            return self.promotes
        if "pg_is_in_recovery" in statement:
            return "t" if self.standby else "f"
        if ">=" in statement:
            return "t" if self.replayed else "f"
        if "pg_last_wal_replay_lsn" in statement:
            return "0/4000000"
        return "4 0/5000148" if "pg_current_wal_lsn" in statement else "2"

    @property
    def promoted(self) -> bool:
        return any("pg_promote" in statement for statement in self.asked)


@pytest.fixture(autouse=True)
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(promotion, "UNPROTECTED", tmp_path / "unprotected")
    return tmp_path / "unprotected"


def test_a_standby_is_promoted_with_its_slots_made_before() -> None:
    server = Server()
    result = promote(MEMBER, "0/5000000", 1, check_mode=False, run=server)
    assert (result["changed"], result["timeline"], result["promote_lsn"]) == (True, 4, "0/5000148")
    assert [event["name"] for event in result["events"]] == ["promote_asked", "writable"]
    slots = next(i for i, one in enumerate(server.asked) if "pg_create_physical" in one)
    asked = next(i for i, one in enumerate(server.asked) if "pg_promote" in one)
    assert slots < asked


def test_a_primary_is_left_alone() -> None:
    server = Server(standby=False)
    result = promote(MEMBER, "0/5000000", 1, check_mode=False, run=server)
    assert (result["changed"], result["events"]) == (False, [])
    assert not server.promoted


def test_check_mode_promotes_nobody() -> None:
    server = Server()
    assert promote(MEMBER, None, 1, check_mode=True, run=server)["changed"] is True
    assert not server.promoted


def test_without_the_wal_that_it_must_hold_nobody_is_promoted() -> None:
    server = Server(replayed=False)
    with pytest.raises(UnknownError) as error:
        promote(MEMBER, "0/5000000", 0.1, check_mode=False, run=server)
    assert not server.promoted
    assert not error.value.changed
    assert "0/4000000" in str(error.value.given)
    assert error.value.next_step


@pytest.mark.parametrize("answer", ["f", CommandTimedOut("psql was killed")])
def test_a_promotion_that_does_not_end_is_unknown_and_not_nothing(answer: str | Exception) -> None:
    with pytest.raises(UnknownError) as error:
        promote(MEMBER, None, 1, check_mode=False, run=Server(promotes=answer))
    assert error.value.changed


def test_what_is_no_position_never_reaches_the_server() -> None:
    server = Server()
    with pytest.raises(InputError):
        promote(MEMBER, "0/0'; DROP TABLE x; --", 1, check_mode=False, run=server)
    assert server.asked == []


def test_slots_are_made_for_all_others() -> None:
    statement = create_slots(MEMBER)
    assert "('pg_a1'), ('repo_a_receiver')" in statement
    assert "pg_a2" not in statement
    assert create_slots({**MEMBER, "peers": [{"name": "pg-a2"}], "receivers": []}) == "SELECT 0"


def test_a_new_primary_is_marked_as_unprotected_before_it_is_one(mark: Path) -> None:
    """A failover that is killed from here on is gone on with; one that promoted nobody leaves no mark."""
    promotion.promote(MEMBER, None, 1, check_mode=True, run=Server())
    assert not mark.exists()
    promotion.promote(MEMBER, None, 1, check_mode=False, run=Server())
    assert mark.exists()


def test_a_mark_that_cannot_be_left_keeps_nobody_from_taking_over(mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "UNPROTECTED", mark / "no" / "such" / "folder")
    assert promotion.promote(MEMBER, None, 1, check_mode=False, run=Server())["changed"] is True
