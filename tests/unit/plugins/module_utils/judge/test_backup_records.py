# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of records: what is of another kind is not known. Times that contradict most others are left aside."""

from __future__ import annotations

import math
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records


@pytest.mark.parametrize("value", [None, True, "1", -1, math.nan, math.inf, 1e300, [], {}])
def test_what_is_no_number_is_not_known(value: t.Any) -> None:
    assert records.number({"x": {"y": value}}, "x", "y") is None


def test_numbers_are_found_below_names() -> None:
    assert records.number({"x": {"y": 3}}, "x", "y") == 3.0
    assert records.number({"x": 3}, "x", "y") is None
    assert records.number([], "x") is None


@pytest.mark.parametrize("value", ["2026-11-26T12:00:00", "yesterday", "", 5, None])
def test_a_time_without_its_zone_is_none(value: t.Any) -> None:
    assert records.moment({"utc": value}, "utc") is None


def test_times_and_positions_are_read() -> None:
    assert records.moment({"utc": "1970-01-02T00:00:00Z"}, "utc") == 86400
    assert records.position({"lsn": "1/00000001"}, "lsn") == 2**32 + 1
    assert records.position({"lsn": "1-1"}, "lsn") is None


def test_times_that_contradict_most_others_are_not_trusted() -> None:
    assert records.trusted_times([1, 2, 99, 3, None, 4]) == [True, True, False, True, False, True]
    assert records.trusted_times([5, 6, 7, 8, 1, 9, 10]) == [True, True, True, True, False, True, True]
    assert records.trusted_times([10, 11, 1, 2, 3]) == [False, False, True, True, True]
    assert records.trusted_times([2, 2, 2]) == [True] * 3
    assert records.trusted_times([]) == []


@given(st.lists(st.none() | st.integers(0, 20), max_size=30))
def test_trusted_times_are_in_order_and_as_many_as_can_be(times: list[int | None]) -> None:
    kept = [time for time, good in zip(times, records.trusted_times(times), strict=True) if good]
    assert kept == sorted(t.cast("list[int]", kept))
    longest: list[int] = []
    for n, time in enumerate(times):
        before = [longest[i] for i in range(n) if times[i] is not None and time is not None and times[i] <= time]
        longest.append(0 if time is None else 1 + max(before, default=0))
    assert len(kept) == max(longest, default=0)
