# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup by the program of role backup costs the clients, beside the same backup by pgBackRest alone.

On this machine, with a cluster of its own and no lab: program, pgBackRest and server share its processors, which is the
worst case for the clients; in a lab they are hosts of their own on the same processors.

pgbench runs for a fixed time, in which one full backup begins and ends, so that whatever the program does before and
after pgBackRest counts too. A round is ours, by hand, by hand, ours: what drifts from window to window cancels out.

    .venv/bin/python tests/bench/backup_tps.py 5        five rounds on the terminal; as root
    .venv/bin/python tests/bench/backup_tps.py 1 50     one round with 50 MiB, on a busy machine
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "unit"))

import forecast_error  # noqa: E402
import restore_samples  # noqa: E402
from real_cluster import PROGRAMS, Cluster, become  # noqa: E402

FIGURE = "backup_tps_overhead_percent"
FOLDER = Path("/var/tmp/resilience-tps-bench")
#: pgbench's scale (15 MB each), and MiB beside it that do not compress, so that a backup has something to do.
SCALE, BALLAST = 20, 700
CLIENTS = 4
#: A window is longer than the longest backup that was seen: seconds, and times.
BEYOND, SPARE = 2.0, 1.3
#: Seconds that a backup may take at all.
LONGEST = 180
ROUND = ("ours", "by hand", "by hand", "ours")
SETTINGS = "fsync = on\nshared_buffers = 256MB\nmax_wal_size = 4GB\ncheckpoint_timeout = 30min\n"
TPS = re.compile(r"^tps = ([\d.]+) ", re.MULTILINE)


class TooLong(AssertionError):
    """A backup did not end inside its window."""


class Site:
    """The cluster of one measurement, from ``make`` to ``remove``; ``window`` is in seconds."""

    cluster: Cluster
    window = 0

    def __init__(self, mebibytes: int = BALLAST) -> None:
        self.mebibytes = mebibytes
        self.by_hand: list[float] = []

    def make(self, _bench: t.Any = None) -> None:
        self.remove()
        FOLDER.mkdir(mode=0o755)
        self.cluster = cluster = Cluster(FOLDER)
        cluster.stop()
        with (FOLDER / "data/postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(SETTINGS)
        cluster.start()
        rows = self.mebibytes * 2**20 // restore_samples.STORED
        cluster.sql(restore_samples.filled("ballast", restore_samples.LOADED, rows))
        pgbench = pgbench_argv(cluster, "--initialize", f"--scale={SCALE}", "--quiet")
        subprocess.run(pgbench, check=True, capture_output=True, cwd="/")
        # pgBackRest keeps the last full backup; those of the windows are removed after them.
        for repo in (1, 2):
            cluster.backup(repo, "full")
        self.window = window_of([self.seconds_of(whose) for whose in ("ours", "by hand")])
        forecast_error.say(f"windows of {self.window} s")

    def remove(self, _bench: t.Any = None) -> None:
        """Also what a run that was killed has left."""
        if (FOLDER / "data/postmaster.pid").exists():
            argv = [*become(), str(PROGRAMS[-1].with_name("pg_ctl")), "-D", f"{FOLDER}/data", "-m", "immediate", "stop"]
            subprocess.run(argv, capture_output=True, cwd="/", check=False)
        shutil.rmtree(FOLDER, ignore_errors=True)

    def overhead(self, _bench: t.Any = None) -> dict[str, float]:
        """One round: the sample by the id of its figure."""
        found: dict[str, list[float]] = {whose: [] for whose in ROUND}
        for whose in ROUND:
            found[whose].append(self.tps(whose))
        told = ", ".join(f"{whose} {one:.0f}" for whose, both in found.items() for one in both)
        forecast_error.say(f"  transactions a second: {told}")
        self.by_hand = found["by hand"]
        return {FIGURE: percent(found["ours"], self.by_hand)}

    def noise(self, _bench: t.Any = None) -> dict[str, float]:
        """Beside it: how far the round's two windows by hand are apart, which nothing but the machine explains."""
        return {FIGURE: abs(percent(self.by_hand[:1], self.by_hand[1:]))}

    def tps(self, whose: str) -> float:
        """Transactions a second in a window in which one backup is taken."""
        self.cluster.sql("CHECKPOINT")
        with self.clients(self.window) as clients:
            back_up(self.cluster, whose)
            late = clients.poll() is not None
            said, _nothing = clients.communicate(timeout=self.window + 60)
        self.forget()
        if late:
            raise TooLong(f"the backup ({whose}) did not end within {self.window} s")
        return tps_of(said)

    def seconds_of(self, whose: str) -> float:
        """How long a backup takes beside clients."""
        begin = time.monotonic()
        with self.clients(LONGEST):
            back_up(self.cluster, whose)
            seconds = time.monotonic() - begin
        self.forget()
        return seconds

    @contextlib.contextmanager
    def clients(self, seconds: float) -> t.Iterator[subprocess.Popen[str]]:
        """Clients for so long, or as long as the block lasts, whichever is shorter."""
        argv = pgbench_argv(self.cluster, f"--time={seconds:.0f}", f"--client={CLIENTS}")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/") as process:
            try:
                yield process
            finally:
                # runuser hands it on to pgbench.
                process.terminate()

    def forget(self) -> None:
        """The newest backup of repository 1 goes, so that each window finds the same."""
        labels = [one["label"] for one in self.cluster.info()["backup"] if one["database"]["repo-key"] == 1]
        self.cluster.pgbackrest("--repo=1", f"--set={labels[-1]}", "expire")


def window_of(seconds: t.Sequence[float]) -> int:
    """Seconds in which each of such backups ends."""
    return math.ceil(SPARE * max(seconds) + BEYOND)


def percent(ours: t.Sequence[float], by_hand: t.Sequence[float]) -> float:
    """How many transactions fewer there are with ours, in percent; less than nothing where there are more."""
    return 100 * (1 - sum(ours) / sum(by_hand))


def tps_of(said: str) -> float:
    found = TPS.search(said)
    if found is None:
        raise AssertionError(f"pgbench did not say how fast it was: {said[-500:]}")
    return float(found[1])


def back_up(cluster: Cluster, whose: str) -> None:
    """One full backup into repository 1."""
    if whose == "by hand":
        cluster.pgbackrest("--repo=1", "--type=full", "backup")
        return
    code, line = cluster.take("1-full", from_standby=False)
    bad = [check for check in line["checks"] if check["verdict"] == "failed"]
    if code or bad:
        raise AssertionError(f"the program's backup ended with {code}: {line['verdict']}, {bad}")


def pgbench_argv(cluster: Cluster, *options: str) -> list[str]:
    where = ["-h", str(cluster.folder), "-p", str(cluster.port), "-U", "postgres"]
    return [*become(), str(cluster.bin / "pgbench"), *where, *options, "postgres"]


def here(count: int, mebibytes: int) -> None:
    with contextlib.ExitStack() as stack:
        site = Site(mebibytes)
        stack.callback(site.remove)
        site.make()
        for _round in range(count):
            forecast_error.say(f"{site.overhead()}, by hand against itself {site.noise()}")


if __name__ == "__main__":
    here(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else BALLAST)
