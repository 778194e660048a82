# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of keys is judged by windows: they have to meet, on one timeline, without a gap."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import rotation
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import parse_time

NOW = parse_time("2026-11-26 12:00:00+00")


def window(repo: int, begin: str, end: str, **more: t.Any) -> dict[str, t.Any]:
    about = {"timeline": 1, "ends_in_gap": False, "from_time": "2026-10-20 12:00:00+00"}
    return {"repo": repo, "from_lsn": begin, "to_lsn": end, **about, **more}


def looked(*windows: dict[str, t.Any], newest: int = 1, **checks: str) -> dict[str, t.Any]:
    repos = {one["repo"] for one in windows} | {1, 11, 21}
    told = [
        {"name": name.replace("_", " "), "verdict": verdict, "reason": "for a reason"}
        for name, verdict in checks.items()
    ]
    return {
        "windows": list(windows),
        "timelines": [{"repo": repo, "newest": newest} for repo in sorted(repos)],
        "checks": told,
    }


def verdicts(checks: t.Iterable[rotation.Check]) -> list[str]:
    return [check.verdict.value for check in checks]


def test_windows_that_meet_pass() -> None:
    facts = looked(window(11, "0/2000000", "0/9000000"), window(1, "0/8000000", "0/C000000"))
    assert verdicts(rotation.handover(facts, [11], [1])) == ["passed", "passed"]
    exactly = looked(window(11, "0/2000000", "0/8000000"), window(1, "0/8000000", "0/C000000"))
    assert verdicts(rotation.handover(exactly, [11], [1])) == ["passed", "passed"]


def test_windows_that_do_not_meet_fail_and_say_where() -> None:
    facts = looked(window(11, "0/2000000", "0/7FFFFFF"), window(1, "0/8000000", "0/C000000"))
    open_one, meets = rotation.handover(facts, [11], [1])
    assert open_one.verdict.value == "passed" and meets.verdict.value == "failed"
    assert "ends at 0/7FFFFFF" in meets.reason and "begins at 0/8000000" in meets.reason


def test_another_timeline_does_not_meet() -> None:
    facts = looked(window(11, "0/2000000", "0/9000000"), window(1, "0/8000000", "0/C000000", timeline=2), newest=2)
    assert verdicts(rotation.handover(facts, [11], [1])) == ["passed", "failed"]


def test_only_the_same_place_is_compared() -> None:
    facts = looked(
        window(1, "0/2000000", "0/9000000"), window(2, "0/2000000", "0/3000000"), window(21, "0/8000000", "0/9000000")
    )
    assert verdicts(rotation.handover(facts, [1, 2], [21])) == ["passed", "passed"]


def test_a_new_key_whose_wal_has_a_gap_needs_another_backup() -> None:
    gap = looked(window(1, "0/2000000", "0/9000000"), window(21, "0/8000000", "0/8500000", ends_in_gap=True))
    assert rotation.without_backup(gap, [21]) == [21]
    assert verdicts(rotation.handover(gap, [1], [21])) == ["failed", "failed"]
    again = looked(*gap["windows"], window(21, "0/8800000", "0/A000000"))
    assert rotation.without_backup(again, [21]) == []
    assert verdicts(rotation.handover(again, [1], [21])) == ["passed", "passed"]


def test_what_could_not_be_read_is_unknown() -> None:
    facts = looked(window(1, "0/8000000", "0/C000000"), repository_11="passed")
    facts["checks"] = [{"name": "repository 11: it can be read", "verdict": "unknown", "reason": "key is wrong"}]
    open_one, meets = rotation.handover(facts, [11], [1])
    assert (open_one.verdict.value, meets.verdict.value) == ("passed", "unknown") and "key is wrong" in meets.reason


@pytest.mark.parametrize(
    ("begins", "verdict"),
    [("2026-10-27 12:00:00+00", "passed"), ("2026-10-27 12:00:01+00", "failed"), ("2026-11-25 00:00:00+00", "failed")],
)
def test_a_key_is_retired_when_the_new_one_reaches_back_far_enough(begins: str, verdict: str) -> None:
    facts = looked(window(1, "0/8000000", "0/C000000", from_time=begins))
    [check] = rotation.retirable(facts, [11], [1], NOW, 30)
    assert check.verdict.value == verdict
    assert ("is enough from" in check.reason) == (verdict == "failed")


def test_each_place_has_to_reach_back_and_a_gap_does_not_count() -> None:
    facts = looked(
        window(1, "0/8000000", "0/C000000"),
        window(2, "0/8000000", "0/9000000", ends_in_gap=True),
        window(2, "0/A000000", "0/C000000", from_time="2026-11-25 12:00:00+00"),
    )
    assert verdicts(rotation.retirable(facts, [11, 12], [1, 2], NOW, 30)) == ["passed", "failed"]
    assert verdicts(rotation.retirable(facts, [], [1, 2], NOW, 30)) == ["failed"]
    assert verdicts(rotation.retirable(looked(), [11], [1], NOW, 30)) == ["failed"]
