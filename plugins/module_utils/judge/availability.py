# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What synthetic transactions say of a service: when it was up, when it was down, and when nobody looked. Pure.

An outage lasts from the last acknowledged transaction before it to the first one after it, as clients feel it. Time in
which nothing was recorded is unknown: it is neither counted as up nor as down, and the verdict says what it could hide.
"""

from __future__ import annotations

import enum
import itertools
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Record
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.period import Period
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

SCHEMA = "fraiseql.resilience/availability-report/1"
RECORD = "fraiseql.resilience/availability/1"
#: A recorder that says nothing for longer has not looked, in seconds, unless its records say that it takes its time.
SILENCE = 10.0
#: What is promised where no objective says it.
PERCENT = 99.95
DRILL = "drill"


class State(enum.IntEnum):
    """In order of what prevails where two places differ: a place that saw a commit cannot have been wrong."""

    UNKNOWN = 0
    DOWN = 1
    UP = 2


OUTCOMES = {"committed": State.UP, "failed": State.DOWN, "unknown": State.UNKNOWN}


@dataclass(frozen=True)
class Span:
    """Transactions in a row with one outcome, seconds since 1970.

    ``begin``: of commits, when the first one was acknowledged; of failures, when the first one began.
    """

    begin: float
    end: float
    state: State
    transactions: int = 0
    slowest: float | None = None
    reason: str = ""
    silence: float = SILENCE


@dataclass(frozen=True)
class Stretch:
    """A time in which the service was in one state."""

    begin: float
    end: float
    state: State
    transactions: int = 0
    reason: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Operation:
    """A drill, or a recovery in earnest, whose evidence is there."""

    name: str
    scenario: str
    verdict: str
    begin: float
    end: float
    evidence: str

    @property
    def drill(self) -> bool:
        return self.name == DRILL


@dataclass(frozen=True)
class Outage:
    """``drilled``: the seconds of it that lie within drills. The rest is nobody's exercise."""

    stretch: Stretch
    operation: Operation | None
    drilled: float

    @property
    def felt(self) -> float:
        return self.stretch.seconds - self.drilled

    def as_dict(self) -> dict[str, t.Any]:
        told = self.operation
        return {
            "begin_utc": instant(self.stretch.begin),
            "end_utc": instant(self.stretch.end),
            "seconds": round(self.stretch.seconds, 3),
            "transactions_failed": self.stretch.transactions,
            "drill_seconds": round(self.drilled, 3),
            "reason": self.stretch.reason,
            "operation": told.name if told else None,
            "scenario": (told.scenario or None) if told else None,
            "verdict": told.verdict if told else None,
            "evidence": told.evidence if told else None,
        }


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# what is read ---------------------------------------------------------------------------------------------------------


def spans(lines: Iterable[Record], period: Period) -> tuple[list[Span], list[str]]:
    """The record of one place, as far as it touches the period, and what of it cannot be read, in words."""
    found, problems = [], []
    for line in lines:
        span = _span(line)
        if span is None:
            problems.append(f"a record of {line.get('utc', 'no time')} cannot be read")
        elif _touches(span, period):
            found.append(span)
    return sorted(found, key=lambda span: span.begin), problems


def touches(line: Record, period: Period) -> bool:
    """Whether the period's report wants this line; one that cannot be read it has to tell of."""
    span = _span(line)
    return span is None or _touches(span, period)


def _touches(span: Span, period: Period) -> bool:
    return span.end >= period.begin and span.begin < period.end


def _span(line: Record) -> Span | None:
    begin, seconds = records.moment(line, "utc"), records.number(line, "seconds")
    state, count = OUTCOMES.get(records.text(line, "outcome") or ""), records.number(line, "transactions")
    if line.get("schema") != RECORD or begin is None or seconds is None or state is None or count is None:
        return None
    return Span(
        begin,
        begin + seconds,
        state,
        int(count),
        records.number(line, "slowest_seconds"),
        records.text(line, "reason") or "",
        records.number(line, "silence_seconds") or SILENCE,
    )


def operation(report: Record, evidence: str) -> Operation | None:
    """What a sealed report says of an operation; None where it is none."""
    begin, end = records.moment(report, "began_utc"), records.moment(report, "ended_utc")
    name = records.text(report, "operation")
    if begin is None or end is None or name is None:
        return None
    scenario, verdict = records.text(report, "scenario") or "", records.text(report, "verdict") or Verdict.UNKNOWN.value
    return Operation(name, scenario, verdict, begin, end, evidence)


# what it means --------------------------------------------------------------------------------------------------------


def stretches(seen: Sequence[Span], period: Period) -> list[Stretch]:
    """The whole period as one place saw it. ``seen`` is in order of time; where a clock was set back, the first counts.

    Between two spans lies one turn. A longer silence is unknown; a short one is up between two commits, and down
    beside a failure.
    """
    found: list[Stretch] = []
    at, before = period.begin, None
    for span in seen:
        begin, end = max(span.begin, at), min(span.end, period.end)
        if end < begin or (end == begin and end <= at and before is not None):
            continue
        if begin > at:
            found.append(Stretch(at, begin, _between(before, span)))
        found.append(Stretch(begin, end, span.state, span.transactions, span.reason))
        at, before = end, span
    if at < period.end:
        found.append(Stretch(at, period.end, _after(before, period.end)))
    return joined(found)


def _between(before: Span | None, after: Span) -> State:
    if before is None or after.begin - before.end > max(before.silence, after.silence):
        return State.UNKNOWN
    return min(before.state, after.state)


