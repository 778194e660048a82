# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several places see: majorities, places that see nothing at all, and ties."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.vantage import (
    Sighting,
    demand_enough,
    judge,
)


def opinion(*words: str) -> Finding:
    """Each word: what is seen of the service and of the control target, as in ``fail/pass``."""
    sightings = [
        Sighting(f"v{number}", *(Status(part) for part in word.split("/")), "refused")
        for number, word in enumerate(words, start=1)
    ]
    [finding] = judge(sightings)
    return finding


UP, DOWN, CUT_OFF, BLIND = "pass/pass", "fail/pass", "fail/fail", "unknown/pass"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((UP, UP, UP), "pass", "0 of 3 see it fail"),
        ((UP, UP, DOWN), "warn", "1 of 3 see it fail: v3 (refused)"),
        ((UP, DOWN, DOWN), "fail", "2 of 3 see it fail: v2 (refused), v3 (refused)"),
        ((DOWN, DOWN, DOWN), "fail", "3 of 3"),
        # One that has lost its network is not a vote against the service.
        ((UP, UP, CUT_OFF), "pass", "0 of 2 see it fail; left out: v3"),
        ((DOWN, DOWN, CUT_OFF), "fail", "2 of 2"),
        ((UP, UP, BLIND), "pass", "0 of 2 see it fail; left out: v3"),
        ((UP, UP, "pass/unknown"), "pass", "left out: v3"),
        # Nobody has a majority.
        ((UP, DOWN, CUT_OFF), "unknown", "no majority: 1 of 2"),
        ((DOWN, CUT_OFF, CUT_OFF), "unknown", "no majority: 1 of 1"),
        ((UP, CUT_OFF, CUT_OFF), "unknown", "no majority: 0 of 1"),
        ((CUT_OFF, CUT_OFF, CUT_OFF), "unknown", "no majority: 0 of 0"),
        ((UP, UP, DOWN, DOWN), "unknown", "2 of 4"),
        ((UP, UP, DOWN, CUT_OFF, CUT_OFF), "warn", "1 of 3"),
        ((UP, UP, CUT_OFF, CUT_OFF), "unknown", "4 are asked"),
        (("warn/pass", UP, DOWN), "warn", "1 of 3"),
    ],
)
def test_a_majority_of_those_that_see_anything(words: tuple[str, ...], status: str, said: str) -> None:
    finding = opinion(*words)
    assert finding.status == status
    assert said in finding.reason
    used = sum(not word.endswith("/fail") and "unknown" not in word for word in words)
    assert (finding.value, finding.unit) == (sum(word == DOWN for word in words), f"of {used}")


def test_nobody_asked_is_unknown() -> None:
    assert judge([])[0].status is Status.UNKNOWN


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"]])
def test_fewer_than_three_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="cannot outvote"):
        demand_enough(names)


def test_a_name_counts_once() -> None:
    demand_enough(["a", "b", "c"])
    with pytest.raises(InputError, match="name of its own"):
        demand_enough(["a", "b", "c", "a"])
