# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger as a picture needs it: attempts in seconds on the chain's scale. Pure."""

from __future__ import annotations

import itertools
import json
import typing as t
from dataclasses import dataclass

NANO = 1_000_000_000
ACKED = ("acked", "acked_unsafe")


@dataclass(frozen=True)
class Attempt:
    """One try of one client to commit a row; seconds since the chain's zero."""

    client: int
    begin: float
    end: float
    outcome: str

    @property
    def acked(self) -> bool:
        return self.outcome in ACKED


def attempts(ledger: bytes, zero_ns: int) -> list[Attempt]:
    """The attempts of a ledger in order of their end.

    Lines that are no attempts (header, outage, a torn end) are left out: whether the ledger is whole is for the judge
    to say, a picture shows what there is.
    """
    found = [
        Attempt(
            int(line["client"]),
            (line["begin_ns"] - zero_ns) / NANO,
            (line["end_ns"] - zero_ns) / NANO,
            str(line["outcome"]),
        )
        for line in lines(ledger)
        if "outcome" in line
    ]
    return sorted(found, key=lambda attempt: attempt.end)


def lines(ledger: bytes) -> t.Iterator[dict[str, t.Any]]:
    for raw in ledger.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def zero_ns(report: t.Mapping[str, t.Any], ledger: bytes) -> int | None:
    """Where the chain's scale begins on the ledger's clock.

    The report says so; if not, the ledger's first outage and the chain's t1 are the same moment. A chain that knows
    neither begins with the ledger.
    """
    if report["zero"] is not None:
        return int(report["zero"]["monotonic_ns"])
    t1 = report["chain"]["t1"]
    for line in lines(ledger):
        if line.get("type") == "outage" and t1 is not None:
            return int(line["t1_ns"] - t1 * NANO)
    return next((int(line["begin_ns"]) for line in lines(ledger) if "outcome" in line), None)


def longest_wait(found: t.Sequence[Attempt]) -> tuple[float, float] | None:
    """The longest time between two acknowledgements of any clients, as (begin, end)."""
    acks = sorted(attempt.end for attempt in found if attempt.acked)
    return max(itertools.pairwise(acks), key=lambda gap: gap[1] - gap[0], default=None)
