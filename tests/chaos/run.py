#!/usr/bin/env python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill each operation after each of its tasks, run it again, and see that nothing is lost and nothing left over.

    make chaos                                     every operation, after each task that can leave something new (hours)
    make chaos EVERY=1                             after every single task
    make chaos OPERATIONS=switchover POINTS=3      one operation, three of its points, spread evenly
    make chaos RECORD=1                            what is whole goes to docs/chaos.json, and is not killed there again

The tasks are found by an undisturbed run, not listed here. The lab has to be up and healthy, and is afterwards.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(TOP / "tests" / "lab"), str(TOP / "tests" / "bench")]
# testinfra starts ansible-inventory by its bare name.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

import health  # noqa: E402
import points  # noqa: E402
import renewal  # noqa: E402
import results  # noqa: E402
from lab_hosts import Lab  # noqa: E402
from rounds import Bench, RoundFailed  # noqa: E402
from witness import Witness  # noqa: E402

RUN_SECONDS = 900
#: What an operation ends with whose figures are no proof, as on a machine that stood still.
UNDECIDED = "The verdict is unknown"


@dataclass(frozen=True)
class Operation:
    """``before`` makes it necessary, and says with which options it is run; ``after`` makes the lab whole again.

    ``keeps`` says which acknowledged rows have to be there afterwards: ``all``; those acknowledged ``before`` it was
    prepared, where it goes back to a target; or ``since``, where what was lost before is its reason. ``ended`` is what
    a run says that finds the operation at its end, and refuses to begin another one.
    """

    before: t.Callable[[Bench], list[str]]
    after: t.Callable[[Bench], None]
    keeps: str = "all"
    ended: str = ""


def nothing(_bench: Bench) -> None:
    pass


def no_options(_bench: Bench) -> list[str]:
    return []


def lose_primary(bench: Bench) -> list[str]:
    bench.lose_host(bench.lab.primary)
    return []


def lose_standby(bench: Bench) -> list[str]:
    bench.lose_host(bench.lab.standbys[0])
    bench.play("lab_up")
    return []


def replace_lost(bench: Bench) -> None:
    bench.play("lab_up")
    bench.play("rejoin")


def lose_region(bench: Bench) -> list[str]:
    """The other region has taken over, the lost one can be reached again, and its hosts are switched on."""
    region = bench.lab.variable(bench.lab.primary, "resilience_region")
    bench.lab_task("region_lost.yml", lab_lost_region=region)
    bench.play("failover", "-e", f"resilience_lost_region={region}", "-e", "resilience_accept_loss=chaos")
    bench.lab_task("region_back.yml", lab_lost_region=region)
    bench.play("lab_up")
    return []


def to_now(bench: Bench) -> list[str]:
    target = bench.lab.value(bench.lab.primary, "SELECT pg_current_wal_lsn()")
    bench.lab.sql(bench.lab.primary, "CREATE TABLE chaos (); DROP TABLE chaos")
    return ["-e", "resilience_restore_type=lsn", "-e", f"resilience_restore_target={target}"]


def commit_restore(bench: Bench) -> None:
    bench.play("restore_commit")


def describe_next_key(bench: Bench) -> list[str]:
    # No more than 25 generations can be told apart, and there are more tasks than that.
    renewal.forget_earlier(bench.lab)
    renewal.next_key(bench.lab)
    return []


