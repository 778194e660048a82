# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a member is, by the last reading of it: primary, replica, ready, or unknown. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Judged, Status


@dataclass(frozen=True)
class Reading:
    """What PostgreSQL said. Lag is in bytes and known only while streaming; ``fenced`` is the marker on this host."""

    in_recovery: bool
    timeline: int | None
    current_lsn: str | None
    receive_lsn: str | None
    replay_lsn: str | None
    streaming: bool
    lag_bytes: int | None
    system_identifier: str
    fenced: bool


@dataclass(frozen=True)
class Result:
    """The last look: a reading, or why there is none. ``began``: monotonic clock, before anything was asked."""

    began: float
    seen_at: str
    reading: Reading | None
    error: str | None


Question = t.Callable[[Reading, "int | None"], Judged]


def judge(result: Result | None, now: float, stale_after: float, question: Question, lag: int | None = None) -> Judged:
    """The answer to one question, if there is a reading that may be relied upon."""
    if result is None:
        return Judged(Status.UNKNOWN, "unknown: PostgreSQL has not been looked at yet")
    age = max(0.0, now - result.began)
    if age > stale_after:
        said = f"the last look is {age:.2f} s old (limit {stale_after:g} s); PostgreSQL or its storage hangs"
        return Judged(Status.UNKNOWN, f"unknown: {said}", age)
    if result.reading is None:
        return Judged(Status.UNKNOWN, f"unknown: {result.error}", age)
    if result.reading.fenced:
        return Judged(Status.FAIL, "this member is fenced", age)
    answer = question(result.reading, lag)
    return Judged(answer.status, answer.reason, age)


def ready(reading: Reading, _lag: int | None) -> Judged:
    if reading.in_recovery and not reading.streaming:
        return Judged(Status.WARN, "a standby that receives no stream: what it shows grows old")
    return Judged(Status.PASS, "standby, streaming" if reading.in_recovery else "primary")


def primary(reading: Reading, _lag: int | None) -> Judged:
    return Judged(Status.FAIL, "this member is a standby") if reading.in_recovery else Judged(Status.PASS, "primary")


def replica(reading: Reading, lag: int | None) -> Judged:
    """With a limit, an unknown lag is over it."""
    if not reading.in_recovery:
        return Judged(Status.FAIL, "this member is the primary")
    if lag is None:
        return ready(reading, None)
    if reading.lag_bytes is None:
        return Judged(Status.FAIL, "receives no stream, so its lag is unknown")
    over = reading.lag_bytes > lag
    return Judged(Status.FAIL if over else Status.PASS, f"{reading.lag_bytes} bytes behind (limit {lag})")
