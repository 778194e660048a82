# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far is a forecast off on sizes that it has not seen? Learned from restores of some sizes, tested by others.

In the lab on the repository host: a throw-away cluster grows through all sizes, with a backup and some WAL at each.
Those to learn from are restored twice; then each round restores the others, and compares with what was forecast.

    .venv/bin/python tests/bench/forecast_error.py --here 0.1:16 0.2:64 0.4:32 -- 0.3:48    on this machine, as root
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import forecast
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int

#: GiB of the database and MiB of WAL to replay: those that are learned from, and others between and beyond them.
#: FORECAST_LEARNED and FORECAST_UNSEEN in the environment choose others.
LEARNED = "0.5:32 1.5:128 4:320"
UNSEEN = "0.75:64 2.5:200 6:256 8:96"
#: How often each size that is learned from is restored.
TIMES = 2
FOLDER = "/var/lib/postgresql/forecast-bench"
SCRIPT = Path(__file__).with_name("restore_samples.py")
HOST = "repo-a"
#: The folder of a run keeps what the rounds need.
STATE = "forecast.json"

Dict = dict[str, t.Any]
Run = t.Callable[..., str]


def on_host(bench: t.Any) -> Run:
    """The script on the lab's repository host."""
    command = "cd / && runuser -u postgres -- python3 -c %s %s %s %s"
    text = SCRIPT.read_text(encoding="utf-8")

    def run(verb: str, given: str = "") -> str:
        return t.cast(str, bench.lab.said(HOST, command, text, verb, FOLDER, given))

    return run


def make(bench: t.Any) -> None:
    """All sizes, and what is learned from them."""
    remove(bench)
    chosen = [
        sizes(os.environ.get(f"FORECAST_{name}", usual)) for name, usual in (("LEARNED", LEARNED), ("UNSEEN", UNSEEN))
    ]
    prepared = prepare(on_host(bench), *chosen)
    (bench.folder / STATE).write_text(json.dumps(prepared), encoding="utf-8")


def unseen(bench: t.Any) -> dict[str, float]:
    """One round: the sample by the id of its figure."""
    prepared = json.loads((bench.folder / STATE).read_text(encoding="utf-8"))
    return {"forecast_error_percent": error_of(compared(on_host(bench), prepared))}


def remove(bench: t.Any) -> None:
    on_host(bench)("remove")


def sizes(words: str) -> list[tuple[float, float]]:
    """``0.5:32 1:128``: pairs of GiB and MiB."""
    return [(float(size), float(wal)) for size, _colon, wal in (one.partition(":") for one in words.split())]


def prepare(run: Run, learned: t.Sequence[tuple[float, float]], others: t.Sequence[tuple[float, float]]) -> Dict:
    """Backups of all sizes, ascending since one cluster grows through them; and the restores that are learned from."""
    wanted = sorted([*learned, *others])
    begin = time.monotonic()
    backups = json.loads(run("make", json.dumps(wanted)))
    say(f"{len(backups)} backups up to {wanted[-1][0]:g} GiB in {time.monotonic() - begin:.0f} s")
    places = [number for number, one in enumerate(wanted) if one in learned]
    lines = [json.loads(run("restore", str(number))) for number in places * TIMES]
    for line in lines:
        say(f"learned: {told(line)}")
    return {"backups": backups, "lines": lines, "unseen": [n for n in range(len(wanted)) if n not in places]}


def compared(run: Run, prepared: Dict) -> list[Dict]:
    """Each size that was not learned from: forecast first, then restored."""
    found = []
    for number in prepared["unseen"]:
        backup = prepared["backups"][number]
        said = predicted(backup, prepared["lines"])
        line = json.loads(run("restore", str(number)))
        seconds = line["seconds"]["restore"] + line["seconds"]["replay"]
        one = {
            "measured": seconds,
            "forecast": said["seconds"],
            "error": 100 * abs(said["seconds"] / seconds - 1),
            "held": said["low"] <= seconds <= said["high"],
        }
        found.append(one)
        where = "in" if one["held"] else "NOT in"
        span = f"{said['low']:.2f} to {said['high']:.2f} s"
        say(f"unseen: {told(line)}; forecast {said['seconds']:.2f} s: {one['error']:.1f} % off, {where} {span}")
    return found


def predicted(backup: Dict, lines: t.Sequence[Dict]) -> Dict:
    """What the judge says of this backup, by the same way that status takes."""
    known = forecast.Known([backup], lines, ends={1: lsn_to_int(backup["target"])})
    said = forecast.judge(known, {}, time.time())["recoveries"][0]
    if said["kind"] != "restore_newest" or said["seconds"] is None:
        raise AssertionError(f"nothing was forecast: {said}")
    return t.cast(Dict, said)


def error_of(found: t.Sequence[Dict]) -> float:
    """A round's error: the mean over the sizes, each in percent of what was measured."""
    return statistics.fmean(one["error"] for one in found)


def told(line: Dict) -> str:
    size, wal, took = line["restored_bytes"] / 2**30, line["replayed_bytes"] / 2**20, line["seconds"]
    return f"{size:.2f} GiB in {took['restore']:.2f} s, {wal:.0f} MiB of WAL in {took['replay']:.2f} s"


def say(line: str) -> None:
    print(f"  {line}", flush=True)


def on_this_machine(folder: str) -> Run:
    """The script here, as the user postgres; it has PostgreSQL and pgBackRest."""
    text = SCRIPT.read_text(encoding="utf-8")

    def run(verb: str, given: str = "") -> str:
        argv = ["runuser", "-u", "postgres", "--", "python3", "-", verb, folder, *([given] if given else [])]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            sys.exit(done.stderr or done.stdout)
        return done.stdout

    return run


def here(arguments: t.Sequence[str]) -> None:
    """On this machine, without a lab."""
    split = list(arguments).index("--")
    learned, others = (sizes(" ".join(part)) for part in (arguments[:split], arguments[split + 1 :]))
    run = on_this_machine(f"/var/tmp/forecast-bench-{time.time_ns()}")
    with contextlib.ExitStack() as stack:
        stack.callback(run, "remove")
        prepared = prepare(run, learned, others)
        for _round in range(2):
            say(f"{error_of(compared(run, prepared)):.1f} %")


if __name__ == "__main__":
    here([one for one in sys.argv[1:] if one != "--here"])
