# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when is every commit in the archive? Pure.

An idle database archives nothing, so the age of the last segment says nothing. The primary's own position does: what
it had written when it was asked is safe once the archive reaches as far. And where no transaction has begun since,
nothing was committed since, so a later moment is as safe.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import Holdings, Window, gaps, windows


@dataclass(frozen=True)
class Position:
    """What the primary said at a moment (seconds since 1970): how far it had written, and its snapshot.

    A snapshot is ``xmin:xmax:running``, as pg_current_snapshot() writes it.
    """

    at: float
    timeline: int
    lsn: int
    snapshot: str

    @property
    def quiet(self) -> bool:
        """No transaction with a number was under way."""
        parts = self.snapshot.split(":")
        return len(parts) == 3 and parts[0] == parts[1] and not parts[2]

    def same_transactions(self, other: Position) -> bool:
        """No transaction took a number between the two."""
        return (self.timeline, self.snapshot) == (other.timeline, other.snapshot)


@dataclass(frozen=True)
class Archived:
    """How far one repository's archive reaches along its newest timeline, and what a scraper is to know of it."""

    path: tuple[tuple[int, int | None], ...]
    lsn: int | None
    gaps: int
    last_time: float | None
    window_start: float | None
    window_end: float | None

    def covers(self, position: Position) -> bool:
        """Whether all that was written by then is there, on the way to the newest timeline."""
        left = dict(self.path)
        if self.lsn is None or position.timeline not in left or position.lsn > self.lsn:
            return False
        end = left[position.timeline]
        return end is None or position.lsn <= end


def archived(holdings: Holdings) -> Archived:
    """What a repository's holdings come to."""
    chain, newest = holdings.chain, holdings.chain.newest()
    own = [window for window in windows(holdings) if window.timeline == newest]
    best: Window | None = max(own, key=lambda window: window.reach.lsn, default=None)
    last = chain.timelines[newest].last_time if newest is not None else None
    return Archived(
        path=tuple(chain.lineage(newest)) if newest is not None else (),
        lsn=None if best is None else best.reach.lsn,
        gaps=len(gaps(chain)),
        last_time=last,
        window_start=None if best is None else float(best.backups[0].stopped),
        window_end=None if best is None else best.to_time,
    )


def safe_until(positions: t.Sequence[Position], reach: Archived, before: Position | None) -> Position | None:
    """The latest moment until which every commit is archived.

    :param positions: what the primary said, oldest first.
    :param before: the answer of the last time; it counts while the archive still reaches as far.
    """
    known = sorted([*([before] if before is not None else []), *positions], key=lambda position: position.at)
    safe: Position | None = None
    for position in known:
        if reach.covers(position):
            safe = position
        elif safe is not None and safe.quiet and position.same_transactions(safe):
            safe = replace(safe, at=position.at)
    return safe
