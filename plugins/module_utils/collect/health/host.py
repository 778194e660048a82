# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself: file systems, memory, certificates, timers."""

from __future__ import annotations

import os
import time
import typing as t
from collections import deque
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import certificate
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.certificate import DAY
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.host import HOUR, Room, Timer

MEMINFO, VMSTAT = Path("/proc/meminfo"), Path("/proc/vmstat")
ANSWERS_WITHIN = 5.0


class Rooms:
    """File systems, with what was free in the last hour. A path that is not there is asked for its parent's."""

    def __init__(self, paths: t.Sequence[str], run: Runner) -> None:
        self._past: dict[str, deque[tuple[float, float]]] = {path: deque() for path in paths}
        self._run = run

    def look(self) -> list[Room]:
        return [self._room(path, past) for path, past in self._past.items()]

    def _room(self, path: str, past: deque[tuple[float, float]]) -> Room:
        now = time.monotonic()
        try:
            seen = os.statvfs(path)
        except OSError as error:
            raise LookFailed(f"{path} cannot be looked at: {error.strerror}") from error
        free, used = seen.f_bavail * seen.f_frsize, (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        past.append((now, float(free)))
        while past[0][0] < now - HOUR:
            past.popleft()
        return Room(
            path=path,
            free_percent=100.0 * free / (free + used or 1),
            free_inodes_percent=100.0 * seen.f_favail / seen.f_files if seen.f_files else None,
            read_only=read_only(path, self._run),
            past=tuple(past),
            free_bytes=float(free),
        )


def read_only(path: str, run: Runner) -> bool:
    """Whether nobody can write there: by the file system's own options, since systemd shows its units a view of their
    own of a whole one (``ProtectSystem=``), which is read-only for them alone.
    """
    argv = ["findmnt", "--noheadings", "--output", "FS-OPTIONS", "--target", path]
    lines = run(argv, timeout=ANSWERS_WITHIN).stdout.strip().splitlines()
    if not lines:
        raise LookFailed(f"findmnt tells no options of the file system of {path}")
    # One line for each that is mounted at this place; the last one covers the others.
    return "ro" in lines[-1].split(",")


class Memory:
    """What is available, and how many processes the kernel has killed within the hour that was looked at."""

    def __init__(self, meminfo: Path = MEMINFO, vmstat: Path = VMSTAT) -> None:
        self._meminfo, self._vmstat = meminfo, vmstat
        self._past: deque[tuple[float, int]] = deque()

    def look(self) -> tuple[float, int | None]:
        memory = _numbers(self._meminfo)
        try:
            available = 100.0 * memory["MemAvailable:"] / memory["MemTotal:"]
        except (KeyError, ZeroDivisionError) as error:
            raise LookFailed(f"{self._meminfo} does not say what is available") from error
        return available, self._kills(_numbers(self._vmstat).get("oom_kill"))

    def _kills(self, now_killed: int | None) -> int | None:
        if now_killed is None:
            return None
        now = time.monotonic()
        self._past.append((now, now_killed))
        while self._past[0][0] < now - HOUR:
            self._past.popleft()
        return now_killed - self._past[0][1]


def _numbers(path: Path) -> dict[str, int]:
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except OSError as error:
        raise LookFailed(f"{path} cannot be read: {error.strerror}") from error
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


class Certificates:
    """Files' first certificates. Only those that were replaced are read again, so a look may be taken often."""

    def __init__(self, paths: t.Sequence[str], run: Runner) -> None:
        self._paths = paths
        self._run = run
        self._known: dict[str, tuple[object, float]] = {}

    def look(self) -> dict[str, float]:
        """Days until each of them ends."""
        now = time.time()
        return {path: (self._ends(path) - now) / DAY for path in self._paths}

    def _ends(self, path: str) -> float:
        try:
            seen = os.stat(path)
        except OSError as error:
            raise LookFailed(f"{path} cannot be looked at: {error.strerror}") from error
        stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        known, ends = self._known.get(path, (None, 0.0))
        if known != stamp:
            ends = certificate.read(path, self._run)[0].ends
            self._known[path] = (stamp, ends)
        return ends


def timers(names: t.Sequence[str], run: Runner) -> list[Timer]:
    asked = ["Id", "LoadState", "ActiveState", "Unit", "NextElapseUSecRealtime", "NextElapseUSecMonotonic"]
    shown = _shown(names, asked, run)
    results = _shown([one.get("Unit", "") for one in shown], ["Id", "Result"], run)
    return [
        Timer(
            name=name,
            loaded=one.get("LoadState") == "loaded",
            active=one.get("ActiveState") == "active",
            due=any(one.get(key) not in {None, "", "infinity"} for key in asked[-2:]),
            result=result.get("Result", "nothing"),
        )
        for name, one, result in zip(names, shown, results, strict=True)
    ]


def _shown(units: t.Sequence[str], properties: t.Sequence[str], run: Runner) -> list[dict[str, str]]:
    """What systemd knows of each unit; of an empty name nothing."""
    argv = ["systemctl", "show", f"--property={','.join(properties)}", "--", *(unit or "-.nothing" for unit in units)]
    said = run(argv, timeout=ANSWERS_WITHIN).stdout.strip()
    parts = [dict(line.partition("=")[::2] for line in part.splitlines()) for part in said.split("\n\n")]
    if len(parts) != len(units):
        raise LookFailed(f"systemd told of {len(parts)} units where {len(units)} were asked for")
    return parts
