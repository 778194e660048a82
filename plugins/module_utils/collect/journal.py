# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal of a folder: a file of lines for each month, and beside them what has not become a line yet.

That is replaced as a whole whenever its writer says so. A writer that is killed loses nothing of it: its successor
makes it a line. A disk that cannot be written delays lines, and loses none while the writer lives.
"""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.records import Record
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError

OPEN = "open.json"
_MONTH = re.compile(r"\d{4}-\d{2}\.jsonl\Z")


class Journal:
    """Records have a ``utc``, by which they lie with their month."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        left = _left(folder)
        self._waiting = [] if left is None else [left]

    def end(self, record: Record) -> None:
        """This one changes no more; it is on disk after the next :meth:`write`."""
        self._waiting.append(record)

    def write(self, unended: Record) -> None:
        """:raises UnknownError: it cannot be written now; nothing is forgotten."""
        while self._waiting:
            records.append(self._folder / f"{str(self._waiting[0]['utc'])[:7]}.jsonl", self._waiting[0])
            del self._waiting[0]
        records.replace(self._folder / OPEN, unended)


def read(folder: Path) -> records.Lines:
    """All of it, oldest month first, with what is not a line yet.

    :raises UnknownError: it is there and cannot be read.
    """
    # In this order: what becomes a line meanwhile is read twice, and else not at all.
    unended = records.read(folder / OPEN)
    try:
        months = sorted(path for path in folder.iterdir() if _MONTH.fullmatch(path.name))
    except FileNotFoundError:
        return records.Lines()
    except OSError as error:
        raise UnknownError(f"{folder} cannot be read: {error.strerror}") from error
    read = [*(records.read(path) for path in months), unended]
    found = [line for lines in read for line in lines.records]
    return records.Lines(tuple(_once(found)), tuple(problem for lines in read for problem in lines.problems))


def _once(lines: t.Sequence[Record]) -> list[Record]:
    """What was not a line yet may have become one between two looks: of one begin, the longest counts."""
    found: dict[t.Any, Record] = {}
    for line in lines:
        known = found.get(line.get("utc"))
        if known is None or _seconds(known) <= _seconds(line):
            found[line.get("utc")] = line
    return list(found.values())


def _seconds(line: Record) -> float:
    seconds = line.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else -1.0


def _left(folder: Path) -> Record | None:
    """What the writer before this one had not made a line of. Where it is torn, nobody knows it."""
    try:
        line = json.loads((folder / OPEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return line if isinstance(line, dict) and isinstance(line.get("utc"), str) else None
