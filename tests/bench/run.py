#!/usr/bin/env python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure recovery on the lab, beside its references, and write docs/benchmarks.json.

    make bench                       everything, five or ten rounds each (hours; nothing else may run on the machine)
    make bench ONLY="switchover"     one measurement; the other rows of the file stay as they are
    make bench ROUNDS=10

The file is written after each measurement, so a run that was cut off keeps what it had measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import typing as t
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(TOP / "tests" / "lab")]
# testinfra starts ansible-inventory by its bare name.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

import answering  # noqa: E402
import backup_tps  # noqa: E402
import fired  # noqa: E402
import forecast_error  # noqa: E402
import green_faults  # noqa: E402
import linter  # noqa: E402
import paging  # noqa: E402
import patroni  # noqa: E402
import results  # noqa: E402
import rounds  # noqa: E402
import runbooks  # noqa: E402
import sabotage  # noqa: E402
import verify_standard  # noqa: E402
import window  # noqa: E402
from lab_hosts import Lab  # noqa: E402
from rounds import Bench, Samples  # noqa: E402

#: A machine on which something else runs measures that, too: the load of one minute at which a measurement may begin.
QUIET_LOAD = 1.0
QUIET_SECONDS = 300
#: How often a round may be repeated that the judge could not decide.
UNDECIDED_ROUNDS = 2

Round = t.Callable[[Bench], Samples]


@dataclass(frozen=True)
class Measurement:
    """Rounds of ours and of the reference, after what both need."""

    ours: Round | None = None
    reference: Round | None = None
    before: t.Callable[[Bench], None] | None = None
    after: t.Callable[[Bench], None] | None = None
    rounds: int = 5
    #: On this machine, without a lab. What it made goes however it ends, while a lab that failed is left for a look.
    here: bool = False


TPS = backup_tps.Site()