OPERATIONS = {
    "switchover": Operation(no_options, nothing),
    "failover": Operation(lose_primary, replace_lost, ended="accepts writes: nothing is lost"),
    "rejoin": Operation(lose_standby, nothing),
    "restore": Operation(to_now, commit_restore, keeps="before"),
    "failback": Operation(lose_region, nothing, keeps="since"),
    "rotate_repository_key": Operation(describe_next_key, nothing),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill each operation after each of its tasks, and run it again.")
    parser.add_argument("operations", nargs="*", choices=[*OPERATIONS, []])
    parser.add_argument("--points", type=int, default=0, help="how many of the points, spread evenly; 0 is all of them")
    parser.add_argument("--every", action="store_true", help="also after tasks that only looked")
    parser.add_argument("--lab", type=Path, default=TOP / ".lab", help="the lab's directory")
    parser.add_argument("--record", action="store_true", help="go on with docs/chaos.json, and write it")
    given = parser.parse_args()
    folder = TOP / "build" / "chaos" / datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    (folder / "evidence").mkdir(parents=True)
    bench = Bench(Lab(given.lab), folder)
    all_whole = True
    for name in given.operations or OPERATIONS:
        tasks = disturbed(bench, name, 0)[0]
        numbers = list(range(1, len(tasks) + 1)) if given.every else points.distinct(tasks)
        done = points.whole_points(name, tasks) if given.record else set()
        for number in points.spread(numbers, given.points):
            if number in done:
                continue
            wrong = disturbed(bench, name, number)[1]
            all_whole = all_whole and not wrong
            said = "; ".join(wrong) or "whole"
            print(f"{name}, killed after task {number} of {len(tasks)}, {tasks[number - 1].name}: {said}", flush=True)
            if given.record:
                record(name, tasks, points.Point(number, tasks[number - 1].name, tuple(wrong)))
    return 0 if all_whole else 1


def record(operation: str, tasks: list[points.Task], point: points.Point) -> None:
    content = points.keep(operation, tasks, point)
    results.keep({"chaos_points": points.samples(content)}, {}, "make chaos RECORD=1", points.remark(content))


def disturbed(bench: Bench, name: str, kill_after: int) -> tuple[list[points.Task], list[str]]:
    """Run an operation, killed or not, and once more if it was. Its tasks, and what is wrong afterwards."""
    operation = OPERATIONS[name]
    with Witness(bench.lab, bench.gateway()) as witness:
        asked_at = time.monotonic()
        options = operation.before(bench)
        prepared_at = time.monotonic()
        tasks = killed(bench, name, kill_after, options)
        if kill_after:
            run_again(bench, name, options)
        operation.after(bench)
        witness.await_acks(50)
    wrong = health.problems(bench.lab)
    if not wrong:
        held = {"all": lambda _at: True, "before": lambda at: at < asked_at, "since": lambda at: at > prepared_at}
        due = [attempt.number for attempt in witness.acked() if held[operation.keeps](attempt.moment)]
        lost = health.lost(bench.lab, due)
        wrong = [f"{len(lost)} acknowledged rows are lost"] if lost else []
    return tasks, wrong


def run_again(bench: Bench, name: str, options: list[str]) -> None:
    said, _begin = bench.play(name, *options, may_fail=True)
    demand_done(name, said, bool(re.search(r"(failed|unreachable)=[1-9]", said)))


def demand_done(name: str, said: str, failed: bool) -> None:
    """What was done counts here, not whether it could be measured."""
    words = [UNDECIDED, OPERATIONS[name].ended]
    if failed and not any(word and word in said for word in words):
        raise RoundFailed(f"{name} failed: {said[-2000:]}")


def killed(bench: Bench, name: str, kill_after: int, options: list[str]) -> list[points.Task]:
    """The tasks that the run began. It leads a process group of its own, which is what is killed."""
    counted = bench.folder / "tasks.json"
    argv = [*bench.argv(name), *options]
    environment = {
        **os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callback")), "CHAOS_TASKS": str(counted),
        "CHAOS_KILL_AFTER": str(kill_after),
    }  # fmt: skip
    path = bench.folder / f"{name}-{kill_after:03}.log"
    with path.open("w", encoding="utf-8") as log:
        ended = subprocess.run(
            argv, stdout=log, stderr=subprocess.STDOUT, env=environment, timeout=RUN_SECONDS, start_new_session=True,
            check=False,
        )  # fmt: skip
    if not kill_after:
        demand_done(name, path.read_text(encoding="utf-8"), ended.returncode != 0)
    return points.read_tasks(counted)


if __name__ == "__main__":
    sys.exit(main())
