# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time changes a host's data: a run that was killed left modules behind that work on, and the next run waits.

The lock is inherited by what a module runs, so that it is held until pgBackRest or pg_rewind has ended, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll, utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError, UnknownError

#: In memory: a disk that is full must not keep anybody from taking over, and no holder outlives a boot.
DIRECTORY = Path("/run/resilience-locks")
POLL_SECONDS = 0.2


@contextlib.contextmanager
def alone(subject: str, operation: str, *, wait: float, needed: bool = True) -> t.Iterator[None]:
    """Nobody else works on the subject of this host meanwhile.

    :param subject: what is changed: ``data``, or ``repository``.
    :param operation: who changes it, for those who wait in vain.
    :param wait: seconds that an earlier one has to come to its end.
    :param needed: without, as in check mode, nothing is locked.
    :raises RefusedError: it has not ended by then.
    """
    if not needed:
        yield
        return
    DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    descriptor = os.open(DIRECTORY / f"{subject}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, subject, wait)
        _say(descriptor, {"operation": operation, "pid": os.getpid(), "since": utc_now()})
        with command.kept_open(descriptor):
            yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, subject: str, wait: float) -> None:
    def free() -> bool | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return True

    try:
        poll(free, timeout=wait, interval=POLL_SECONDS, what=f"the {subject} of this host are left alone")
    except UnknownError as error:
        raise RefusedError(
            f"another operation works on the {subject} of this host, and has not ended for {wait:g} s",
            given=_told(descriptor),
            next_step="let it end, or end its process and what it started, then run this again",
        ) from error


def _say(descriptor: int, holder: t.Mapping[str, t.Any]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _told(descriptor: int) -> str:
    """Who holds it, as far as it said so."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return "it did not say what it is"
    return f"{holder['operation']}, process {holder['pid']}, since {holder['since']}"
