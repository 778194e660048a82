# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records of backups and verifications say, read with care: a field of another kind is not known. Pure.

Order is the order of the lines. A clock that was set back changes times, not lines, so durations, positions and "the
newest" never rest on a time; what does, as a trend over days, leaves times out that contradict most others.
"""

from __future__ import annotations

import bisect
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import LSN, lsn_to_int

Record = t.Mapping[str, t.Any]
DAY = 86400.0
#: No size, position or duration is larger; a number that is, is none.
MOST = 2**64


def number(record: t.Any, *names: str) -> float | None:
    """A number that is not negative, below the names; None where there is none."""
    value = _below(record, names)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return None
    return float(value)


def text(record: t.Any, *names: str) -> str | None:
    """Words below the names; None where there are none."""
    value = _below(record, names)
    return value if isinstance(value, str) and value else None


def moment(record: t.Any, *names: str) -> float | None:
    """Seconds since 1970 of a time in ISO 8601 with its zone."""
    value = text(record, *names)
    try:
        found = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return found.timestamp() if found is not None and found.tzinfo is not None else None


def position(record: t.Any, name: str) -> int | None:
    """An LSN as a number of bytes."""
    value = text(record, name)
    return lsn_to_int(value) if value and LSN.fullmatch(value) else None


def repo_of(record: Record) -> int | None:
    value = number(record, "repo")
    return int(value) if value is not None and value == int(value) else None


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _below(record: t.Any, names: t.Sequence[str]) -> t.Any:
    for name in names:
        record = record.get(name) if isinstance(record, dict) else None
    return record


def trusted_times(times: t.Sequence[float | None]) -> list[bool]:
    """Which lines bear times in the order of the lines: the most lines that can, the newest ones where either could.

    A clock that was wrong for a while leaves few lines that contradict all others.
    """
    # Patience sorting: per length, the place of the smallest time that a chain of it ends with.
    ends: list[float] = []
    places: list[int] = []
    before: dict[int, int | None] = {}
    for place, time in enumerate(times):
        if time is None:
            continue
        length = bisect.bisect_right(ends, time)
        before[place] = places[length - 1] if length else None
        ends[length : length + 1], places[length : length + 1] = [time], [place]
    kept: set[int] = set()
    last = places[-1] if places else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return [place in kept for place in range(len(times))]


@dataclass(frozen=True)
class Made:
    """A backup that came about. Sizes in bytes, positions as numbers of bytes, ``time`` in seconds since 1970."""

    repo: int
    label: str
    type: str | None
    time: float | None
    size: float | None
    start_lsn: int | None
    stop_lsn: int | None
    system_id: str | None
    version: str | None
    wal_since_last: float | None


def made(catalogue: t.Sequence[Record]) -> list[Made]:
    """The backups in the catalogue that did not fail, oldest first."""
    found = []
    for record in catalogue:
        repo, label = repo_of(record), text(record, "label")
        if repo is None or label is None or text(record, "verdict") == "failed":
            continue
        found.append(
            Made(
                repo=repo,
                label=label,
                type=text(record, "type"),
                time=moment(record, "utc"),
                size=number(record, "size"),
                start_lsn=position(record, "start_lsn"),
                stop_lsn=position(record, "stop_lsn"),
                system_id=text(record, "system_id"),
                version=text(record, "versions", "postgresql"),
                wal_since_last=number(record, "wal_bytes_since_last"),
            )
        )
    return found


@dataclass(frozen=True)
class Restored:
    """A verification that restored and passed: what it moved, and how long each part took, in seconds."""

    repo: int
    level: str | None
    bytes: float
    restore: float
    wal_bytes: float | None
    replay: float | None
    total: float | None
    version: str | None
    delta: bool


def restored(verifications: t.Sequence[Record], versions: t.Mapping[str, str]) -> list[Restored]:
    """The restores that can be learned from, oldest first.

    :param versions: PostgreSQL's major version by the label of a backup.
    """
    found = []
    for record in verifications:
        repo, size, took = repo_of(record), number(record, "restored_bytes"), number(record, "seconds", "restore")
        if text(record, "verdict") != "passed" or repo is None or size is None or took is None:
            continue
        found.append(
            Restored(
                repo=repo,
                level=text(record, "level"),
                bytes=size,
                restore=took,
                wal_bytes=number(record, "replayed_bytes"),
                replay=number(record, "seconds", "replay"),
                total=number(record, "seconds", "total"),
                version=versions.get(text(record, "label") or ""),
                delta=record.get("delta") is True,
            )
        )
    return found
