# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A training between its two runs: what is kept of it, its fault, and what was done. Control node only.

All of it lies in a hidden folder of the evidence directory that nobody else may read, and that goes with the training.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import typing as t
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import bundle as bundles
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.catalogue import replace
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import training as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.training import Operation, Steps, Training
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import sealed
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Result

#: The playbook that makes a fault; what it says must not reach the screen.
MADE = "fraiseql.resilience.trainings.made"
#: What that one hands over: host and name of each fault.
FAULTS = "resilience_training_faults"
#: Seconds after which making a fault, and verification, are ended.
MADE_WITHIN, VERIFIED_WITHIN = 900, 600

#: A playbook with its variables and seconds is run; what it prints goes to the log alone.
Play = Callable[[str, Mapping[str, t.Any], int, Path], Result]


class Kept:
    """The hidden folder of the training on a cluster; ``how``: the command that ends it, but for its state."""

    def __init__(self, evidence: Path, cluster: str, how: str) -> None:
        self.evidence, self.cluster, self.how = evidence, cluster, how
        self.folder = evidence / f".training-{cluster}"
        self._file = self.folder / "training.json"

    @contextlib.contextmanager
    def alone(self) -> Iterator[int]:
        """No other run has to do with it as long as the block lasts; yields what a run that it starts holds open.

        :raises RefusedError: another one has.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InputError(
                f"nothing can be kept there: {error.strerror}",
                given=f"resilience_evidence_directory={self.evidence}",
                next_step="name a folder on the control node that can be written to",
            ) from error
        try:
            self._lock(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"another run begins or ends the training on {self.cluster} right now",
                next_step="wait until that one has ended",
            ) from None

    def read(self) -> Training | None:
        """
        :raises UnknownError: there is one, and it cannot be read.
        """
        try:
            return Training.read(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UnknownError(
                f"what is kept of the training cannot be read: {error}",
                given=str(self._file),
                next_step="remove that folder once the faults have ended by themselves",
            ) from error

    def needed(self) -> Training:
        """
        :raises RefusedError: there is none.
        """
        found = self.read()
        if found is None:
            raise RefusedError(
                f"no training is under way on {self.cluster}",
                given=f"nothing is kept in {self.folder}",
                possible="another resilience_evidence_directory, if it was begun with that",
                next_step="begin one: the same command without resilience_training_state",
            )
        return found

    def write(self, of: Training) -> Training:
        replace(self._file, json.dumps(of.as_dict()), mode=0o600)
        return of

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    @property
    def log(self) -> Path:
        return self.folder / "made.log"

    @property
    def verified_log(self) -> Path:
        return self.folder / "verified.log"

    def files(self) -> dict[str, str]:
        """What becomes a part of the evidence: the place of each file by its name there."""
        there = {"made.log": self.log, "made.jsonl": self.timeline, "verified.log": self.verified_log}
        return {name: str(path) for name, path in there.items() if path is not None and path.exists()}

    @property
    def timeline(self) -> Path | None:
        """Of the run that made the fault."""
        return next(iter(sorted(self.folder.glob(f"*/{bundles.TIMELINE}"))), None)

    def fault_utc(self) -> str:
        """When the fault was marked; empty where it was not, so that nothing was harmed."""
        events = Bundle(self.timeline.parent).events() if self.timeline else ()
        marks = (event["utc"] for event in events if event["kind"] == "mark" and event["mark"] == "fault")
        return next(marks, "")


# begin ----------------------------------------------------------------------------------------------------------------


def begin(kept: Kept, of: Training, play: Play) -> Training:
    """The fault is there when this returns.

    :raises UnknownError: it could not be made. Where nothing was harmed, nothing is kept.
    """
    kept.write(of)
    result = play(MADE, _hidden(kept, of), MADE_WITHIN, kept.log)
    fault_utc = kept.fault_utc()
    if result.found.outcome == "success" and fault_utc:
        return kept.write(dataclasses.replace(of, state=judge.UNDER_WAY, fault_utc=fault_utc, faults=_faults(result)))
    why = f"the fault could not be made: {'; '.join(result.found.said) or 'it was never marked'}"
    if not fault_utc:
        kept.remove()
        raise UnknownError(why)
    kept.write(dataclasses.replace(of, fault_utc=fault_utc))
    raise UnknownError(why, given=str(kept.log), next_step=f"undo it with {kept.how}={judge.GIVEN_UP}", changed=True)


def _hidden(kept: Kept, of: Training) -> dict[str, t.Any]:
    """Nothing of it stands on a command line, in a journal of a host, or in evidence that can be seen."""
    shipped = Path(of.directory) == catalogue.RUNBOOKS
    return {
        "resilience_cluster": of.cluster,
        "resilience_confirm": of.cluster,
        "resilience_scenario": of.scenario,
        "resilience_evidence_directory": str(kept.folder),
        "resilience_approval_mode": "none",  # the training itself was approved
        "ansible_no_target_syslog": True,
        "lab_fault_seconds": of.fault_seconds,
        **({} if shipped else {"resilience_runbook_directory": of.directory}),
    }


def _faults(result: Result) -> tuple[tuple[str, str], ...]:
    told = [json.loads(line) for line in result.told.splitlines()]
    stats: Mapping[str, t.Any] = next((one["stats"] for one in reversed(told) if one["kind"] == "ended"), {})
    return tuple((str(one["host"]), str(one["fault"])) for one in stats.get(FAULTS, ()))


# end ------------------------------------------------------------------------------------------------------------------


def end(kept: Kept, of: Training, state: str, play: Play) -> Training:
    """Stops the clock. A run that was killed after that goes on from what it had found.

    :raises InputError: nobody can verify it.
    """
    if of.over:
        return of
    if state == judge.GIVEN_UP:
        return kept.write(dataclasses.replace(of, state=state, ended_utc=utc_now()))
    judge.refuse_unmade(of, kept.how)
    found = play(str(_verification(of)), {"resilience_cluster": of.cluster}, VERIFIED_WITHIN, kept.verified_log).found
    over = dataclasses.replace(of, state=state, ended_utc=utc_now(), outcome=found.outcome, said=found.said)
    return kept.write(over)


def _verification(of: Training) -> Path:
    path = Path(of.directory) / of.scenario / "verify.yml"
    if not path.is_file():
        raise InputError(
            "what verifies the scenario is there no longer",
            given=str(path),
            next_step="bring the runbook back, or give the training up",
        )
    return path


def taken(kept: Kept, of: Training, books: Mapping[str, Runbook]) -> Steps:
    """What the evidence says was done since the fault."""
    walks, operations = [], []
    reports, _problems = sealed.reports(kept.evidence, of.cluster)
    for path in sorted(kept.evidence.glob(f"*/{bundles.TIMELINE}")):
        events = Bundle(path.parent).events()
        if not events or events[0]["kind"] != "opened" or events[0]["cluster"] != of.cluster:
            continue
        name, scenario, begun_utc = events[0]["operation"], events[0]["scenario"] or "", events[0]["utc"]
        if of.fault_utc and of.fault_utc <= begun_utc <= of.ended_utc:
            verdict = reports.get(path.parent, {}).get("verdict", "")
            operations.append(Operation(name, scenario, begun_utc, verdict))
            walks += [events] if (name, scenario) == (judge.RUNBOOK, of.scenario) else []
    return judge.steps(books, of.scenario, walks, operations)


# the record -----------------------------------------------------------------------------------------------------------


def append(path: Path, line: Mapping[str, t.Any]) -> bool:
    """The line is on disk when this returns; whether it was not there before.

    A run that was killed may have left half a line, which stays, alone.

    :raises InputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            file.seek(0)
            before = file.read()
            if any(_id(one) == line["training"] for one in before.splitlines()):
                return False
            file.write(b"" if before.endswith(b"\n") or not before else b"\n")
            file.write(json.dumps(line).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"the record cannot be written: {error.strerror}",
            given=f"resilience_training_record={path}",
            next_step="name a file on the control node that can be written, and end the training again",
        ) from error
    return True


def _id(line: bytes) -> t.Any:
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        return found.get("training") if isinstance(found, dict) else None
    return None
