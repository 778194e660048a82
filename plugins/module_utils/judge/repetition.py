# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same drill several times: how the recovery times spread, and how sure a zero is. Pure."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Repetition:
    """One scenario's recovery times in seconds, and its lost transactions, over ``n`` drills."""

    scenario: str
    seconds: tuple[float, ...]
    lost: int

    @property
    def n(self) -> int:
        return len(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """By linear interpolation between the drills."""
        return statistics.quantiles(self.seconds, n=20, method="inclusive")[18]

    @property
    def loss_bound(self) -> float | None:
        """With 95 % confidence at most this part of such recoveries loses anything: the rule of three. None if one did.

        It says nothing for fewer than three.
        """
        return None if self.lost or self.n < 3 else 3 / self.n

    def as_dict(self) -> dict[str, t.Any]:
        spread = {"min": min(self.seconds), "median": self.median, "p95": self.p95, "max": max(self.seconds)}
        return {**asdict(self), "n": self.n, **spread, "loss_bound": self.loss_bound}


def repetitions(drills: t.Iterable[tuple[str, float | None, int | None]]) -> list[Repetition]:
    """What was drilled more than once, in the order of the first drills: scenario, seconds, lost transactions of each.

    A drill without a recovery time or a count of what was lost is left out: it was not measured.
    """
    by_scenario: dict[str, list[tuple[float, int]]] = {}
    for scenario, seconds, lost in drills:
        if seconds is not None and lost is not None:
            by_scenario.setdefault(scenario, []).append((seconds, lost))
    return [
        Repetition(scenario, tuple(seconds for seconds, _lost in found), sum(lost for _seconds, lost in found))
        for scenario, found in by_scenario.items()
        if len(found) > 1
    ]
