# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured against promised: at the limit, over it, and not measured at all."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import objectives
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict


def verdicts(promised: dict[str, t.Any], **measured: t.Any) -> dict[str, Verdict]:
    values = {"rto_seconds": 5.0, "rpo_seconds": 0.0, "rpo_transactions": 0, "resolution_seconds": 0.05, **measured}
    return {check.name: check.verdict for check in objectives.judge(promised, objectives.Measured(**values))}


@pytest.mark.parametrize(
    ("promised", "measured", "name"),
    [
        ({"rto_seconds": 5}, {"rto_seconds": 5.0}, "rto"),
        ({"rpo_seconds": 0}, {"rpo_seconds": 0.0}, "rpo_seconds"),
        ({"rpo_transactions": 3}, {"rpo_transactions": 3}, "rpo_transactions"),
        ({"availability_percent": 99.95}, {"rto_seconds": 1296.0}, "availability"),
        ({"availability_percent": 99.95, "availability_window_days": 365}, {"rto_seconds": 15768.0}, "availability"),
    ],
)
def test_at_the_limit_it_passes_beyond_it_fails_and_unmeasured_it_is_unknown(
    promised: dict[str, t.Any], measured: dict[str, t.Any], name: str
) -> None:
    beyond = {key: value + 1 for key, value in measured.items()}
    unmeasured = dict.fromkeys(measured)
    assert verdicts(promised, **measured) == {name: Verdict.PASSED}
    assert verdicts(promised, **beyond) == {name: Verdict.FAILED}
    assert verdicts(promised, **unmeasured) == {name: Verdict.UNKNOWN}


def test_an_hour_of_outage_breaks_three_and_a_half_nines_of_a_month() -> None:
    promised = {"rto_seconds": 3600, "availability_percent": 99.95}
    assert verdicts(promised, rto_seconds=3600.0) == {"rto": Verdict.PASSED, "availability": Verdict.FAILED}


def test_nothing_promised_is_nothing_judged() -> None:
    assert verdicts({"retention_days": 30}) == {}


def test_full_availability_allows_no_outage() -> None:
    assert verdicts({"availability_percent": 100}, rto_seconds=0.1) == {"availability": Verdict.FAILED}


def test_the_reason_shows_the_arithmetic() -> None:
    measured = objectives.Measured(1.5, 0.0, 0, 0.05)
    reasons = [check.reason for check in objectives.judge({"rto_seconds": 10, "availability_percent": 99.95}, measured)]
    assert reasons == [
        "1.5 of at most 10 s, resolution 0.05 s",
        "an outage of 1.500 s is 0.12 % of the 1296 s that 99.95 % leaves in 30 days",
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"rto": 5}, {"rto_seconds": -1}, {"rto_seconds": "5"}, {"rpo_seconds": True}, {"availability_percent": 101}],
)
def test_objectives_that_make_no_sense_are_named(wrong: dict[str, t.Any]) -> None:
    assert [next(iter(wrong)) in problem for problem in objectives.problems(wrong)] == [True]


def test_objectives_left_empty_are_no_problem() -> None:
    assert objectives.problems({"rto_seconds": None, "rpo_seconds": 0}) == []
