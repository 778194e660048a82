# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.clocks import Offset, Placed, Reading
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import chain

SECOND = 1_000_000_000
MILLI = 1_000_000


def mark(name: str, ns: int, clock: str = "control", error_ns: int = 0) -> dict[str, t.Any]:
    stamp = {"clock": clock, "monotonic_ns": ns, "error_ns": error_ns}
    return {"kind": "mark", "mark": name, "host": "localhost", "detail": None, **stamp}


def compared(offset_ns: int, error_ns: int, at_ns: int, clock: str = "observer") -> dict[str, t.Any]:
    event = {"kind": "clock", "other_clock": clock, "clock": "control", "monotonic_ns": at_ns}
    return {**event, "offset_ns": offset_ns, "offset_error_ns": error_ns}


def test_the_quickest_reading_counts() -> None:
    slow = Reading(0, 900 * MILLI, 100 * MILLI)
    quick = Reading(200 * MILLI, 1205 * MILLI, 220 * MILLI)
    assert clocks.offset([slow, quick]) == Offset(995 * MILLI, 10 * MILLI, 210 * MILLI)


@pytest.mark.parametrize("true_offset", [-7 * SECOND, 0, 3 * SECOND])
@pytest.mark.parametrize("there", [0, 1, 13, 20])
def test_the_true_offset_lies_within_the_error(true_offset: int, there: int) -> None:
    """However the round trip of 20 ms was shared between question and answer."""
    before = 50 * SECOND
    reading = Reading(before, before + there * MILLI + true_offset, before + 20 * MILLI)
    found = clocks.offset([reading])
    assert abs(found.offset_ns - true_offset) <= found.error_ns


def test_a_clock_that_could_not_be_read_is_unknown() -> None:
    with pytest.raises(UnknownError):
        clocks.offset([])


def test_a_mark_of_the_observer_needs_no_offset() -> None:
    assert clocks.place(mark("detected", 42, "observer", 7), {}) == Placed(42, 7)


def test_a_mark_of_the_control_node_is_moved_and_its_error_grows_with_time() -> None:
    known = {"observer": [Offset(3 * SECOND, 10 * MILLI, 100 * SECOND)]}
    assert clocks.place(mark("fenced", 100 * SECOND), known) == Placed(103 * SECOND, 10 * MILLI)
    later = clocks.place(mark("fenced", 110 * SECOND, error_ns=MILLI), known)
    assert later == Placed(113 * SECOND, 10 * MILLI + MILLI + 5 * MILLI)


def test_the_comparison_that_says_most_is_used() -> None:
    readings = [Offset(3 * SECOND, 10 * MILLI, 0), Offset(3 * SECOND + 4 * MILLI, 12 * MILLI, 100 * SECOND)]
    known = {"observer": readings}
    assert clocks.place(mark("a", 1 * SECOND), known) == Placed(4 * SECOND, 10 * MILLI + 500_000)
    near_the_end = clocks.place(mark("b", 99 * SECOND), known)
    assert near_the_end == Placed(102 * SECOND + 4 * MILLI, 12 * MILLI + 500_000)


def test_a_mark_is_not_placed_by_guessing() -> None:
    compared_once = [Offset(0, 0, 0)]
    assert clocks.place(mark("fenced", 1), {"pg-a1": compared_once}) is None
    assert clocks.place(mark("writable", 1, "pg-a1"), {"observer": compared_once}) is None
    assert clocks.place(mark("writable", 1, "pg-a1"), {"pg-a1": compared_once}) is None


def test_a_mark_of_a_third_host_is_placed_by_way_of_the_control_node() -> None:
    """pg-a1 is 5 s ahead of the control node, the observer 3 s: what pg-a1 stamps at 105 s is the observer's 103 s."""
    known = {
        "pg-a1": [Offset(5 * SECOND, 10 * MILLI, 100 * SECOND)],
        "observer": [Offset(3 * SECOND, 20 * MILLI, 100 * SECOND)],
    }
    assert clocks.place(mark("writable", 105 * SECOND, "pg-a1", MILLI), known) == Placed(103 * SECOND, 31 * MILLI)
    # Ten seconds before both comparisons, each may have drifted by 5 ms.
    assert clocks.place(mark("writable", 95 * SECOND, "pg-a1"), known) == Placed(93 * SECOND, 40 * MILLI)


def test_the_first_mark_of_a_name_counts() -> None:
    events = [compared(SECOND, 0, 0), mark("fenced", 0), mark("fenced", 5 * SECOND), mark("new_backup", 0, "pg-a1")]
    assert clocks.marks(events) == {"fenced": Placed(SECOND, 0), "new_backup": None}


def moments(events: list[t.Any]) -> dict[str, int | None]:
    return {name: None if placed is None else placed.ns for name, placed in clocks.marks(events).items()}


def test_what_was_reached_before_the_fault_counts_only_where_nothing_came_after() -> None:
    events = [compared(0, 0, 0), mark("redundancy_back", 1), mark("decided", 2), mark("fault", 5 * SECOND)]
    assert moments(events)["redundancy_back"] == 1
    again = moments([*events, mark("redundancy_back", 6 * SECOND), mark("redundancy_back", 7 * SECOND)])
    assert (again["redundancy_back"], again["decided"]) == (6 * SECOND, 2)


def test_comparisons_are_kept_by_clock() -> None:
    found = clocks.offsets([compared(5, 1, 0, "pg-a1"), compared(7, 2, 3)])
    assert found == {"pg-a1": [Offset(5, 1, 0)], "observer": [Offset(7, 2, 3)]}


def test_the_judge_reads_the_marks() -> None:
    events = [compared(SECOND, 30 * MILLI, 0), mark("fault", 0), mark("decided", 0), mark("elsewhere", 0, "pg-a1")]
    read = chain.read_marks(clocks.as_marks(events))
    assert read["t0"] == chain.Mark(SECOND, 0.03, "localhost: marked")
    assert set(read) == {"t0", "decided"}


def test_phases_are_those_of_the_judge() -> None:
    assert tuple(chain.PHASES.values()) == clocks.PHASES


@pytest.mark.parametrize(
    ("given", "word"), [("t0", "fault"), ("T11", "new_backup"), ("fenced", "fenced"), (" rerouted ", "rerouted")]
)
def test_a_phase_has_one_name(given: str, word: str) -> None:
    assert clocks.phase(given) == word


@pytest.mark.parametrize("given", ["t12", "T99", "", "  "])
def test_a_phase_that_does_not_exist_is_refused(given: str) -> None:
    with pytest.raises(InputError):
        clocks.phase(given)
