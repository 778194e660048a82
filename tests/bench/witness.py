# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tests/lab/independent_writer.py on the observer, and reads what it saw."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
import typing as t
from pathlib import Path

from lab_hosts import Lab

PROGRAM = Path(__file__).resolve().parents[1] / "lab" / "independent_writer.py"
#: Seconds after which a writer ends that nobody ended.
LONGEST = 900


class Attempt(t.NamedTuple):
    """``moment`` in seconds of CLOCK_MONOTONIC, which all hosts of the lab share."""

    moment: float
    acked: bool
    number: int


class Witness:
    """A writer as long as the block lasts."""

    def __init__(self, lab: Lab, dsn: str, *, interval: float = 0.01, patience: float = 1.0) -> None:
        self.argv = [*ssh(lab, "observer"), f"python3 - '{dsn}' {LONGEST} {interval} {patience}"]
        self.attempts: list[Attempt] = []

    def __enter__(self) -> Witness:
        with PROGRAM.open("rb") as program:
            self.process = subprocess.Popen(self.argv, stdin=program, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.await_acks(50)
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.reader.join(10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            moment, outcome, number = line.split()
            self.attempts.append(Attempt(float(moment), outcome == "acked", int(number)))

    def await_acks(self, count: int, since: float = 0.0, seconds: float = 120) -> None:
        """Wait until ``count`` commits were acknowledged after the moment ``since``."""
        end = time.monotonic() + seconds
        while sum(one.acked and one.moment > since for one in self.attempts[-count:]) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{count} commits were not acknowledged within {seconds} s")
            time.sleep(0.1)

    def await_gap(self, since: float, longer: float = 1.0, seconds: float = 30) -> None:
        """Wait until nothing has been acknowledged for ``longer`` seconds, at some moment after ``since``."""
        end = time.monotonic() + seconds
        while time.monotonic() - max((one.moment for one in self.acked()[-1:]), default=since) < longer:
            if time.monotonic() > end:
                raise TimeoutError(f"commits never ceased for {longer} s")
            time.sleep(0.05)

    def acked(self) -> list[Attempt]:
        return [one for one in self.attempts if one.acked]

    def longest_gap(self) -> float:
        """Seconds between two acknowledged commits, at most."""
        moments = [one.moment for one in self.acked()]
        return max(after - before for before, after in itertools.pairwise(moments))

    def failed(self) -> int:
        return len(self.attempts) - len(self.acked())


def ssh(lab: Lab, host: str) -> list[str]:
    address, user, key, options = (
        str(lab.variable(host, f"ansible_{word}")) for word in ("host", "user", "ssh_private_key_file", "ssh_args")
    )
    return ["ssh", *options.split(), "-i", key, f"{user}@{address}"]
