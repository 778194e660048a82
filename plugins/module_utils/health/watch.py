# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that look: at the member many times a second, at everything else now and then.

Each keeps its last result, replaced as a whole, which is atomic. A thread that hangs (a frozen file system
holds whoever looks at it) delays no other one and no answer: its result grows old, and is unknown then.
"""

from __future__ import annotations

import abc
import contextlib
import sys
import threading
import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading, Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import (
    Finding,
    Look,
    Status,
    worst,
)

#: How long a member in trouble is looked at more often than at rest, in seconds: a promotion happens in this time.
QUICK_PERIOD = 30.0


def seen_now() -> str:
    """The wall clock, for people."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def say(words: str) -> None:
    """A line in the host's journal."""
    # Whoever looks goes on where the journal is gone.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()


def pace(poll: float, trouble_for: float | None) -> float:
    """Seconds until the next look at the member.

    At rest: ``poll``. While a standby has no sender, or PostgreSQL does not answer, a promotion or a start is likely
    and clients wait for it: four times as often. When that lasts, less often, since each try leaves a line in a
    starting PostgreSQL's log.
    """
    if trouble_for is None:
        return poll
    return poll / 4 if trouble_for < QUICK_PERIOD else poll * 2.5


class Looker(threading.Thread, abc.ABC):
    """Looks again and again, until it is stopped."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._stop_asked = threading.Event()
        self._said: str | None = None
        self.looked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(self.step()):
            pass

    def stop(self) -> None:
        self._stop_asked.set()

    @abc.abstractmethod
    def step(self) -> float:
        """One look; returns the seconds to wait before the next one."""

    def tell(self, words: str) -> None:
        """A line in the journal for each change, not for each look."""
        if words != self._said:
            self._said = words
            say(words)


class Watcher(Looker):
    """Keeps the latest reading of the member."""

    def __init__(self, look: t.Callable[[], Reading], poll: float) -> None:
        super().__init__("watcher")
        self._look = look
        self._poll = poll
        self._trouble_since: float | None = None
        self.latest: Result | None = None

    def step(self) -> float:
        began, seen_at = time.monotonic(), seen_now()
        reading, error = None, None
        try:
            reading = self._look()
        except LookFailed as failure:
            error = failure.message
        except Exception as failure:  # noqa: BLE001
            # A thread that ended would take a healthy primary out of service until the next restart: with many
            # connections at once, even select() may refuse a file descriptor.
            error = f"{type(failure).__name__}: {failure}"
        self.latest = Result(began, seen_at, reading, error)
        self.looked.set()
        if reading is None:
            self.tell(f"unknown: {error}")
        else:
            self.tell(("standby" if reading.in_recovery else "primary") + (", fenced" if reading.fenced else ""))
        calm = reading is not None and (reading.streaming or not reading.in_recovery)
        self._trouble_since = None if calm else (self._trouble_since or began)
        return pace(self._poll, None if self._trouble_since is None else began - self._trouble_since)


class Checker(Looker):
    """Keeps the latest look of one check. ``record`` is told of each, with the seconds that it took."""

    def __init__(
        self,
        name: str,
        look: t.Callable[[], t.Sequence[Finding]],
        every: float,
        record: t.Callable[[Look, float], None] | None = None,
    ) -> None:
        super().__init__(name)
        self._look = look
        self._every = every
        self._record = record
        self.latest: Look | None = None

    def step(self) -> float:
        began, seen_at = time.monotonic(), seen_now()
        try:
            findings, error = tuple(self._look()), None
        except ResilienceError as failure:
            findings, error = (), failure.message
        except Exception as failure:  # noqa: BLE001
            # A mistake in one check is that check's: a thread that ended would be unknown until the next restart.
            findings, error = (), f"{type(failure).__name__}: {failure}"
        self.latest = Look(began, seen_at, findings, error)
        self.looked.set()
        if self._record is not None:
            self._record(self.latest, time.monotonic() - began)
        status = Status.UNKNOWN if error else worst(finding.status for finding in findings)
        wrong = error or "; ".join(one.reason for one in findings if one.status is not Status.PASS)
        self._tell_status(status, wrong)
        return max(0.0, self._every - (time.monotonic() - began))

    def _tell_status(self, status: Status, wrong: str) -> None:
        """Reasons hold numbers that change with each look; the journal has one for each change of the status."""
        if status.value != self._said:
            self._said = status.value
            say(f"{self.name}: {status.value}{': ' if wrong else ''}{wrong}")
