# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long answers took, counted on the host that asked, and the baseline that was made of it."""

from __future__ import annotations

import json
import os
import typing as t
from collections import Counter
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.journal import Journal
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import baseline
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import instant

FOLDER = records.ROOT / "latencies"
BASELINE = "baseline.json"
#: The longest that a line speaks of, in seconds: an incident takes no more than the lines that it touches.
LONGEST = 600.0
#: How often what is not a line yet is written, in seconds.
WRITTEN_EVERY = 30.0


class Latencies:
    """Counts answers."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder)
        self._began = self._ended = self._written = 0.0
        self._counted: Counter[int] = Counter()

    def add(self, seconds: float, at: float) -> None:
        """
        :param at: when it came, seconds since 1970.
        :raises UnknownError: it could not be written yet.
        """
        if self._counted and not self._goes_on(at):
            self._journal.end(self._record())
            self._counted = Counter()
        if not self._counted:
            self._began, self._written = at, 0.0
        self._counted[baseline.bucket(seconds)] += 1
        self._ended = at
        if at - self._written >= WRITTEN_EVERY:
            self._journal.write(self._record())
            self._written = at

    def _goes_on(self, at: float) -> bool:
        same_hour = baseline.hour_of_week(at) == baseline.hour_of_week(self._began)
        return same_hour and at - self._ended >= 0 and at - self._began <= LONGEST

    def _record(self) -> records.Record:
        return {
            "schema": baseline.SAMPLES,
            "utc": instant(self._began),
            "seconds": round(self._ended - self._began, 3),
            "buckets": {str(number): count for number, count in sorted(self._counted.items())},
        }


class BaselineFile:
    """The baseline of a folder, read again when it was replaced."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / BASELINE
        self._seen: tuple[int, int] | None = None
        self._baseline: records.Record | None = None

    def now(self) -> records.Record | None:
        """None where there is none, or none that can be read: then it is not known what is usual."""
        try:
            stat = os.stat(self._path)
            if (stat.st_mtime_ns, stat.st_ino) != self._seen:
                self._baseline = read(self._path)
                self._seen = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            self._baseline = self._seen = None
        return self._baseline


def read(path: Path) -> records.Record | None:
    try:
        found: t.Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == baseline.SCHEMA else None
