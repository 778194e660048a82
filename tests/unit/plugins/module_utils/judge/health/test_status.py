# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A component's status: results with an age, and limits."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import (
    NEVER,
    ORDER,
    Finding,
    Look,
    Status,
    at_least,
    at_most,
    judge,
    told,
    worst,
)

GOOD = Finding(Status.PASS, "well", "size")
BAD = Finding(Status.FAIL, "broken", "size")
POOR = Finding(Status.WARN, "poor", "size")
DARK = Finding(Status.UNKNOWN, "dark", "size")


@pytest.mark.parametrize("pair", list(itertools.product(ORDER, ORDER)))
def test_the_worst_of_two_is_one_of_them_and_no_better(pair: tuple[Status, Status]) -> None:
    assert worst(pair) in pair
    assert ORDER.index(worst(pair)) == max(map(ORDER.index, pair))


def test_nothing_is_unknown_and_unknown_serves_nobody() -> None:
    assert worst([]) is Status.UNKNOWN
    assert [one.serves for one in ORDER] == [True, True, False, False]
    assert [one.word for one in ORDER] == ["pass", "warn", "fail", "fail"]


@pytest.mark.parametrize(
    ("findings", "status", "reason"),
    [
        ([GOOD], Status.PASS, "well"),
        ([GOOD, POOR], Status.WARN, "poor"),
        ([POOR, DARK], Status.UNKNOWN, "poor; dark"),
        ([POOR, DARK, BAD, GOOD], Status.FAIL, "poor; dark; broken"),
        ([], Status.UNKNOWN, "nothing was found to look at"),
    ],
)
def test_a_fresh_look_is_as_bad_as_its_worst_finding(findings: list[Finding], status: Status, reason: str) -> None:
    judged = judge(Look(10.0, "now", tuple(findings)), 11.5, stale_after=2.0)
    assert (judged.status, judged.reason, judged.age) == (status, reason, 1.5)


def test_what_was_not_seen_lately_is_unknown_however_well_it_was() -> None:
    assert judge(None, 11.0, 2.0) is NEVER
    judged = judge(Look(10.0, "then", (GOOD,)), 12.1, stale_after=2.0)
    assert judged.status is Status.UNKNOWN
    assert judged.reason == "the last look is 2.1 s old (limit 2 s): it hangs"
    assert judge(Look(10.0, "then", (BAD,)), 12.1, stale_after=2.0).status is Status.UNKNOWN
    assert judge(Look(10.0, "now", error="no answer"), 10.0, stale_after=2.0).reason == "no answer"
    assert judge(Look(10.0, "now", error="no answer"), 10.0, stale_after=2.0).status is Status.UNKNOWN


def test_a_clock_that_went_back_makes_no_age_below_zero() -> None:
    assert judge(Look(10.0, "now", (GOOD,)), 9.0, stale_after=2.0).age == 0.0


@pytest.mark.parametrize(("value", "status"), [(79, "pass"), (80, "warn"), (94.9, "warn"), (95, "fail"), (200, "fail")])
def test_what_must_not_be_high(value: float, status: str) -> None:
    assert at_most("used", value, (80, 95), "%", "slots used").status == status


@pytest.mark.parametrize(("value", "status"), [(31, "pass"), (30, "warn"), (8, "warn"), (7, "fail"), (-1, "fail")])
def test_what_must_not_be_low(value: float, status: str) -> None:
    assert at_least("left", value, (30, 7), "days", "it is valid for").status == status


def test_limits_are_said_with_the_value_and_none_is_unknown() -> None:
    assert at_most("used", 85, (80, 95), "%", "slots used").reason == "slots used: 85 % (warns at 80 %)"
    assert at_most("used", 10, (80, 95), "%", "slots used").reason == "slots used: 10 %"
    assert at_least("left", 3.25, (30, 7), "days", "left").reason == "left: 3.25 days (limit 7 days)"
    for limit in (at_most, at_least):
        found = limit("used", None, (80, 95), "%", "slots used", "pg")
        assert (found.status, found.reason, found.of) == (Status.UNKNOWN, "slots used is not known", "pg")


def test_numbers_are_short() -> None:
    assert [told(value, "s") for value in (0.0123456, 5.0, 123.456)] == ["0.0123 s", "5 s", "123 s"]
