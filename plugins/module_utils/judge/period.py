# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that a report is about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, Record

#: Without a month, a report is about so many days.
DAYS = 30
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])\Z")


@dataclass(frozen=True)
class Period:
    """From a moment up to another one, seconds since 1970."""

    name: str
    begin: float
    end: float

    def holds(self, record: Record) -> bool:
        moment = records.moment(record, "utc")
        return moment is not None and self.begin <= moment < self.end

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    @property
    def file_part(self) -> str:
        """``2026-11`` for a month, ``2026-11-26`` for the days until then."""
        return self.name.rpartition(" ")[2]

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "begin_utc": records.utc(self.begin), "end_utc": records.utc(self.end)}


def period_of(month: str | None, now: float) -> Period:
    """A month by its name, as far as it has passed; without one, the days until now.

    :raises InputError: it is no month, or has not begun.
    """
    if not month:
        return Period(f"{DAYS} days until {records.utc(now)[:10]}", now - DAYS * DAY, now)
    match = _MONTH.fullmatch(month)
    if match is None:
        raise InputError("this is no month", given=f"resilience_report_month={month}", possible="2026-11")
    year, number = int(match[1]), int(match[2])
    begin = datetime(year, number, 1, tzinfo=timezone.utc).timestamp()
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=timezone.utc).timestamp()
    if begin > now:
        raise InputError("this month has not begun", given=f"resilience_report_month={month}")
    return Period(month, begin, min(after, now))
