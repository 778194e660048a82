# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that grows, storage that gets slower: told in time, and not for a single odd day."""

from __future__ import annotations

import random

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import trend
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Made, Restored
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.duration import Estimate, Line, Model

GIB = 2**30
#: 6 s a GiB.
RESTORE = Model(Line(0.0, 6 / GIB), (), 0.1, 5, 4.0 * GIB)


def sizes(*gibibytes: float, hours: float = 24) -> list[Made]:
    return [
        Made(1, f"F{n}", "full", n * hours * 3600, size * GIB, None, None, "77", "17", None)
        for n, size in enumerate(gibibytes)
    ]


def restores(*factors: float, wal: float | None = None) -> list[Restored]:
    return [
        Restored(1, "standard", (1 + n % 3) * GIB, factor * (2 + 6 * (1 + n % 3)), wal, factor * 5, None, "17", False)
        for n, factor in enumerate(factors)
    ]


def grown(present: list[Made], rto: float, size: float) -> list[dict[str, str]]:
    expected = Estimate(6 * size, 5 * size, 7 * size)
    return list(trend.growth_warnings(present, expected, RESTORE, size * GIB, rto))


def test_growth_is_a_line_through_the_days() -> None:
    seen = trend.growth(sizes(1, 1.5, 2, 2.5))
    assert (seen.days, seen.bytes_per_day) == (3, pytest.approx(GIB / 2))


def test_a_single_odd_day_is_no_trend() -> None:
    assert trend.growth(sizes(1, 1, 900, 1, 1, 1)).bytes_per_day == 0


@pytest.mark.parametrize("present", [[], sizes(1), sizes(1, 2), sizes(1, 2, 3, 4, hours=1)])
def test_fewer_than_three_days_are_no_trend(present: list[Made]) -> None:
    assert trend.growth(present).bytes_per_day is None


def test_it_is_told_how_many_days_are_left() -> None:
    [told] = grown(sizes(*range(1, 11)), rto=120, size=10)
    assert told == {
        "code": "growth",
        "detail": "the database grows by 1.02e+03 MiB a day: in 10 days a restore takes longer than 120 s",
    }


def test_a_trend_says_nothing_of_what_is_four_times_as_far_away() -> None:
    assert grown(sizes(8, 9, 10), rto=120, size=10) == []
    assert grown(sizes(*range(1, 11)), rto=6000, size=10) == []


@pytest.mark.parametrize("present", [sizes(10, 10, 10, 10), sizes(13, 12, 11, 10)])
def test_a_database_that_does_not_grow_is_no_reason_to_warn(present: list[Made]) -> None:
    assert grown(present, rto=61, size=10) == []


def test_an_objective_that_is_missed_already_is_told_as_such() -> None:
    assert [one["code"] for one in grown(sizes(10, 10), rto=59, size=10)] == ["objective_missed"]


def test_storage_that_got_slower_is_told() -> None:
    for factors in ([1.0] * 6 + [1.6] * 3, [1 + n / 15 for n in range(12)]):
        told = list(trend.slower(1, restores(*factors)))
        assert [one["code"] for one in told] == ["slower_restore"], factors
    assert "repository 1: copying takes 1.6 times" in next(trend.slower(1, restores(*[1.0] * 6, *[1.6] * 3)))[
        "detail"
    ].replace("1.60", "1.6")


def test_replay_that_got_slower_is_told() -> None:
    told = list(trend.slower(1, restores(*[1.0] * 6 + [2.0] * 3, wal=GIB)))
    assert [one["code"] for one in told] == ["slower_restore", "slower_replay"]


@pytest.mark.parametrize(
    "factors", [[1.0] * 8 + [9.0], [1.0] * 6 + [1.6, 0.99, 1.6], [1.6] * 3 + [1.0] * 6, [1.0, 2.0, 2.0, 2.0, 2.0]]
)
def test_one_slow_restore_a_faster_disk_or_too_few_restores_are_no_drift(factors: list[float]) -> None:
    assert list(trend.slower(1, restores(*factors))) == []


def test_noise_is_no_drift() -> None:
    dice = random.Random(7)
    alarms = sum(
        bool(list(trend.slower(1, restores(*[dice.uniform(0.85, 1.15) for _run in range(12)])))) for _try in range(200)
    )
    assert alarms <= 2


def test_another_repositorys_restores_are_not_ours() -> None:
    assert list(trend.slower(2, restores(*[1.0] * 6, *[1.6] * 3))) == []
