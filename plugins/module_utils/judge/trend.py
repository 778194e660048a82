# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes slowly and ends in a missed objective: a database that grows, storage that gets slower. Pure."""

from __future__ import annotations

import itertools
import statistics
import typing as t
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import duration
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import (
    DAY,
    Made,
    Record,
    Restored,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.duration import Estimate, Model, Sample

#: Growth is told from so many sizes of different days, at least.
LEAST_DAYS = 3
#: The newest days that a trend is drawn through.
TREND_DAYS = 60
#: A trend says nothing of what is further away than so many times its own length.
HORIZON = 4
#: How far ahead a warning is worth something, in days.
WARN_DAYS = 90
#: Restores are slower when the newest third takes this many times as long as the oldest third.
SLOWER = 1.25
#: Of so many restores, at least.
LEAST_RESTORES = 6

Told = dict[str, str]


@dataclass(frozen=True)
class Growth:
    """``days``: how long the trend is that was looked at; ``bytes_per_day`` is None where there is no trend."""

    days: float = 0.0
    bytes_per_day: float | None = None


def growth(present: Sequence[Made]) -> Growth:
    """Theil and Sen's slope through the last size of each day: half of the sizes may be odd."""
    sized = [one for one in present if one.size and one.time is not None]
    trusted = records.trusted_times([one.time for one in sized])
    daily = {
        int(t.cast(float, one.time) // DAY): (t.cast(float, one.time), t.cast(float, one.size))
        for one, good in zip(sized, trusted, strict=True)
        if good
    }
    points = list(daily.values())[-TREND_DAYS:]
    if len(points) < LEAST_DAYS:
        return Growth()
    slopes = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in itertools.combinations(points, 2)]
    return Growth((points[-1][0] - points[0][0]) / DAY, round(statistics.median(slopes) * DAY, 1))


def growth_warnings(
    present: Sequence[Made], estimate: Estimate | None, restore: Model | None, size: float | None, rto: t.Any
) -> Iterator[Told]:
    """Whether the database grows over what can be restored in time."""
    if estimate is None or restore is None or size is None or not isinstance(rto, int | float):
        return
    seen = growth(present)
    if estimate.seconds > rto:
        yield warning(
            "objective_missed", f"a restore is expected to take {estimate.seconds:.3g} s, of at most {rto:g} s"
        )
    elif seen.bytes_per_day is not None and seen.bytes_per_day > 0 and restore.line.rate > 0:
        days = (rto - estimate.seconds) / restore.line.rate / seen.bytes_per_day
        if days <= min(WARN_DAYS, HORIZON * seen.days):
            grows = f"the database grows by {seen.bytes_per_day / 2**20:.3g} MiB a day"
            yield warning("growth", f"{grows}: in {days:.0f} days a restore takes longer than {rto:g} s")


def slower(repo: int, restores: Sequence[Restored]) -> Iterator[Told]:
    """Whether restores from a repository take longer than they did, their size allowed for."""
    own = [one for one in restores if one.repo == repo and not one.delta]
    replays = [one for one in own if one.wal_bytes is not None and one.replay is not None]
    parts = {
        "slower_restore": ("copying", [Sample(one.bytes, one.restore) for one in own]),
        "slower_replay": ("replay", [Sample(one.wal_bytes or 0.0, one.replay or 0.0) for one in replays]),
    }
    for code, (what, samples) in parts.items():
        factor = slowdown(samples)
        if factor is not None and factor >= SLOWER:
            yield warning(code, f"repository {repo}: {what} takes {factor:.2f} times as long as it did")


def slowdown(samples: Sequence[Sample]) -> float | None:
    """How many times as long the newest third takes as the oldest one; None for too few, or where they overlap."""
    if len(samples) < LEAST_RESTORES:
        return None
    ratios = duration.ratios(samples)
    third = len(ratios) // 3
    oldest, newest = ratios[:third], ratios[-third:]
    # One slow restore is an accident; all of the newest ones have to be slower than most of the oldest.
    if min(newest) <= statistics.median(oldest):
        return None
    return statistics.median(newest) / statistics.median(oldest)


def version_warnings(restores: Sequence[Restored], version: str | None) -> Iterator[Told]:
    other = [one for one in restores if version is not None and one.version not in (version, None)]
    if other and 2 * len(other) >= len(restores):
        counted = f"{len(other)} of {len(restores)} restores were of another PostgreSQL than {version}"
        yield warning("other_version", f"{counted}; each counts a quarter, and sizes from before are in no trend")


def clock_warnings(*files: Sequence[Record]) -> Iterator[Told]:
    """Lines whose times contradict the order in which they were written."""
    for lines in files:
        times = [records.moment(line, "utc") for line in lines]
        wrong = [line for line, good in zip(times, records.trusted_times(times), strict=True) if not good and line]
        if wrong:
            yield warning("clock_set_back", f"the clock was set: {len(wrong)} of {len(lines)} lines are out of order")


def unread(problems: Sequence[str]) -> Iterator[Told]:
    for problem in problems:
        yield warning("line_unread", problem)


def warning(code: str, detail: str) -> Told:
    return {"code": code, "detail": detail}
