# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is usual: percentiles right to a tenth, by hour of the week, incidents apart, and never of too little."""

from __future__ import annotations

import math
import statistics
import typing as t
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import baseline
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import instant

#: 2026-11-23T00:00:00Z, a Monday.
MONDAY = 1795392000.0
HOUR = 3600.0


def line(at: float, samples: t.Sequence[float], seconds: float = 600.0) -> dict[str, t.Any]:
    counted = Counter(baseline.bucket(one) for one in samples)
    buckets = {str(number): count for number, count in counted.items()}
    return {"schema": baseline.SAMPLES, "utc": instant(at), "seconds": seconds, "buckets": buckets}


def made(
    lines: t.Sequence[dict[str, t.Any]], masked: t.Sequence[tuple[float, float]] = (), **limits: int
) -> dict[str, t.Any]:
    asked = {"least_samples": 10, "least_hours": 1, "version": 1, **limits}
    return baseline.made(baseline.summed(lines, MONDAY - 10 * 7 * 86400, masked), now=MONDAY, **asked)


@given(st.lists(st.floats(2e-5, 30), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_right_to_a_tenth(samples: list[float], part: float) -> None:
    counted = Counter(baseline.bucket(one) for one in samples)
    exact = sorted(samples)[math.ceil(part * len(samples)) - 1]
    assert baseline.percentile(counted, part) == pytest.approx(exact, rel=0.1)


def test_no_time_is_too_short_for_a_bucket() -> None:
    assert baseline.bucket(0.0) == baseline.bucket(-1.0) == 0


def test_hours_are_those_of_the_week_in_utc_and_weeks_are_added_up() -> None:
    monday, sunday = [0.001] * 20, [0.1] * 20
    lines = [line(MONDAY, monday), line(MONDAY - 7 * 86400, monday), line(MONDAY - HOUR, sunday)]
    hours = made(lines)["hours"]
    assert sorted(hours) == ["0", "167"]
    assert (hours["0"]["samples"], hours["167"]["samples"]) == (40, 20)
    assert hours["0"]["p95"] == pytest.approx(0.001, rel=0.1) and hours["167"]["p50"] == pytest.approx(0.1, rel=0.1)


def test_what_is_older_than_asked_for_does_not_count() -> None:
    found = baseline.summed([line(MONDAY, [1.0]), line(MONDAY - HOUR, [1.0])], MONDAY, ())
    assert list(found.hours) == [0]


def test_a_line_that_touches_an_incident_is_left_out() -> None:
    lines = [line(MONDAY, [0.001] * 20), line(MONDAY + 600, [9.0] * 20), line(MONDAY + 1200, [0.001] * 20)]
    told = made(lines, [(MONDAY + 1190, MONDAY + 1195)])
    assert (told["masked_samples"], told["hours"]["0"]["samples"]) == (20, 40)
    assert told["hours"]["0"]["p99"] < 0.002
    assert made(lines)["hours"]["0"]["p99"] > 1


@pytest.mark.parametrize("limits", [{"least_samples": 100}, {"least_hours": 2}])
def test_too_few_samples_make_no_baseline(limits: dict[str, int]) -> None:
    with pytest.raises(RefusedError, match="too few samples for a baseline") as refused:
        made([line(MONDAY, [0.001] * 20)], **limits)
    assert "20 samples in 1 hours" in refused.value.as_result()["msg"]


def test_an_hour_with_too_few_samples_has_none() -> None:
    assert list(made([line(MONDAY, [0.001] * 20), line(MONDAY + HOUR, [0.001] * 9)])["hours"]) == ["0"]


@pytest.mark.parametrize(
    "wrong", [{"utc": "x"}, {"buckets": [1]}, {"buckets": {"a": 1}}, {"schema": "y"}, {"seconds": None}]
)
def test_a_record_that_cannot_be_read_is_told(wrong: dict[str, t.Any]) -> None:
    found = baseline.summed([{**line(MONDAY, [1.0]), **wrong}], 0.0, ())
    assert not found.hours and len(found.problems) == 1


def test_limits_follow_the_hour_and_never_fall_below_the_floors() -> None:
    told = made([line(MONDAY, [0.1] * 20)])
    usual = told["hours"]["0"]["p95"]
    assert baseline.limits(told, MONDAY + 60, (0.05, 0.5), (3, 10)) == (3 * usual, 10 * usual)
    assert baseline.limits(told, MONDAY + 60, (0.4, 5.0), (3, 10)) == (0.4, 5.0)
    assert baseline.limits(told, MONDAY + HOUR, (0.05, 0.5), (3, 10)) == (0.05, 0.5)
    assert baseline.limits(None, MONDAY, (0.05, 0.5), (3, 10)) == (0.05, 0.5)
    assert baseline.limits({"hours": {"0": {"p95": "soon"}}}, MONDAY, (0.05, 0.5), (3, 10)) == (0.05, 0.5)


def test_the_median_is_one() -> None:
    samples = [0.001 * number for number in range(1, 102)]
    assert made([line(MONDAY, samples)])["hours"]["0"]["p50"] == pytest.approx(statistics.median(samples), rel=0.1)
