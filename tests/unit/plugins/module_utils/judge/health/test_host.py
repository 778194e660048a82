# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of a host: room and its end, memory, clocks, certificates, timers."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.host import (
    Offset,
    Room,
    RoomLimits,
    Timer,
    certificates,
    clock,
    hours_left,
    memory,
    rooms,
    timers,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, worst

ROOM = Room("/data", free_percent=60.0, free_inodes_percent=90.0, read_only=False, free_bytes=1e9)
LIMITS = RoomLimits(free=(15.0, 5.0), free_bytes=(50.0, 10.0), inodes=(15.0, 5.0), hours=(24.0, 4.0))
TIMER = Timer("a.timer", loaded=True, active=True, due=True, result="success")
#: A gigabyte in ten minutes, ten left.
FALLING = tuple((600.0 * step, (16 - step) * 1e9) for step in range(7))


def status(findings: t.Sequence[Finding]) -> str:
    return worst(one.status for one in findings).value


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "pass"),
        ({"free_percent": 15.0}, "warn"),
        ({"free_percent": 5.0}, "fail"),
        ({"free_inodes_percent": 1.0}, "fail"),
        ({"free_inodes_percent": None}, "pass"),  # a file system that makes them as it needs them
        ({"read_only": True}, "fail"),
        ({"free_bytes": 100.0}, "pass"),
        ({"free_bytes": 50.0}, "warn"),
        ({"free_bytes": 10.0}, "fail"),
        ({"past": FALLING}, "pass"),  # more than half is free: it may go on for a while
        ({"past": FALLING, "free_percent": 40.0}, "fail"),
    ],
)
def test_room(change: dict[str, t.Any], expected: str) -> None:
    assert status(rooms([dataclasses.replace(ROOM, **change)], LIMITS)) == expected


def test_bytes_are_measured_where_they_are_limited() -> None:
    limits = dataclasses.replace(LIMITS, free_bytes=(0.0, 0.0))
    assert [one.measure for one in rooms([ROOM], limits)] == ["free", "free_inodes"]
    assert status(rooms([dataclasses.replace(ROOM, free_bytes=None)], LIMITS)) == "unknown"


def test_the_end_is_foretold_by_a_line() -> None:
    assert hours_left(FALLING) == pytest.approx(10 / 6)
    assert hours_left([(at, 5e9) for at in (0.0, 600.0, 1200.0)]) is None
    assert hours_left([(at, at) for at in (0.0, 600.0, 1200.0)]) is None
    assert hours_left(FALLING[:2]) is None
    assert hours_left([(float(at), 1e9 - at) for at in range(60)]) is None  # a minute says nothing of hours


def test_memory() -> None:
    assert [status(memory(free, 0, (10, 3))) for free in (50.0, 10.0, 3.0)] == ["pass", "warn", "fail"]
    assert status(memory(50.0, 1, (10, 3))) == "warn"
    assert len(memory(50.0, None, (10, 3))) == 1


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ((0.0, 0.01), "pass"),
        ((2.0, 2.1), "warn"),
        ((-120.0, -120.1, 0.0), "fail"),
        ((120.0, 0.0, 0.0), "pass"),  # one peer of three: that one's own fault
        ((120.0, 0.0), "pass"),  # of two, nobody has a majority
        ((120.0,), "warn"),  # whose it is cannot be told
        ((None, None), "unknown"),
        ((None, 0.0), "pass"),
        ((), "unknown"),
    ],
)
def test_a_clock_is_wrong_where_most_peers_say_so(offsets: tuple[float | None, ...], expected: str) -> None:
    seen = [Offset(f"peer{number}", seconds) for number, seconds in enumerate(offsets)]
    assert status(clock(seen, (0.5, 5.0))) == expected


def test_a_clock_is_known_to_half_a_round_trip_only() -> None:
    assert status(clock([Offset("a", 0.6, bound=0.4), Offset("b", 0.6, bound=0.4)], (0.5, 5.0))) == "pass"
    [finding] = clock([Offset("a", 120.0), Offset("b", 0.0), Offset("c", 0.0)], (0.5, 5.0))
    assert "1 of 3 peers differ by 5 s or more: a" in finding.reason


def test_certificates() -> None:
    assert [status(certificates({"a": days}, (21, 3))) for days in (30.0, 20.0, 2.0, -1.0)] == [
        "pass",
        "warn",
        "fail",
        "fail",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "a.timer is due"),
        ({"loaded": False, "active": False}, "is not there"),
        ({"active": False}, "does not run"),
        ({"due": False}, "does not know when"),
        ({"result": "exit-code"}, "ended with exit-code"),
    ],
)
def test_timers(change: dict[str, t.Any], said: str) -> None:
    [finding] = timers([dataclasses.replace(TIMER, **change)])
    assert said in finding.reason
    assert (finding.status == "pass") == (not change)
