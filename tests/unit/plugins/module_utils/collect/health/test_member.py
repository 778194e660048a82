# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a member is read: one lasting connection, made again once, and never beyond the deadline."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health import member as module
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import (
    Descriptor,
    LookFailed,
    Member,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading

PRIMARY = Reading(False, 3, "0/5000000", None, None, False, None, "7711290069494587645", fenced=False)
SYSTEM = ("7711290069494587645",)
ROW = (False, 3, "0/5000000", None, None, False, None)


class Lines:
    """Stands for ``Line``: hands out answers in turn; an exception is raised."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers = list(answers)
        self.opened = 0
        self.closed = 0

    def __call__(self, _dsn: str, _deadline: float) -> t.Any:
        self.opened += 1
        return SimpleNamespace(ask=self.ask, close=self.close)

    def ask(self, _sql: str, _deadline: float) -> t.Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def member(tmp_path: Path) -> Member:
    descriptor = tmp_path / "member.json"
    descriptor.write_text(json.dumps({"socket_dir": "/var/run/postgresql", "port": 5432}), encoding="utf-8")
    return Member(Descriptor(str(descriptor), "postgres"), str(tmp_path / "fenced"), deadline=5.0)


def test_one_connection_lasts(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(SYSTEM, ROW, ROW, ROW)
    monkeypatch.setattr(module, "Line", lines)
    assert [member.look() for _look in range(3)] == [PRIMARY] * 3
    assert lines.opened == 1


def test_a_session_that_somebody_ended_is_made_again_before_it_counts(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines(SYSTEM, ROW, LookFailed("terminated by an administrator"), SYSTEM, ROW)
    monkeypatch.setattr(module, "Line", lines)
    member.look()
    assert member.look() == PRIMARY
    assert (lines.opened, lines.closed) == (2, 1)


def test_a_server_that_is_gone_fails_at_once_and_is_called_again_next_time(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines(SYSTEM, ROW, LookFailed("lost"), LookFailed("still gone"), SYSTEM, ROW)
    monkeypatch.setattr(module, "Line", lines)
    member.look()
    with pytest.raises(LookFailed, match="still gone"):
        member.look()
    assert member.look() == PRIMARY
    assert lines.opened == 3


def test_a_hung_server_costs_one_deadline_only(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(SYSTEM, ROW, LookFailed("no answer"), AssertionError("asked beyond the deadline"))
    monkeypatch.setattr(module, "Line", lines)
    member.look()
    times = iter([0.0, 5.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with pytest.raises(LookFailed, match="no answer"):
        member.look()


def test_the_marker_fences(member: Member, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "Line", Lines(SYSTEM, ROW, ROW))
    assert not member.look().fenced
    (tmp_path / "fenced").touch()
    assert member.look().fenced

    (tmp_path / "fenced").unlink()
    (tmp_path / "fenced").symlink_to(tmp_path / "fenced")  # a loop: there is something, but it cannot be looked at
    with pytest.raises(LookFailed, match="cannot see whether"):
        member.look()


@pytest.mark.parametrize("content", [None, "", "{}", '{"socket_dir": "/s", "port": "x"}', "[]"])
def test_a_missing_or_broken_descriptor_is_a_failed_look_not_a_crash(tmp_path: Path, content: str | None) -> None:
    descriptor = tmp_path / "member.json"
    if content is not None:
        descriptor.write_text(content, encoding="utf-8")
    member = Member(Descriptor(str(descriptor), "postgres"), str(tmp_path / "fenced"), deadline=1.0)
    with pytest.raises(LookFailed, match="does not describe a member"):
        member.look()
