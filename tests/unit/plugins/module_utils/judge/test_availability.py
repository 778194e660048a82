# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Availability: an outage is what clients felt, what nobody saw is unknown, drills are apart, the budget decides."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import availability
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import (
    Operation,
    Span,
    State,
    Stretch,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.period import Period

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN
HOUR = Period("an hour", 0.0, 3600.0)


def spans(*given: tuple[float, float, State]) -> list[Span]:
    return [Span(begin, end, state, 1, reason="refused" if state is DOWN else "") for begin, end, state in given]


def seen(*given: tuple[float, float, State], period: Period = HOUR) -> list[tuple[float, float, State]]:
    return [(one.begin, one.end, one.state) for one in availability.stretches(spans(*given), period)]


def reported(
    *places: list[Span], operations: t.Sequence[Operation] = (), period: Period = HOUR, **objectives: float
) -> dict[str, t.Any]:
    named = {f"observer-{number}": place for number, place in enumerate(places)}
    return availability.report(named, operations, period, objectives, 3600.0)


def drill(begin: float, end: float, name: str = "drill") -> Operation:
    return Operation(name, "primary_host_lost", "passed", begin, end, f"evidence/{begin:g}")


# what one place saw ---------------------------------------------------------------------------------------------------


def test_an_outage_lasts_from_the_last_acknowledged_to_the_next_one() -> None:
    assert seen((0, 100, UP), (101, 104, DOWN), (106, 3600, UP)) == [(0, 100, UP), (100, 106, DOWN), (106, 3600, UP)]


def test_a_turn_between_two_commits_is_up() -> None:
    assert seen((0, 100, UP), (101, 3600, UP)) == [(0, 3600, UP)]


def test_a_silent_recorder_is_neither_up_nor_down() -> None:
    assert seen((0, 100, UP), (200, 3600, UP)) == [(0, 100, UP), (100, 200, UNKNOWN), (200, 3600, UP)]
    assert seen((0, 100, DOWN), (200, 3600, UP))[1] == (100, 200, UNKNOWN)


def test_a_heartbeat_that_takes_its_time_says_so() -> None:
    slow = [
        {**LINE, "utc": f"1970-01-01T00:{minute:02}:00Z", "seconds": 0, "silence_seconds": 130} for minute in range(60)
    ]
    found, _problems = availability.spans(slow, HOUR)
    assert [one.state for one in availability.stretches(found, HOUR)] == [UP]
    assert len(availability.stretches([replace(one, silence=10.0) for one in found], HOUR)) > 1


def test_before_the_first_record_and_after_the_last_one_nothing_is_known() -> None:
    assert seen((50, 100, UP)) == [(0, 50, UNKNOWN), (50, 100, UP), (100, 3600, UNKNOWN)]
    assert seen() == [(0, 3600, UNKNOWN)]


def test_the_turn_that_is_under_way_goes_on_as_it_was() -> None:
    assert seen((0, 3595, DOWN)) == [(0, 3600, DOWN)]


def test_a_single_commit_ends_an_outage() -> None:
    found = seen((0, 100, UP), (101, 104, DOWN), (105, 105, UP), (106, 109, DOWN), (110, 3600, UP))
    assert found == [(0, 100, UP), (100, 105, DOWN), (105, 110, DOWN), (110, 3600, UP)]


def test_what_lies_outside_of_the_period_is_cut_off() -> None:
    assert seen((-500, -400, DOWN), (-300, 20, UP), (21, 4000, UP)) == [(0, 3600, UP)]


def test_where_a_clock_was_set_back_the_first_record_counts() -> None:
    assert seen((0, 1000, UP), (500, 900, DOWN), (950, 3600, UP)) == [(0, 3600, UP)]


# what all places saw --------------------------------------------------------------------------------------------------


def test_one_place_that_sees_commits_is_enough() -> None:
    cut_off = spans((0, 100, UP), (101, 3600, DOWN))
    said = reported(cut_off, spans((0, 3600, UP)))
    assert (said["verdict"], said["outages"]) == ("passed", [])
    assert reported(cut_off)["verdict"] == "failed"


def test_an_outage_that_all_saw_is_one() -> None:
    said = reported(
        spans((0, 100, UP), (101, 140, DOWN), (141, 3600, UP)), spans((0, 110, UP), (111, 150, DOWN), (151, 3600, UP))
    )
    [outage] = said["outages"]
    assert (outage["begin_utc"], outage["seconds"]) == ("1970-01-01T00:01:50.000Z", 31.0)


def test_a_place_that_recorded_nothing_takes_nothing_away() -> None:
    assert reported(spans((0, 3600, UP)), [])["budget"]["unknown_seconds"] == 0


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 3600), st.floats(0, 900), st.sampled_from(State)), max_size=8),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_every_moment_of_the_period_has_one_state(places: list[list[tuple[float, float, State]]]) -> None:
    each = [
        availability.stretches(
            sorted((Span(at, at + long, state) for at, long, state in one), key=lambda s: s.begin), HOUR
        )
        for one in places
    ]
    found = availability.merged(each)
    assert (found[0].begin, found[-1].end) == (0.0, 3600.0)
    assert all(one.end == after.begin for one, after in itertools.pairwise(found))
    for moment in {edge for place in each for stretch in place for edge in (stretch.begin,)}:
        best = max(next(one.state for one in place if one.begin <= moment < one.end) for place in each)
        assert next(one.state for one in found if one.begin <= moment < one.end) is best


