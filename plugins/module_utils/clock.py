# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monotonic deadlines, and stamps for phases.

Durations come from one host's monotonic clock; two hosts' clocks are never subtracted.
"""

from __future__ import annotations

import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError

T = t.TypeVar("T")


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in nanoseconds: the same clock for every process of this host, until it reboots."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def utc_now() -> str:
    """The wall clock as ISO 8601 in UTC with microseconds, for people; never for arithmetic."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Deadline:
    """A moment on the monotonic clock, ``seconds`` from now."""

    def __init__(self, seconds: float, now: t.Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + seconds

    def left(self) -> float:
        """Seconds that remain, never below 0."""
        return max(0.0, self._end - self._now())

    def expired(self) -> bool:
        return self.left() == 0.0


def poll(
    predicate: t.Callable[[], T | None],
    *,
    timeout: float,
    interval: float,
    what: str,
    sleep: t.Callable[[float], None] = time.sleep,
) -> T:
    """Ask ``predicate`` until it answers something other than ``None``.

    :param what: what is waited for, in the words of the error: "standby pg-a2 streams".
    :raises UnknownError: after ``timeout`` seconds without an answer.
    """
    deadline = Deadline(timeout)
    while True:
        answer = predicate()
        if answer is not None:
            return answer
        if deadline.expired():
            raise UnknownError(f"waited {timeout:g} s in vain: {what}")
        sleep(min(interval, deadline.left()))
