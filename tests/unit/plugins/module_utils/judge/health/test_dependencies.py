# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who needs whom: own and inherited faults, circles, and what is not there."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import (
    PASSED,
    Fault,
    Need,
    Needs,
    Standing,
    cascade,
    ordered,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import ORDER, Judged, Status

HARD, SOFT = Need.HARD, Need.SOFT
#: An application needs its pool and its database, and could do without its cache.
SERVICE: Needs = {
    "readyz": {"application": HARD, "cache": SOFT},
    "application": {"pool": HARD, "cache": SOFT},
    "pool": {"database": HARD},
    "cache": {},
    "database": {},
}


def standings(**own: str) -> dict[str, Standing]:
    judged = {name: Judged(Status(own.get(name, "pass")), f"{name} is {own.get(name, 'pass')}") for name in SERVICE}
    return cascade(SERVICE, ordered(SERVICE), judged)


def seen(found: t.Mapping[str, Standing]) -> dict[str, tuple[str, str]]:
    return {name: (one.status.value, one.fault.value) for name, one in found.items()}


def test_all_is_well() -> None:
    assert set(seen(standings()).values()) == {("pass", "none")}


def test_one_cause_is_one_fault() -> None:
    found = standings(database="fail", pool="fail", application="fail")
    assert seen(found) == {
        "database": ("fail", "own"),
        "pool": ("fail", "inherited"),
        "application": ("fail", "inherited"),
        "readyz": ("fail", "inherited"),
        "cache": ("pass", "none"),
    }
    assert [name for name, one in found.items() if one.fault is Fault.OWN] == ["database"]
    assert found["readyz"].causes == ("database",)
    assert found["readyz"].reason == "because of database"
    assert found["database"].reason == "database is fail"


def test_a_fault_goes_up_where_the_component_itself_still_looks_well() -> None:
    found = standings(database="fail")
    assert seen(found)["application"] == ("fail", "inherited")
    assert found["application"].reason == "because of database"


def test_what_is_needed_softly_only_warns_and_excuses_nothing() -> None:
    found = standings(cache="fail")
    assert seen(found)["application"] == ("warn", "inherited")
    assert found["application"].causes == ("cache",)
    both = standings(cache="fail", application="fail")
    assert seen(both)["application"] == ("fail", "own")
    assert both["application"].reason == "application is fail"


def test_unknown_goes_up_as_unknown_and_is_never_a_pass() -> None:
    assert seen(standings(database="unknown"))["readyz"] == ("unknown", "inherited")
    assert seen(standings(cache="unknown"))["readyz"] == ("warn", "inherited")
    # What fails while nobody knows what it needs is not known to be its own fault.
    assert seen(standings(database="unknown", pool="fail"))["pool"] == ("fail", "inherited")


def test_a_warning_below_is_no_excuse_for_a_failure() -> None:
    assert seen(standings(database="warn", pool="fail"))["pool"] == ("fail", "own")


def test_two_causes_are_both_named() -> None:
    assert standings(cache="warn", database="fail")["readyz"].causes == ("cache", "database")


@pytest.mark.parametrize(("own", "other", "need"), list(itertools.product(ORDER, ORDER, Need)))
def test_nobody_is_better_than_what_he_needs_hard_or_than_himself(own: Status, other: Status, need: Need) -> None:
    needs: Needs = {"a": {"b": need}, "b": {}}
    found = cascade(needs, ordered(needs), {"a": Judged(own, ""), "b": Judged(other, "")})["a"]
    floor = [own, other if need is HARD or other is Status.PASS else Status.WARN]
    assert found.status in floor
    assert ORDER.index(found.status) == max(map(ORDER.index, floor))
    assert (found.fault is Fault.NONE) == (found.status is Status.PASS)


def test_each_comes_after_what_it_needs() -> None:
    order = ordered(SERVICE)
    assert sorted(order) == sorted(SERVICE)
    assert all(order.index(other) < order.index(name) for name, others in SERVICE.items() for other in others)


@pytest.mark.parametrize(
    ("needs", "circle"),
    [
        ({"a": {"a": HARD}}, "a → a"),
        ({"a": {"b": HARD}, "b": {"a": SOFT}}, "a → b → a"),
        ({"x": {"a": HARD}, "a": {"b": HARD}, "b": {"c": HARD}, "c": {"a": HARD}}, "a → b → c → a"),
    ],
)
def test_a_circle_is_refused_and_shown(needs: Needs, circle: str) -> None:
    with pytest.raises(InputError, match="in a circle") as refused:
        ordered(needs)
    assert refused.value.given == circle


def test_what_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="application needs databse, which is not there") as refused:
        ordered({"application": {"databse": HARD}, "database": {}})
    assert refused.value.possible == "application, database"


def test_an_endpoint_is_the_sum_of_what_it_needs() -> None:
    needs: Needs = {"readyz": {"database": HARD}, "database": {}}
    found = cascade(needs, ordered(needs), {"readyz": PASSED, "database": Judged(Status.FAIL, "gone")})
    assert (found["readyz"].status, found["readyz"].causes) == (Status.FAIL, ("database",))