#: In this order: each leaves the lab healthy for the next one, and Patroni's cluster replaces ours at the end.
MEASUREMENTS = {
    "second_site": Measurement(ours=rounds.second_site),
    "switchover": Measurement(ours=rounds.switchover),
    "host_lost": Measurement(ours=rounds.host_lost),
    "partition": Measurement(ours=rounds.partition, rounds=10),
    "partition_async": Measurement(
        ours=rounds.partition_async, before=rounds.unprotect, after=rounds.protect, rounds=10
    ),
    "region_lost": Measurement(ours=rounds.region_lost, rounds=10),
    "controls": Measurement(ours=rounds.controls, rounds=10),
    "status": Measurement(ours=rounds.status, rounds=10),
    "window": Measurement(ours=window.large_repository, rounds=10, here=True),
    "verify_standard_1gb": Measurement(
        ours=verify_standard.ours(1),
        reference=verify_standard.by_hand(1),
        before=verify_standard.sized(1),
        after=verify_standard.remove,
        here=True,
    ),
    "verify_standard_5gb": Measurement(
        ours=verify_standard.ours(5),
        reference=verify_standard.by_hand(5),
        before=verify_standard.sized(5),
        after=verify_standard.remove,
        rounds=3,
        here=True,
    ),
    "sabotage": Measurement(ours=sabotage.caught, reference=sabotage.total, rounds=1, here=True),
    "backup_tps": Measurement(ours=TPS.overhead, reference=TPS.noise, before=TPS.make, after=TPS.remove, here=True),
    "forecast": Measurement(
        ours=forecast_error.unseen, before=forecast_error.make, after=forecast_error.remove, rounds=3
    ),
    "paging": Measurement(ours=paging.paged, rounds=3, here=True),
    "green_faults": Measurement(ours=green_faults.seen, reference=green_faults.total, rounds=3, here=True),
    "health": Measurement(ours=answering.agent, reference=answering.patroni, here=True),
    "linter": Measurement(ours=linter.found, reference=linter.total, rounds=1, here=True),
    "runbooks": Measurement(ours=runbooks.drilled, rounds=1),
    "runbooks_by_hand": Measurement(ours=runbooks.by_hand, reference=runbooks.by_hand_possible, rounds=1),
    "fired": Measurement(ours=fired.fired, before=fired.set_up, after=rounds.remove, rounds=1),
    "members_lost": Measurement(ours=rounds.members_lost),
    "restore": Measurement(ours=rounds.restore, reference=rounds.raw_restore, before=rounds.sized(1)),
    "restore_from_store": Measurement(
        ours=rounds.restore_from_store, reference=rounds.raw_restore_from_store, before=rounds.sized(1), rounds=10
    ),
    "restore_5gb_from_store": Measurement(
        ours=rounds.restore_5gb_from_store,
        reference=rounds.raw_restore_5gb_from_store,
        before=rounds.sized(5),
        rounds=10,
    ),
    "restore_5gb_fetched": Measurement(
        ours=rounds.restore_5gb_fetched, reference=rounds.restore_5gb_reused, before=rounds.sized(5)
    ),
    "restore_5gb_in_place": Measurement(
        ours=rounds.restore_5gb_in_place, reference=rounds.raw_restore_5gb_in_place, before=rounds.sized(5)
    ),
    "patroni_engine": Measurement(
        ours=rounds.patroni_engine_host_lost, before=rounds.set_up_patroni_engine, after=rounds.remove, rounds=10
    ),
    "patroni": Measurement(reference=patroni.switchover_and_host_lost, before=patroni.set_up, after=patroni.remove),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure recovery on the lab and write docs/benchmarks.json.")
    parser.add_argument("only", nargs="*", choices=[*MEASUREMENTS, []], help="which measurements; all by default")
    parser.add_argument("--rounds", type=int, default=0, help="of each; by default five, or as many as it says itself")
    parser.add_argument("--lab", type=Path, default=TOP / ".lab", help="the lab's directory")
    given = parser.parse_args()
    folder = TOP / "build" / "bench" / datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    (folder / "evidence").mkdir(parents=True)
    bench = Bench(Lab(given.lab), folder)
    for name in given.only or MEASUREMENTS:
        await_quiet()
        count = given.rounds or MEASUREMENTS[name].rounds
        say(f"{name}: {count} rounds, logs in {folder.relative_to(TOP)}")
        ours, reference = measured(MEASUREMENTS[name], bench, count)
        asked = f"make bench ONLY={name}" + (f" ROUNDS={given.rounds}" if given.rounds else "")
        results.keep(ours, reference, asked)
    return 0


def measured(measurement: Measurement, bench: Bench, count: int) -> tuple[results.Series, results.Series]:
    with contextlib.ExitStack() as left:
        if measurement.here and measurement.after:
            left.callback(measurement.after, bench)
        if measurement.before:
            measurement.before(bench)
        series = taken(measurement, bench, count)
        if measurement.after and not measurement.here:
            measurement.after(bench)
    return series


def taken(measurement: Measurement, bench: Bench, count: int) -> tuple[results.Series, results.Series]:
    """All rounds, ours and the reference's by turns."""
    ours: results.Series = defaultdict(list)
    reference: results.Series = defaultdict(list)
    for number in range(1, count + 1):
        for whose, take, series in (("ours", measurement.ours, ours), ("reference", measurement.reference, reference)):
            if take is None:
                continue
            for figure, value in decided(take, bench).items():
                series[figure].append(round(value, 3))
                say(f"  {number}/{count} {whose}: {figure} {value:.3f}")
    return ours, reference


def decided(take: Round, bench: Bench) -> Samples:
    """A round's samples. One that the judge could not decide is repeated, and said; one that failed ends the run."""
    for _repetition in range(UNDECIDED_ROUNDS):
        try:
            return take(bench)
        except rounds.RoundUndecided as error:
            say(f"  undecided, so repeated: {error}")
    return take(bench)


def await_quiet() -> None:
    """Wait until what ran before has ended. Whatever else runs on this machine would be measured, too."""
    end = time.monotonic() + QUIET_SECONDS
    while os.getloadavg()[0] > QUIET_LOAD:
        if time.monotonic() > end:
            sys.exit(
                f"the load is {os.getloadavg()[0]:.1f}: something else runs on this machine. Nothing was measured."
            )
        time.sleep(5)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
