# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that was not restored lately is not known to be good."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import verified
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, utc

NOW = 1_795_000_000.0


def line(level: str, days_ago: float, verdict: str = "passed", repo: int = 1, **more: t.Any) -> dict[str, t.Any]:
    return {
        "utc": utc(NOW - days_ago * DAY), "repo": repo, "level": level, "label": "F1", "verdict": verdict,
        "seconds": {"total": 40.0, "restore": 20.0, "replay": 5.0},
        "checks": [{"name": "rows", "verdict": verdict, "reason": "3 are missing"}], **more,
    }  # fmt: skip


def judged(*lines: dict[str, t.Any], repos: t.Sequence[int] = (1,)) -> list[tuple[str, str]]:
    checks = verified.judge(verified.newest(lines), repos, NOW, 7)
    return [(check.verdict.value, check.reason) for check in checks]


def test_a_young_restore_that_passed_is_proof() -> None:
    assert judged(line("standard", 1)) == [("passed", "standard passed 1.0 days ago, of at most 7")]
    assert judged(line("standard", 30), line("full", 2))[0][0] == "passed"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "it was never restored"),
        ([line("quick", 0)], "it was never restored"),
        ([line("standard", 7.1)], "standard passed 7.1 days ago, of at most 7"),
        ([line("standard", 0, "unknown")], "no restore of it was proven"),
        ([line("standard", 0, "odd")], "no restore of it was proven"),
        ([line("standard", 0, utc=None)], "no restore of it was proven"),
        ([line("standard", -30)], "standard bears a time that lies 30.0 days ahead"),
    ],
)
def test_what_was_not_proven_lately_is_unknown(lines: list[dict[str, t.Any]], reason: str) -> None:
    assert judged(*lines) == [("unknown", reason)]


@pytest.mark.parametrize("level", verified.LEVELS)
def test_the_newest_of_any_level_that_failed_fails(level: str) -> None:
    [(verdict, reason)] = judged(line("standard", 1), line("full", 1), line("quick", 1), line(level, 0, "failed"))
    assert verdict == "failed" and reason.startswith(f"{level} of F1 at ") and reason.endswith("rows: 3 are missing")


def test_a_failure_that_passed_again_is_past() -> None:
    assert judged(line("standard", 2, "failed"), line("standard", 1))[0][0] == "passed"


def test_the_newest_is_the_last_line_whatever_its_clock_said() -> None:
    assert judged(line("standard", 1), line("standard", 5, "failed"))[0][0] == "failed"


def test_each_repository_is_asked_for() -> None:
    assert [verdict for verdict, _reason in judged(line("standard", 1), repos=[1, 2])] == ["passed", "unknown"]


@pytest.mark.parametrize("odd", [{"repo": None}, {"level": "deep"}, {"checks": 5}, {"checks": [7]}, {"seconds": 3}])
def test_a_line_of_another_shape_breaks_nothing(odd: dict[str, t.Any]) -> None:
    assert judged({**line("quick", 1), **odd})[0][0] == "unknown"
