# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that raise alerts: each alert is one of the rules', what was not told is said, and every fault is undone."""

from __future__ import annotations

import time
import typing as t

import fired
import lab_faults
import paging
import pytest
from lab_faults import Fault
from outside import Told

STAGE: t.Any = None


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fired, "WAVE_SECONDS", 0.1)


def alert(name: str, at: float | None = None, status: str = "firing") -> dict[str, t.Any]:
    said = {"labels": {"alertname": name}, "status": status, "annotations": {"summary": f"{name} is said"}}
    return {**said, "at": time.monotonic() if at is None else at}


def test_each_alert_is_one_of_the_rules_and_raised_by_one_fault() -> None:
    raised = [name for faults in lab_faults.WAVES for fault in faults for name in fault.alerts]
    assert len(raised) == len(set(raised)) >= 30
    assert set(raised) <= set(paging.rules(paging.RULES))


def test_an_alert_counts_from_its_fault_and_not_from_before() -> None:
    told = Told()
    told.alerts.append(alert("A", at=0.0))
    faults = [
        Fault("one", ("A", "B"), lambda _on: told.alerts.append(alert("A"))),
        Fault("two", ("C",), lambda _on: told.alerts.append(alert("C", status="resolved"))),
    ]
    first, *others = fired.wave(STAGE, told, faults)
    assert (first["alert"], first["fault"], first["said"]) == ("A", "one", "A is said")
    assert 0 <= first["seconds"] < 5
    assert [(one["alert"], one["seconds"], one["said"]) for one in others] == [("B", None, None), ("C", None, None)]


def test_every_fault_is_undone_whatever_becomes_of_the_others() -> None:
    undone: list[str] = []

    def fail(_on: t.Any) -> t.NoReturn:
        raise AssertionError("it cannot be")

    faults = [
        Fault("one", (), lambda _on: None, lambda _on: undone.append("one")),
        Fault("two", (), lambda _on: None, fail),
        Fault("three", (), fail, lambda _on: undone.append("three")),
    ]
    with pytest.raises(AssertionError, match="it cannot be"):
        fired.wave(STAGE, Told(), faults)
    assert undone == ["three", "one"]