# the budget -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("down", "silent", "verdict"),
    [(0.5, 0, "passed"), (1.7, 0, "passed"), (1.9, 0, "failed"), (0, 30, "unknown"), (1.9, 30, "failed")],
)
def test_the_budget_decides_and_what_nobody_saw_could_hide_an_outage(down: float, silent: float, verdict: str) -> None:
    """99.95 % of an hour leaves 1.8 s."""
    said = reported(spans((0, 100, UP), *([(100, 100 + down, DOWN)] if down else []), (100 + down, 3600 - silent, UP)))
    assert said["verdict"] == verdict, said["checks"]
    assert said["budget"]["allowed_seconds"] == 1.8


def test_the_objective_is_that_of_the_cluster() -> None:
    place = spans((0, 100, UP), (100, 105, DOWN), (105, 3600, UP))
    assert reported(place)["verdict"] == "failed"
    assert reported(place, availability_percent=99.0)["verdict"] == "passed"


def test_drills_are_counted_apart() -> None:
    place = spans((0, 100, UP), (100, 160, DOWN), (160, 3600, UP))
    said = reported(place, operations=[drill(90, 300)])
    assert (said["verdict"], said["budget"]["drill_seconds"], said["budget"]["used_seconds"]) == ("passed", 60.0, 0.0)
    assert said["availability_percent"] == 100.0
    assert reported(place, operations=[drill(200, 300)])["verdict"] == "failed"


@pytest.mark.parametrize(
    ("drills", "excused"),
    [([(150, 300)], 10), ([(90, 130), (120, 150)], 50), ([(160, 300)], 0), ([(110, 120), (115, 118)], 10)],
)
def test_a_drill_excuses_no_more_than_the_time_that_it_took(drills: list[tuple[float, float]], excused: float) -> None:
    place = spans((0, 100, UP), (100, 160, DOWN), (160, 3600, UP))
    said = reported(place, operations=[drill(*one) for one in drills])
    assert said["budget"]["drill_seconds"] == said["outages"][0]["drill_seconds"] == excused
    assert said["budget"]["used_seconds"] == 60 - excused


def test_a_recovery_in_earnest_is_the_outages_cause_and_uses_the_budget() -> None:
    place = spans((0, 100, UP), (100, 160, DOWN), (160, 3600, UP))
    said = reported(place, operations=[drill(150, 400, "failover"), drill(158, 500, "rejoin")])
    [outage] = said["outages"]
    assert (outage["operation"], outage["evidence"], outage["drill_seconds"]) == ("failover", "evidence/150", 0)
    assert said["verdict"] == "failed" and outage["reason"] == "refused"


def test_what_nobody_recorded_is_no_hundred_percent() -> None:
    said = reported()
    assert (said["verdict"], said["availability_percent"], said["places"]) == ("unknown", None, [])
    assert said["unknown"] == [
        {"begin_utc": "1970-01-01T00:00:00.000Z", "end_utc": "1970-01-01T01:00:00.000Z", "seconds": 3600.0}
    ]


# what is read ---------------------------------------------------------------------------------------------------------

LINE = {
    "schema": "fraiseql.resilience/availability/1", "utc": "1970-01-01T00:01:00.500Z", "seconds": 10.25,
    "outcome": "committed", "transactions": 11, "slowest_seconds": 0.02, "reason": "",
}  # fmt: skip


def test_a_record_is_read() -> None:
    assert availability.spans([LINE], HOUR) == ([Span(60.5, 70.75, UP, 11, 0.02)], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"utc": "today"},
        {"seconds": -1},
        {"seconds": None},
        {"outcome": "fine"},
        {"schema": "x"},
        {"transactions": "many"},
    ],
)
def test_a_record_that_cannot_be_read_is_told(wrong: dict[str, t.Any]) -> None:
    found, problems = availability.spans([{**LINE, **wrong}], HOUR)
    assert found == [] and len(problems) == 1
    assert availability.touches({**LINE, **wrong}, HOUR)


def test_a_record_of_another_time_is_not_wanted() -> None:
    assert not availability.touches({**LINE, "utc": "1970-01-02T00:00:00Z"}, HOUR)


def test_only_an_operation_with_its_times_is_one() -> None:
    report = {"operation": "drill", "scenario": "data_loss", "verdict": "passed", "began_utc": "1970-01-01T00:00:10Z",
              "ended_utc": "1970-01-01T00:00:20Z"}  # fmt: skip
    found = availability.operation(report, "evidence/x")
    assert found == Operation("drill", "data_loss", "passed", 10.0, 20.0, "evidence/x") and found.drill
    assert availability.operation({**report, "began_utc": None}, "x") is None


def test_neighbours_in_one_state_are_one() -> None:
    assert availability.joined([Stretch(0, 1, DOWN, 1, ""), Stretch(1, 2, DOWN, 2, "why")]) == [
        Stretch(0, 2, DOWN, 3, "why")
    ]
