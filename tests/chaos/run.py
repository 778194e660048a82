#!/usr/bin/env python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill each operation after each of its tasks, or within them, run it again, and see that nothing is lost or left over.

    make chaos                                     every operation, after each task that can leave something new (hours)
    make chaos EVERY=1                             after every single task
    make chaos OPERATIONS=switchover POINTS=3      one operation, three of its points, spread evenly
    make chaos OPERATIONS=switchover TASKS=20      after its 20th task, once more
    make chaos MOMENTS=10                          each operation, at ten random moments instead, within its tasks too
    make chaos RECORD=1                            what is whole goes to docs/chaos.json, and is not killed there again;
                                                   several labs, each with --lab, share the points

The tasks are found by an undisturbed run, not listed here. The lab has to be up and healthy, and is afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import psutil

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


@dataclass(frozen=True)
class Kill:
    """After the task of that number, or at that second: the run alone or, as where its container ends, all it began."""

    after_task: int = 0
    at_second: float = 0.0
    with_all_it_began: bool = False

    def __bool__(self) -> bool:
        return self != UNDISTURBED


UNDISTURBED = Kill()


@dataclass(frozen=True)
class Round:
    """What a run began, how long it took, which task it was in at its end, and what is wrong after the next one."""

    tasks: list[points.Task]
    seconds: float
    last: str
    wrong: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill each operation after each of its tasks, and run it again.")
    parser.add_argument("operations", nargs="*", choices=[*OPERATIONS, []])
    parser.add_argument("--points", type=int, default=0, help="how many of the points, spread evenly; 0 is all of them")
    parser.add_argument(
        "--tasks", type=int, action="append", default=[], help="after this task alone, by its number; may be repeated"
    )
    parser.add_argument("--every", action="store_true", help="also after tasks that only looked")
    parser.add_argument("--moments", type=int, default=0, help="at so many random moments, instead of after tasks")
    parser.add_argument("--lab", type=Path, default=TOP / ".lab", help="the lab's directory")
    parser.add_argument("--record", action="store_true", help="go on with docs/chaos.json, and write it")
    given = parser.parse_args()
    folder = TOP / "build" / "chaos" / datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    (folder / "evidence").mkdir(parents=True)
    bench = Bench(Lab(given.lab), folder)
    all_whole = True
    for name in given.operations or OPERATIONS:
        undisturbed = disturbed(bench, name, UNDISTURBED)
        if given.moments:
            whole = at_moments(bench, name, undisturbed, given.moments, given.record)
        else:
            whole = after_tasks(bench, name, undisturbed, given)
        all_whole = all_whole and whole
    return 0 if all_whole else 1


def after_tasks(bench: Bench, name: str, undisturbed: Round, given: argparse.Namespace) -> bool:
    """Kill the operation after its tasks in turn. Whether all was whole each time."""
    tasks = undisturbed.tasks
    numbers = list(range(1, len(tasks) + 1)) if given.every else points.distinct(tasks)
    wanted = given.tasks or points.spread(numbers, given.points)
    # Another lab may be at it, too: each takes one that is not whole yet.
    random.shuffle(wanted)
    whole = True
    for number in wanted:
        if given.record and number in points.whole_points(name, tasks):
            continue
        wrong = disturbed(bench, name, Kill(after_task=number)).wrong
        whole = whole and not wrong
        task = tasks[number - 1].name
        print(f"{name}, killed after task {number} of {len(tasks)}, {task}: {'; '.join(wrong) or 'whole'}", flush=True)
        if given.record:
            content = points.keep(name, tasks, points.Point(number, task, tuple(wrong)))
            figure = {"chaos_points": points.samples(content)}
            results.keep(figure, {}, "make chaos RECORD=1", points.remark(content))
    return whole


