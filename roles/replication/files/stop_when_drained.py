#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops this primary as soon as the gateway says that it holds the clients, and leaves it ready to start as a standby.

    armed ──NOTIFY resilience_switchover with the token──> stopped
      ├── deadline ──> expired
      └── told to stop ──> disarmed

Until the word comes, nothing is changed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import typing as t
from pathlib import Path

import gateway_word

POLL_SECONDS = 0.01
#: Seconds that a fast shutdown may take; the shutdown checkpoint is most of it.
STOP_SECONDS = 120


def main() -> int:
    parser = gateway_word.parser("Stop this primary once the gateway holds its clients.")
    return gateway_word.run(parser.parse_args(), act)


def act(member: dict[str, t.Any], _given: argparse.Namespace) -> tuple[str, str]:
    stop(Path(member["data_dir"]))
    # With this file it can only ever start as a standby.
    (Path(member["data_dir"]) / "standby.signal").touch()
    return "stopped", ""


def stop(data_dir: Path) -> None:
    """A fast shutdown, waited for until the postmaster is gone."""
    pid = int((data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    os.kill(pid, signal.SIGINT)
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(POLL_SECONDS)
    raise OSError(f"the postmaster {pid} did not end within {STOP_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
