# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Place what one host's monotonic clock stamped on another host's, with the bound of the error. Pure.

The other clock is read through the connection that Ansible has anyway. A reading happened somewhere between the
question and the answer, so the offset is known to half the round trip; of several readings the quickest says most.
Between two readings the clocks may drift apart, which widens the bound.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import Event
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import CONTROL

#: The clock that everything is placed on.
OBSERVER = "observer"
#: NTP slews a clock by at most 500 ppm: two clocks drift apart no faster than by this part of the time that passes.
DRIFT = 0.0005

#: The phases of a recovery in the order of the chain t0 … t11.
PHASES = (
    "fault",
    "last_ack",
    "first_failure",
    "detected",
    "fenced",
    "promote_asked",
    "writable",
    "first_ack",
    "load_back",
    "redundancy_back",
    "archiving_back",
    "new_backup",
)


@dataclass(frozen=True)
class Reading:
    """The other host's clock, read between two looks at one's own. All in nanoseconds."""

    before_ns: int
    other_ns: int
    after_ns: int


@dataclass(frozen=True)
class Offset:
    """``other − own``, in nanoseconds, off by at most ``error_ns``, as it was at ``at_ns`` on one's own clock."""

    offset_ns: int
    error_ns: int
    at_ns: int


#: By the other clock's name, how far it was from the control node's.
Offsets = t.Mapping[str, t.Sequence[Offset]]


@dataclass(frozen=True)
class Placed:
    """A moment on the observer's clock, off by at most ``error_ns``."""

    ns: int
    error_ns: int


def offset(readings: t.Sequence[Reading]) -> Offset:
    """The best of several readings: the one with the shortest round trip.

    :raises UnknownError: there is none.
    """
    if not readings:
        raise UnknownError("the other host's clock could not be read")
    best = min(readings, key=lambda reading: reading.after_ns - reading.before_ns)
    middle = (best.before_ns + best.after_ns) // 2
    return Offset(best.other_ns - middle, (best.after_ns - best.before_ns + 1) // 2, middle)


def offsets(events: t.Iterable[Event]) -> Offsets:
    """What a timeline holds of how far each other clock was from the control node's."""
    known: dict[str, list[Offset]] = {}
    for event in events:
        if event["kind"] == "clock":
            found = Offset(event["offset_ns"], event["offset_error_ns"], event["monotonic_ns"])
            known.setdefault(event["other_clock"], []).append(found)
    return known


def place(event: Event, known: Offsets) -> Placed | None:
    """The event's moment on the observer's clock, by way of the control node's; ``None`` when a clock on that way was
    never compared.
    """
    placed: Placed | None = Placed(event["monotonic_ns"], event["error_ns"])
    if event["clock"] == OBSERVER:
        return placed
    if event["clock"] != CONTROL:
        placed = _shifted(placed, known.get(event["clock"], ()), -1)
    return _shifted(placed, known.get(OBSERVER, ()), +1)


def _shifted(placed: Placed | None, known: t.Sequence[Offset], sign: int) -> Placed | None:
    """From the control node's clock to the other one (+1) or back (-1), by whichever offset leaves the least error."""
    if placed is None or not known:
        return None
    shifted = []
    for one in known:
        ns = placed.ns + sign * one.offset_ns
        passed_ns = abs((placed.ns if sign > 0 else ns) - one.at_ns)
        shifted.append(Placed(ns, placed.error_ns + one.error_ns + round(passed_ns * DRIFT)))
    return min(shifted, key=lambda one: one.error_ns)


def marks(events: t.Sequence[Event]) -> dict[str, Placed | None]:
    """When each phase was first reached, on the observer's clock.

    A failback mends before it moves: what was reached before the fault counts only where it was not reached again.
    """
    return {name: placed for name, (_event, placed) in _reached(events).items()}


def as_marks(events: t.Sequence[Event]) -> dict[str, dict[str, t.Any] | None]:
    """The phases so far as the judge of a recovery takes them; ``None`` for one that cannot be placed."""
    return {
        name: None
        if placed is None
        else {
            "monotonic_ns": placed.ns,
            "error_seconds": placed.error_ns / 1e9,
            "source": f"{event['host']}: {event['detail'] or 'marked'}",
        }
        for name, (event, placed) in _reached(events).items()
    }


def _reached(events: t.Sequence[Event]) -> dict[str, tuple[Event, Placed | None]]:
    known = offsets(events)
    found: dict[str, list[tuple[Event, Placed | None]]] = {}
    for event in events:
        if event["kind"] == "mark":
            found.setdefault(event["mark"], []).append((event, place(event, known)))
    fault = found[PHASES[0]][0][1] if PHASES[0] in found else None
    return {name: _first_since(fault, all_of_it) for name, all_of_it in found.items()}


def _first_since(
    fault: Placed | None, found: t.Sequence[tuple[Event, Placed | None]]
) -> tuple[Event, Placed | None]:
    since = [one for one in found if one[1] is not None and fault is not None and one[1].ns >= fault.ns]
    return since[0] if since else found[0]


def phase(mark: str) -> str:
    """``t4`` and ``fenced`` are the same phase; other words stay as they are.

    :raises InputError: it looks like a phase of the chain, but there is none of that number.
    """
    word = mark.strip()
    if word[:1] in ("t", "T") and word[1:].isdigit():
        if int(word[1:]) >= len(PHASES):
            raise InputError(f"there is no phase {word}", given=mark, possible="t0 to t11, or a word")
        return PHASES[int(word[1:])]
    if not word:
        raise InputError("a mark needs a name", given=repr(mark), possible=", ".join(PHASES))
    return word
