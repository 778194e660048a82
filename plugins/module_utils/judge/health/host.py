# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured of a host, as findings. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import (
    Finding,
    Status,
    at_least,
    told,
)

Limits = tuple[float, float]
HOUR = 3600.0
#: A prediction needs this much of the past, and counts only where less than this part is free: logs come and go.
PAST_SECONDS, CROWDED_PERCENT = 900.0, 50.0


@dataclass(frozen=True)
class Room:
    """A file system, as ``df`` counts it. ``past``: moments on one clock, with the bytes that were free then."""

    path: str
    free_percent: float
    free_inodes_percent: float | None
    read_only: bool
    past: tuple[tuple[float, float], ...] = ()
    free_bytes: float | None = None


@dataclass(frozen=True)
class RoomLimits:
    """Percent, bytes, percent of inodes, and hours until it is full: each to warn at, and to fail at."""

    free: Limits
    free_bytes: Limits
    inodes: Limits
    hours: Limits


def rooms(seen: t.Sequence[Room], limits: RoomLimits) -> list[Finding]:
    return [finding for room in seen for finding in _room(room, limits)]


def _room(room: Room, limits: RoomLimits) -> t.Iterator[Finding]:
    if room.read_only:
        yield Finding(Status.FAIL, f"{room.path} is read-only", "read_only", 1.0, of=room.path)
    yield at_least("free", room.free_percent, limits.free, "%", f"{room.path}: free", room.path)
    if any(limits.free_bytes):
        yield at_least("free_bytes", room.free_bytes, limits.free_bytes, "bytes", f"{room.path}: free", room.path)
    if room.free_inodes_percent is not None:
        said = f"{room.path}: free inodes"
        yield at_least("free_inodes", room.free_inodes_percent, limits.inodes, "%", said, room.path)
    left = hours_left(room.past)
    if left is not None and room.free_percent < CROWDED_PERCENT:
        yield at_least("full_in", left, limits.hours, "hours", f"{room.path} is full in", room.path)


def hours_left(past: t.Sequence[tuple[float, float]]) -> float | None:
    """Hours until nothing is free, by the straight line through the past; None where that is level, or too short."""
    if len(past) < 3 or past[-1][0] - past[0][0] < PAST_SECONDS:
        return None
    middle = sum(at for at, _free in past) / len(past)
    mean = sum(free for _at, free in past) / len(past)
    spread = sum((at - middle) ** 2 for at, _free in past)
    slope = sum((at - middle) * (free - mean) for at, free in past) / spread
    return None if slope >= 0 else past[-1][1] / -slope / HOUR


def memory(available_percent: float, kills: int | None, limits: Limits) -> list[Finding]:
    """``kills``: processes that the kernel has killed for want of memory within the last hour."""
    found = [at_least("available", available_percent, limits, "%", "memory that is available")]
    if kills is not None:
        said = f"{kills} processes were killed for want of memory within the hour"
        found.append(Finding(Status.WARN if kills else Status.PASS, said, "kills", float(kills)))
    return found


@dataclass(frozen=True)
class Offset:
    """How far a peer's clock is ahead of ours, within ``bound``; None where the peer gave no answer."""

    peer: str
    seconds: float | None
    bound: float = 0.0


def clock(offsets: t.Sequence[Offset], limits: Limits) -> list[Finding]:
    """Ours is wrong where most peers say so. A single peer cannot tell whose it is; one of many is its own fault."""
    known = [one for one in offsets if one.seconds is not None]
    if not known:
        return [Finding(Status.UNKNOWN, "no peer tells its time", "offset", None, "s")]
    away = {one.peer: max(0.0, abs(one.seconds or 0.0) - one.bound) for one in known}
    median = sorted(one.seconds or 0.0 for one in known)[len(known) // 2]
    status, said = Status.PASS, ""
    for limit, level in zip(limits, (Status.WARN, Status.FAIL), strict=True):
        off = [peer for peer, seconds in away.items() if seconds >= limit]
        if 2 * len(off) > len(known):
            status = level if len(known) > 1 else Status.WARN
        if off:
            said = f"; {len(off)} of {len(known)} peers differ by {told(limit, 's')} or more: {', '.join(off)}"
    return [Finding(status, f"peers are ahead by {told(median, 's')}{said}", "offset", median, "s")]


def certificates(days: t.Mapping[str, float], limits: Limits) -> list[Finding]:
    return [at_least("days", left, limits, "days", f"{path} is valid for", path) for path, left in days.items()]


@dataclass(frozen=True)
class Timer:
    """``result``: of the last run of the unit that it starts, as systemd calls it."""

    name: str
    loaded: bool
    active: bool
    due: bool
    result: str


def timers(seen: t.Sequence[Timer]) -> list[Finding]:
    return [_timer(timer) for timer in seen]


def _timer(timer: Timer) -> Finding:
    said = ""
    if not timer.loaded:
        said = f"{timer.name} is not there"
    elif not timer.active:
        said = f"{timer.name} does not run"
    elif not timer.due:
        said = f"{timer.name} does not know when it is due"
    elif timer.result != "success":
        said = f"the last run of {timer.name} ended with {timer.result}"
    return Finding(Status.FAIL if said else Status.PASS, said or f"{timer.name} is due", "due", float(not said),
                   of=timer.name)  # fmt: skip
