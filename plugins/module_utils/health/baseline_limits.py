# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is usual for a check: its answers are counted, and its limits follow the baseline that was made of them."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.latencies import BaselineFile, Latencies
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.watch import say
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import baseline
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.baseline import Limits
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import (
    Finding,
    Status,
    held,
    worst,
)

Given = t.Mapping[str, t.Any]


class BaselineLimits:
    """Of one check; without a folder, its limits are those that it was given.

    A disk that cannot be written is told of once, and changes nothing in what the check says.
    """

    def __init__(self, given: Given, clock: t.Callable[[], float] = time.time) -> None:
        folder = Path(given["baseline"]) if given["baseline"] else None
        self._counted = Latencies(folder) if folder else None
        self._kept = BaselineFile(folder) if folder else None
        self._floors: Limits = given["seconds"]
        self._factors: Limits = given["factors"]
        self._clock = clock
        self._before = Status.PASS
        self._told = False

    def judged(self, seconds: float, judge: t.Callable[[Limits], list[Finding]]) -> list[Finding]:
        """An answer that took so long is counted, and judged by what is usual now."""
        self._count(seconds)
        known = self._kept.now() if self._kept else None
        usual = baseline.limits(known, self._clock(), self._floors, self._factors)
        found = judge(held(usual, self._before))
        self._before = worst(one.status for one in found)
        return found

    def _count(self, seconds: float) -> None:
        if self._counted is None:
            return
        try:
            self._counted.add(seconds, self._clock())
            self._told = False
        except ResilienceError as error:
            if not self._told:
                say(f"what is usual is not kept: {error.message}")
            self._told = True
