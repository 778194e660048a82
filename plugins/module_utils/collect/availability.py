# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of synthetic transactions on an observer: a line for each change of their outcome, and one each hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.journal import Journal
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import RECORD, SILENCE, instant

FOLDER = records.ROOT / "availability"
#: The longest that a line speaks of, in seconds.
LONGEST = 3600.0


@dataclass(frozen=True)
class Transactions:
    """Some in a row with one outcome; ``began`` and ``ended`` are seconds since 1970.

    ``silence``: with more seconds than that between two of them, nobody looked.
    """

    outcome: str
    began: float
    ended: float
    count: int = 1
    slowest: float = 0.0
    reason: str = ""
    silence: float = SILENCE

    def takes(self, other: Transactions) -> bool:
        """Whether the other one, which came later, goes on with this."""
        near = 0 <= other.began - self.ended <= self.silence
        return near and other.outcome == self.outcome and other.ended - self.began <= LONGEST

    def with_next(self, other: Transactions) -> Transactions:
        return replace(
            self, ended=other.ended, count=self.count + other.count, slowest=max(self.slowest, other.slowest)
        )

    def as_record(self) -> records.Record:
        return {
            "schema": RECORD,
            "utc": instant(self.began),
            "seconds": round(self.ended - self.began, 3),
            "outcome": self.outcome,
            "transactions": self.count,
            "slowest_seconds": round(self.slowest, 6),
            "reason": self.reason,
            "silence_seconds": self.silence,
        }


class Recorder:
    """Keeps what it is told."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._journal = Journal(folder)
        self._open: Transactions | None = None

    def add(self, one: Transactions) -> None:
        """:raises UnknownError: it could not be written yet."""
        if self._open is not None and self._open.takes(one):
            self._open = self._open.with_next(one)
        else:
            if self._open is not None:
                self._journal.end(self._open.as_record())
            self._open = one
        self._journal.write(self._open.as_record())
