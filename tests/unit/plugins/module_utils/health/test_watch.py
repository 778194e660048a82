# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that look: the last result, its pace, and what the journal is told."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.watch import (
    QUICK_PERIOD,
    Checker,
    Watcher,
    pace,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status

PRIMARY = Reading(False, 3, "0/5000000", None, None, False, None, "7711290069494587645", fenced=False)
STANDBY = dataclasses.replace(PRIMARY, in_recovery=True, streaming=True)
ALONE = dataclasses.replace(STANDBY, streaming=False)


def in_turn(*given: t.Any) -> t.Callable[[], t.Any]:
    answers = list(given)

    def look() -> t.Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return look


def test_the_pace_quickens_in_trouble_and_slackens_when_it_lasts() -> None:
    assert pace(0.1, None) == 0.1
    assert pace(0.1, 0.0) == pytest.approx(0.025)
    assert pace(0.1, QUICK_PERIOD) == pytest.approx(0.25)


def test_a_watcher_keeps_the_last_result_with_the_time_before_it_was_asked_for(capsys: t.Any) -> None:
    watcher = Watcher(in_turn(PRIMARY, PRIMARY, LookFailed("gone"), STANDBY, ALONE), poll=0.1)
    assert watcher.latest is None and not watcher.looked.is_set()
    assert watcher.step() == 0.1
    assert watcher.looked.is_set()
    first = watcher.latest
    assert watcher.step() == 0.1
    assert first is not None and watcher.latest is not None
    assert watcher.latest.began > first.began and watcher.latest.reading is PRIMARY
    assert watcher.step() == pytest.approx(0.025)
    assert (watcher.latest.reading, watcher.latest.error) == (None, "gone")
    assert watcher.step() == 0.1
    assert watcher.step() == pytest.approx(0.025)  # a standby without a sender: a promotion may be near
    assert capsys.readouterr().err.splitlines() == ["primary", "unknown: gone", "standby"]  # changes only


def test_a_look_that_fails_as_nobody_foresaw_is_unknown_and_taken_again() -> None:
    watcher = Watcher(in_turn(ValueError("filedescriptor out of range in select()"), PRIMARY), poll=0.1)
    watcher.step()
    assert watcher.latest is not None and watcher.looked.is_set()
    assert watcher.latest.error == "ValueError: filedescriptor out of range in select()"
    watcher.step()
    assert (watcher.latest.reading, watcher.latest.error) == (PRIMARY, None)


def test_whoever_looks_goes_on_where_the_journal_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _words: str) -> t.NoReturn:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    watcher = Watcher(in_turn(PRIMARY, STANDBY), poll=0.1)
    watcher.step()
    watcher.step()
    assert watcher.latest is not None and watcher.latest.reading is STANDBY


def test_a_checker_keeps_findings_or_why_there_are_none(capsys: t.Any) -> None:
    well, slow = Finding(Status.PASS, "0.1 s", "seconds"), Finding(Status.WARN, "0.5 s", "seconds")
    checker = Checker("login", in_turn([well], [slow], [slow], LookFailed("no answer"), KeyError("x"), [well]), 60.0)
    assert checker.latest is None
    assert 30 < checker.step() <= 60
    assert checker.latest is not None and checker.latest.findings == (well,)
    checker.step()
    checker.step()
    checker.step()
    assert (checker.latest.findings, checker.latest.error) == ((), "no answer")
    checker.step()
    assert checker.latest.error == "KeyError: 'x'"  # a mistake in a check does not end its thread
    checker.step()
    assert checker.latest.error is None
    assert capsys.readouterr().err.splitlines() == [
        "login: pass",
        "login: warn: 0.5 s",
        "login: unknown: no answer",
        "login: pass",
    ]


def test_a_thread_stops_when_it_is_asked_to() -> None:
    checker = Checker("login", in_turn([]), 60.0)
    checker.start()
    assert checker.looked.wait(60)
    checker.stop()
    checker.join(30)
    assert not checker.is_alive()