def at_moments(bench: Bench, name: str, undisturbed: Round, wanted: int, keep: bool) -> bool:
    """Kill the operation at random moments of each of so many parts of its time. Whether all was whole each time."""
    whole = True
    for number in range(wanted):
        second = round((number + random.random()) * undisturbed.seconds / wanted, 3)
        kill = Kill(at_second=second, with_all_it_began=number % 2 == 1)
        ended = disturbed(bench, name, kill)
        if ended.seconds < second:
            print(f"{name} had ended before second {second}: not killed", flush=True)
            continue
        whole = whole and not ended.wrong
        said = "; ".join(ended.wrong) or "whole"
        print(f"{name}, killed at second {second} of {undisturbed.seconds:.0f}, {ended.last}: {said}", flush=True)
        if keep:
            moment = points.Moment(second, ended.last, kill.with_all_it_began, tuple(ended.wrong))
            content = points.keep_moment(name, moment)
            figure = {"chaos_moments": points.samples(content, "moments")}
            results.keep(figure, {}, "make chaos MOMENTS=10 RECORD=1", points.moment_remark(content))
    return whole


def disturbed(bench: Bench, name: str, kill: Kill) -> Round:
    """Run an operation, killed or not, and once more if it was."""
    operation = OPERATIONS[name]
    with Witness(bench.lab, bench.gateway()) as witness:
        asked_at = time.monotonic()
        options = operation.before(bench)
        prepared_at = time.monotonic()
        tasks, seconds, last = killed(bench, name, kill, options)
        if kill:
            run_again(bench, name, options)
        operation.after(bench)
        witness.await_acks(50)
    wrong = health.problems(bench.lab)
    if not wrong:
        held = {"all": lambda _at: True, "before": lambda at: at < asked_at, "since": lambda at: at > prepared_at}
        due = [attempt.number for attempt in witness.acked() if held[operation.keeps](attempt.moment)]
        lost = health.lost(bench.lab, due)
        wrong = [f"{len(lost)} acknowledged rows are lost"] if lost else []
    return Round(tasks, seconds, last, wrong)


def run_again(bench: Bench, name: str, options: list[str]) -> None:
    said, _begin = bench.play(name, *options, may_fail=True)
    demand_done(name, said, bool(re.search(r"(failed|unreachable)=[1-9]", said)))


def demand_done(name: str, said: str, failed: bool) -> None:
    """What was done counts here, not whether it could be measured."""
    words = [UNDECIDED, OPERATIONS[name].ended]
    if failed and not any(word and word in said for word in words):
        raise RoundFailed(f"{name} failed: {said[-2000:]}")


def killed(bench: Bench, name: str, kill: Kill, options: list[str]) -> tuple[list[points.Task], float, str]:
    """The tasks that ended, the run's seconds, and the task it was in. It leads a process group of its own."""
    counted = bench.folder / "tasks.json"
    counted.unlink(missing_ok=True)
    argv = [*bench.argv(name), *options]
    environment = {
        **os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callback")), "CHAOS_TASKS": str(counted),
        "CHAOS_KILL_AFTER": str(kill.after_task),
    }  # fmt: skip
    path = bench.folder / f"{name}-{kill.at_second or kill.after_task:03}.log"
    begin = time.monotonic()
    with path.open("w", encoding="utf-8") as log:
        process = psutil.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        try:
            process.wait(timeout=kill.at_second or RUN_SECONDS)
        except psutil.TimeoutExpired:
            end(process, kill.with_all_it_began or not kill.at_second)
            if not kill.at_second:
                raise
    seconds, said = time.monotonic() - begin, path.read_text(encoding="utf-8")
    if not kill:
        demand_done(name, said, process.returncode != 0)
    tasks = points.read_tasks(counted) if counted.exists() else []
    return tasks, seconds, (re.findall(r"^TASK \[(.+)\]", said, re.MULTILINE) or ["before its first task"])[-1]


def end(process: psutil.Popen, with_all_it_began: bool) -> None:
    """Its workers have sessions of their own: they go on to the end of their task, unless they are meant too."""
    began = process.children(recursive=True) if with_all_it_began else []
    os.killpg(process.pid, signal.SIGKILL)
    for one in began:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait(timeout=10)


if __name__ == "__main__":
    sys.exit(main())
