# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of synthetic transactions on an observer: a line for each change of their outcome, and one each hour.

What has not become a line yet is in a file of its own, replaced after each transaction. So a recorder that is killed
loses nothing that it saw, and its successor goes on where it ended.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import RECORD, SILENCE, instant

FOLDER = records.ROOT / "availability"
OPEN = "open.json"
#: The longest that a line speaks of, in seconds.
LONGEST = 3600.0
_MONTH = re.compile(r"\d{4}-\d{2}\.jsonl\Z")


@dataclass(frozen=True)
class Transactions:
    """Some in a row with one outcome; ``began`` and ``ended`` are seconds since 1970."""

    outcome: str
    began: float
    ended: float
    count: int = 1
    slowest: float = 0.0
    reason: str = ""

    def takes(self, other: Transactions) -> bool:
        """Whether the other one, which came later, goes on with this."""
        near = 0 <= other.began - self.ended <= SILENCE
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
        }


class Recorder:
    """Keeps what it is told. A disk that cannot be written delays lines, and loses none while the recorder lives."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._waiting: list[records.Record] = []
        self._open: Transactions | None = None
        left = _left(folder)
        if left is not None:
            self._waiting.append(left)

    def add(self, one: Transactions) -> None:
        """
        :raises UnknownError: it could not be written yet.
        """
        if self._open is not None and self._open.takes(one):
            self._open = self._open.with_next(one)
        else:
            if self._open is not None:
                self._waiting.append(self._open.as_record())
            self._open = one
        while self._waiting:
            records.append(self._folder / f"{str(self._waiting[0]['utc'])[:7]}.jsonl", self._waiting[0])
            del self._waiting[0]
        records.replace(self._folder / OPEN, self._open.as_record())


def read(folder: Path = FOLDER) -> records.Lines:
    """All that was recorded, oldest first, with what is not a line yet.

    :raises UnknownError: it is there and cannot be read.
    """
    try:
        months = sorted(path for path in folder.iterdir() if _MONTH.fullmatch(path.name))
    except FileNotFoundError:
        return records.Lines()
    except OSError as error:
        raise UnknownError(f"{folder} cannot be read: {error.strerror}") from error
    read = [records.read(path) for path in [*months, folder / OPEN]]
    found = [line for lines in read for line in lines.records]
    return records.Lines(tuple(_once(found)), tuple(problem for lines in read for problem in lines.problems))


def _once(lines: t.Sequence[records.Record]) -> list[records.Record]:
    """What was not a line yet may have become one between the two looks: of one begin, the longest counts."""
    found: dict[t.Any, records.Record] = {}
    for line in lines:
        known = found.get(line.get("utc"))
        if known is None or _seconds(known) <= _seconds(line):
            found[line.get("utc")] = line
    return list(found.values())


def _seconds(line: records.Record) -> float:
    seconds = line.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else -1.0


def _left(folder: Path) -> records.Record | None:
    """What the recorder before this one had not made a line of. Where it is torn, nobody knows it."""
    try:
        line = json.loads((folder / OPEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return line if isinstance(line, dict) and line.get("schema") == RECORD and line.get("utc") else None
