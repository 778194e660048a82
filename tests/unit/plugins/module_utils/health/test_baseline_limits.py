# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check's limits follow its baseline, are held until a value is well below them, and outlive a disk that is full."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.health import baseline_limits
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.baseline_limits import BaselineLimits
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import baseline
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.postgresql import written
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Status, held

#: 2026-11-26T18:00:00Z, a Thursday.
T0 = 1795716000.0
PASS, WARN, FAIL = Status.PASS, Status.WARN, Status.FAIL


def usual(folder: Path, p95: float) -> None:
    hours = {str(3 * 24 + 18): {"samples": 5000, "p95": p95}}
    (folder / "baseline.json").write_text(json.dumps({"schema": baseline.SCHEMA, "version": 1, "hours": hours}))


def of(folder: Path | str, at: float = T0) -> BaselineLimits:
    given = {"baseline": str(folder), "seconds": (0.05, 0.5), "factors": (3.0, 10.0)}
    return BaselineLimits(given, clock=lambda: at)


def judged(one: BaselineLimits, *values: float) -> list[Status]:
    return [one.judged(value, lambda limits, value=value: written(value, limits))[0].status for value in values]


def test_what_is_usual_now_is_the_measure(tmp_path: Path) -> None:
    assert judged(of(""), 0.2) == [WARN]
    usual(tmp_path, 0.1)
    assert judged(of(tmp_path), 0.2, 0.31, 1.1) == [PASS, WARN, FAIL]
    assert judged(of(tmp_path, T0 + 3600), 0.2) == [WARN]


def test_a_new_baseline_needs_no_restart(tmp_path: Path) -> None:
    one = of(tmp_path)
    assert judged(one, 0.2) == [WARN]
    usual(tmp_path, 0.1)
    assert judged(one, 0.2) == [PASS]


def test_a_value_at_its_limit_does_not_flap() -> None:
    assert judged(of(""), 0.049, 0.051, 0.049, 0.041, 0.039, 0.049) == [PASS, WARN, WARN, WARN, PASS, PASS]
    assert judged(of(""), 0.51, 0.49, 0.39, 0.45) == [FAIL, FAIL, WARN, WARN]


@pytest.mark.parametrize(
    ("before", "found"), [(PASS, (1.0, 2.0)), (WARN, (0.8, 2.0)), (FAIL, (0.8, 1.6)), (Status.UNKNOWN, (1.0, 2.0))]
)
def test_limits_are_held(before: Status, found: tuple[float, float]) -> None:
    assert held((1.0, 2.0), before) == pytest.approx(found)


def test_a_full_disk_is_told_once_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(baseline_limits, "say", said.append)
    (tmp_path / "kept").write_text("in the way")
    one = of(tmp_path / "kept")
    assert judged(one, 0.01, 0.06, 0.01) == [PASS, WARN, PASS]
    assert len(said) == 1 and "what is usual is not kept" in said[0]


def test_answers_are_counted(tmp_path: Path) -> None:
    judged(of(tmp_path), 0.01)
    line: dict[str, t.Any] = json.loads((tmp_path / "open.json").read_text())
    assert line["buckets"] == {str(baseline.bucket(0.01)): 1}
