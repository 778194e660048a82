# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hours, days and weeks passed without the backup that each was to have? Pure.

Slots are those of UTC: whole hours, whole days, weeks from Monday. A backup covers each slot that it ran in.
"""

from __future__ import annotations

import math
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Record

HOUR, DAY, WEEK = 3600, 86400, 604800
#: 1970 began on a Thursday: Monday is four days later.
MONDAY = 4 * DAY


@dataclass(frozen=True)
class Plan:
    """A good backup of one of the ``types`` in repository ``repo`` is to run in every slot of ``every`` seconds."""

    name: str
    repo: int
    types: tuple[str, ...]
    every: int


ANY = ("full", "diff", "incr")
#: A full one replaces the incremental one of its hour.
PLANS = (
    Plan("hourly", 1, ANY, HOUR),
    Plan("daily full", 1, ("full",), DAY),
    Plan("weekly full", 2, ("full",), WEEK),
)


@dataclass(frozen=True)
class Gap:
    """Slots in a row without a backup, seconds since 1970; ``end`` is the end of the last one."""

    plan: str
    repo: int
    begin: float
    end: float
    slots: int

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "plan": self.plan,
            "repo": self.repo,
            "begin_utc": records.utc(self.begin),
            "end_utc": records.utc(self.end),
            "slots": self.slots,
        }


def good(record: Record) -> bool:
    return records.text(record, "verdict") == "passed" and records.text(record, "label") is not None


def gaps(catalogue: Sequence[Record], begin: float, end: float, plans: Sequence[Plan]) -> list[Gap]:
    """Every gap of every plan in whole slots between two moments; nothing was planned before the first backup."""
    times = [time for line in catalogue if (time := _began(line)) is not None]
    if not times:
        return []
    return [gap for plan in plans for gap in _gaps(catalogue, max(begin, min(times)), end, plan)]


def _gaps(catalogue: Sequence[Record], begin: float, end: float, plan: Plan) -> t.Iterator[Gap]:
    offset = MONDAY if plan.every == WEEK else 0
    first, last = math.ceil((begin - offset) / plan.every), math.floor((end - offset) / plan.every)
    covered: set[int] = set()
    for line in catalogue:
        if records.repo_of(line) == plan.repo and records.text(line, "type") in plan.types and good(line):
            covered.update(_slots(line, plan.every, offset))
    missing = [slot for slot in range(first, last) if slot not in covered]
    for run in _runs(missing):
        yield Gap(plan.name, plan.repo, run[0] * plan.every + offset, (run[-1] + 1) * plan.every + offset, len(run))


def _slots(line: Record, every: int, offset: int) -> range:
    began, ended = _began(line), records.moment(line, "utc")
    if began is None or ended is None or ended < began:
        moment = ended if ended is not None else began
        return range(0) if moment is None else _range(moment, moment, every, offset)
    # Longer than this a backup does not run: a clock was set.
    return _range(max(began, ended - WEEK), ended, every, offset)


def _range(begin: float, end: float, every: int, offset: int) -> range:
    return range(math.floor((begin - offset) / every), math.floor((end - offset) / every) + 1)


def _began(line: Record) -> float | None:
    began = records.moment(line, "began_utc")
    return began if began is not None else records.moment(line, "utc")


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Ascending numbers in groups without a hole."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
