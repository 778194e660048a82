# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much WAL a recovery has to replay, from positions alone: no clock is asked. Pure."""

from __future__ import annotations

import itertools
import statistics
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Made

#: The newest intervals between backups that are looked at: a week of hourly ones.
INTERVALS = 168


@dataclass(frozen=True)
class Amount:
    """Bytes of WAL: expected, at least and at most."""

    bytes: float
    low: float
    high: float


def wal_since(present: Sequence[Made], repo: int, ends: Mapping[int, int]) -> Amount | None:
    """WAL from the begin of the newest backup to the end of the archive.

    Where nobody looked at the archive, its end lies as far behind the last known position as backups lie apart.
    """
    base = next((one for one in reversed(present) if one.repo == repo and one.start_lsn is not None), None)
    if base is None or base.start_lsn is None:
        return None
    if repo in ends and ends[repo] >= base.start_lsn:
        exact = float(ends[repo] - base.start_lsn)
        return Amount(exact, exact, exact)
    between = intervals(present, repo if repo == 1 else None)
    if not between:
        return None
    stops = (one.stop_lsn for one in reversed(present) if one.stop_lsn is not None)
    least = float(max(next(stops, base.start_lsn) - base.start_lsn, 0))
    return Amount(least + statistics.median(between), least, least + max(between))


def wal_between(present: Sequence[Made], repo: int, ends: Mapping[int, int]) -> Amount | None:
    """WAL from a backup's begin to a target before the next one."""
    between = intervals(present, repo)
    if not between:
        since = wal_since(present, repo, ends)
        return None if since is None else Amount(since.bytes, 0.0, since.high)
    return Amount(statistics.median(between), 0.0, max(between))


def intervals(present: Sequence[Made], repo: int | None) -> list[float]:
    """Bytes of WAL between each backup and the next. After a restore to the past, positions go back: no interval."""
    own = [one for one in present if repo in (one.repo, None)][-INTERVALS - 1 :]
    found = []
    for before, after in itertools.pairwise(own):
        if before.start_lsn is not None and after.start_lsn is not None:
            if after.start_lsn >= before.start_lsn:
                found.append(float(after.start_lsn - before.start_lsn))
        elif after.wal_since_last is not None:
            found.append(after.wal_since_last)
    return found


def ends_of(windows: Sequence[Mapping[str, t.Any]]) -> dict[int, int]:
    """Per repository, where the archive of its newest timeline ends: as recovery_window tells it."""
    newest: dict[int, tuple[int, int]] = {}
    for one in windows:
        repo, timeline, end = records.repo_of(one), records.number(one, "timeline"), records.position(one, "to_lsn")
        if repo is not None and timeline is not None and end is not None:
            newest[repo] = max(newest.get(repo, (0, 0)), (int(timeline), end))
    return {repo: end for repo, (_timeline, end) in newest.items()}
