# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two programs of a planned switchover have in common: how they say what became of them, and how they end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import types
import typing as t
from datetime import datetime, timezone


class Told(Exception):
    """The unit is being stopped."""


def raise_when_told() -> None:
    """Let systemd's SIGTERM come as an exception."""
    signal.signal(signal.SIGTERM, _told)


def _told(_number: int, _frame: types.FrameType | None) -> t.NoReturn:
    raise Told


class State:
    """What became of it, for whoever asks later."""

    def __init__(self, path: str, token: str) -> None:
        self.path = path
        self.content: dict[str, t.Any] = {"token": token, "events": []}

    def event(self, name: str) -> None:
        self.content["events"].append(
            {
                "name": name,
                "monotonic_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
                "utc": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
            }
        )

    def write(self, state: str, reason: str = "", **more: t.Any) -> None:
        self.content.update(state=state, reason=reason, **more)
        unfinished = f"{self.path}.{os.getpid()}"
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(self.content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)

    def end(self, state: str, reason: str, rc: int, **more: t.Any) -> int:
        self.event(state)
        self.write(state, reason, **more)
        if reason:
            print(f"{state}: {reason}", file=sys.stderr)
        return rc