def _after(before: Span | None, end: float) -> State:
    """The last turn may still be under way."""
    return before.state if before is not None and end - before.end <= before.silence else State.UNKNOWN


def joined(found: Sequence[Stretch]) -> list[Stretch]:
    """Neighbours in the same state as one, with the first reason."""
    together = []
    for state, group in itertools.groupby(found, key=lambda one: one.state):
        rows = list(group)
        reason = next((one.reason for one in rows if one.reason), "")
        count = sum(one.transactions for one in rows)
        together.append(Stretch(rows[0].begin, rows[-1].end, state, count, reason))
    return [one for one in together if one.seconds > 0]


def merged(places: Sequence[Sequence[Stretch]]) -> list[Stretch]:
    """The service as all places together saw it: each of them may have lost its own network."""
    if len(places) < 2:
        return list(places[0]) if places else []
    edges = sorted({edge for place in places for one in place for edge in (one.begin, one.end)})
    at, found = [0] * len(places), []
    for begin, end in itertools.pairwise(edges):
        seen = []
        for number, place in enumerate(places):
            while at[number] < len(place) - 1 and place[at[number]].end <= begin:
                at[number] += 1
            seen.append(place[at[number]])
        best = max(seen, key=lambda one: one.state)
        whole = best.begin == begin
        found.append(replace(best, begin=begin, end=end, transactions=best.transactions if whole else 0))
    return joined(found)


def outages(found: Sequence[Stretch], operations: Sequence[Operation]) -> list[Outage]:
    """Each outage, with the operation that shares most of its time."""
    return [Outage(one, _cause(one, operations), _drilled(one, operations)) for one in found if one.state is State.DOWN]


def _cause(stretch: Stretch, operations: Sequence[Operation]) -> Operation | None:
    def shared(one: Operation) -> float:
        return min(one.end, stretch.end) - max(one.begin, stretch.begin)

    return max((one for one in operations if shared(one) > 0), key=shared, default=None)


def _drilled(stretch: Stretch, operations: Sequence[Operation]) -> float:
    """Seconds within any drill; those in two drills count once."""
    seconds, at = 0.0, stretch.begin
    for one in sorted((one for one in operations if one.drill), key=lambda one: one.begin):
        begin, end = max(one.begin, at), min(one.end, stretch.end)
        if end > begin:
            seconds, at = seconds + end - begin, end
    return seconds


# the report -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """Seconds of a period: what may be lost, what was, what drills took, and what nobody saw."""

    period: float
    allowed: float
    used: float
    drills: float
    unknown: float

    @property
    def percent(self) -> float | None:
        """Of the time that was seen, drills apart; None where nothing was."""
        seen = self.period - self.unknown - self.drills
        return None if seen <= 0 else 100 * (1 - self.used / seen)

    def judged(self) -> Check:
        left = self.allowed - self.used
        said = f"{self.used:.1f} s of {self.allowed:.1f} s used"
        if left < 0:
            return Check("availability", Verdict.FAILED, said)
        if self.unknown > left:
            hidden = f"{said}, and {self.unknown:.1f} s are unknown, more than the {left:.1f} s that are left"
            return Check("availability", Verdict.UNKNOWN, hidden)
        return Check("availability", Verdict.PASSED, f"{said}; {self.unknown:.1f} s are unknown")


def report(
    places: Mapping[str, Sequence[Span]],
    operations: Sequence[Operation],
    period: Period,
    objectives: Mapping[str, t.Any],
    now: float,
    problems: Sequence[str] = (),
) -> dict[str, t.Any]:
    """The whole report.

    :param places: by observer, what it recorded.
    :param objectives: ``availability_percent`` of them is used.
    """
    found = merged([stretches(seen, period) for seen in places.values()]) or [
        Stretch(period.begin, period.end, State.UNKNOWN)
    ]
    felt = outages(found, operations)
    percent = records.number(objectives, "availability_percent") or PERCENT
    budget = Budget(
        period=period.seconds,
        allowed=period.seconds * (100 - percent) / 100,
        used=sum(one.felt for one in felt),
        drills=sum(one.drilled for one in felt),
        unknown=sum(one.seconds for one in found if one.state is State.UNKNOWN),
    )
    check = budget.judged()
    counted = [span for seen in places.values() for span in seen]
    return {
        "schema": SCHEMA,
        "utc": records.utc(now),
        "period": period.as_dict(),
        "verdict": check.verdict.value,
        "checks": [check.as_dict()],
        "availability_percent": None if budget.percent is None else round(budget.percent, 5),
        "objective_percent": percent,
        "budget": {
            "period_seconds": round(budget.period, 3),
            "allowed_seconds": round(budget.allowed, 3),
            "used_seconds": round(budget.used, 3),
            "drill_seconds": round(budget.drills, 3),
            "unknown_seconds": round(budget.unknown, 3),
        },
        "outages": [one.as_dict() for one in felt],
        "unknown": [
            {"begin_utc": instant(one.begin), "end_utc": instant(one.end), "seconds": round(one.seconds, 3)}
            for one in found
            if one.state is State.UNKNOWN
        ],
        "transactions": {
            outcome: sum(span.transactions for span in counted if span.state is state)
            for outcome, state in OUTCOMES.items()
        },
        "slowest_seconds": max((span.slowest for span in counted if span.slowest is not None), default=None),
        "places": sorted(places),
        "problems": list(problems),
    }
