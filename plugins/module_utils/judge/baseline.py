# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long answers usually take at this hour of the week, and what is too long because of it. Pure.

Samples are counted in buckets whose bounds grow by a fifth, so any number of them can be added up, and a percentile is
right to a tenth of itself.
"""

from __future__ import annotations

import math
import typing as t
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Record

SCHEMA = "fraiseql.resilience/baseline/1"
SAMPLES = "fraiseql.resilience/latencies/1"
#: The lower bound of the first bucket, in seconds, and how much longer each next one is.
SHORTEST, GROWTH = 1e-5, 1.2
#: Hours of a week, from Monday 00:00 UTC.
HOURS = 168
PARTS = {"p50": 0.50, "p95": 0.95, "p99": 0.99}

Buckets = Mapping[int, int]
Limits = tuple[float, float]
Span = tuple[float, float]


def bucket(seconds: float) -> int:
    return max(0, math.floor(math.log(max(seconds, SHORTEST) / SHORTEST) / math.log(GROWTH)))


def percentile(counted: Buckets, part: float) -> float:
    """In seconds: the geometric middle of the bucket that holds it."""
    wanted, seen = math.ceil(part * sum(counted.values())), 0
    for number in sorted(counted):
        seen += counted[number]
        if seen >= wanted:
            return float(SHORTEST * GROWTH ** (number + 0.5))
    raise ValueError("a percentile of no samples")


def hour_of_week(at: float) -> int:
    moment = datetime.fromtimestamp(at, timezone.utc)
    return moment.weekday() * 24 + moment.hour


@dataclass(frozen=True)
class Counted:
    """Samples of one hour of the week, over all weeks."""

    buckets: Counter[int] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, t.Any]:
        told = {name: float(f"{percentile(self.buckets, part):.4g}") for name, part in PARTS.items()}
        return {"samples": sum(self.buckets.values()), **told}


@dataclass(frozen=True)
class Sums:
    hours: Mapping[int, Counted]
    masked: int
    problems: Sequence[str]


def summed(lines: Iterable[Record], since: float, masked: Sequence[Span]) -> Sums:
    """All samples since a moment, by hour of the week; lines that touch an incident are left out."""
    hours: dict[int, Counted] = {}
    left_out, problems = 0, []
    for line in lines:
        begin, seconds, counted = records.moment(line, "utc"), records.number(line, "seconds"), _buckets(line)
        if begin is None or seconds is None or counted is None:
            problems.append(f"a record of {line.get('utc', 'no time')} cannot be read")
        elif begin < since:
            continue
        elif any(first <= begin + seconds and begin <= last for first, last in masked):
            left_out += sum(counted.values())
        else:
            hours.setdefault(hour_of_week(begin), Counted()).buckets.update(counted)
    return Sums(hours, left_out, problems)


def _buckets(line: Record) -> dict[int, int] | None:
    given = line.get("buckets")
    if line.get("schema") != SAMPLES or not isinstance(given, dict):
        return None
    try:
        return {int(number): int(count) for number, count in given.items()}
    except (TypeError, ValueError):
        return None


def made(found: Sums, *, least_samples: int, least_hours: int, version: int, now: float) -> dict[str, t.Any]:
    """The baseline of what was seen.

    :param least_samples: an hour with fewer has none.
    :param least_hours: with fewer hours that have enough, there is no baseline.
    :raises RefusedError: there are too few.
    """
    enough = {hour: one for hour, one in found.hours.items() if sum(one.buckets.values()) >= least_samples}
    if len(enough) < least_hours:
        seen = sum(sum(one.buckets.values()) for one in found.hours.values())
        raise RefusedError(
            f"too few samples for a baseline: {len(enough)} hours of the week have {least_samples} or more",
            given=f"{seen} samples in {len(found.hours)} hours, {found.masked} more in incidents",
            possible=f"{least_hours} hours or more",
            next_step="wait, or ask for less (least_hours, least_samples)",
        )
    return {
        "schema": SCHEMA,
        "version": version,
        "utc": records.utc(now),
        "masked_samples": found.masked,
        "hours": {str(hour): one.as_dict() for hour, one in sorted(enough.items())},
    }


def limits(baseline: Record | None, at: float, floors: Limits, factors: Limits) -> Limits:
    """What is too long at this moment: never less than the floors; those alone where the hour has no baseline."""
    usual = None if baseline is None else records.number(baseline, "hours", str(hour_of_week(at)), "p95")
    if usual is None:
        return floors
    return max(floors[0], factors[0] * usual), max(floors[1], factors[1] * usual)
