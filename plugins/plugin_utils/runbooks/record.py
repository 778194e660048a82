# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of a runbook's run, which another run of it goes on from. Control node only.

Each step's beginning and outcome is on disk before the walk goes on, so a run that was killed anywhere has lost nothing
but the step that it was in.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import time
import typing as t
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline, utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import canonical
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk

OPERATION = "runbook"
#: After that, what was found then says little, and a run begins anew.
GOES_ON_WITHIN = timedelta(hours=24)
#: A run that was killed takes its step with it, which needs a moment.
LOCK_PATIENCE_SECONDS = 5.0


class Record:
    """What was done so far; ``went_on``: whether an earlier run did some of it."""

    def __init__(self, bundle: Bundle, *, went_on: bool) -> None:
        self.bundle, self.went_on = bundle, went_on

    def append(self, kind: str, **fields: t.Any) -> None:
        self.bundle.timeline.append(kind, **fields)

    def mark(self, where: str, detail: str) -> None:
        """A line of the report's page."""
        self.append("mark", mark=f"step {where}", detail=detail, host="localhost")

    def keep(self, where: str, content: bytes) -> None:
        """What a step has told, under its number and name."""
        number = len(list((self.bundle.path / "steps").glob("*"))) + 1
        self.bundle.add(f"steps/{number:02}-{where.replace('/', '-')}.jsonl", content)

    def history(self) -> walk.History:
        return walk.history(self.bundle.events())

    def steps(self) -> list[dict[str, t.Any]]:
        """All that was done, in the order of time, also what counts no more."""
        names = ("step", "outcome", "took_seconds", "said", "to", "by", "evidence")
        return [
            {**{name: event[name] for name in names}, "again": event["kind"] == walk.RECHECKED}
            for event in self.bundle.events()
            if event["kind"] in (walk.ENDED, walk.RECHECKED)
        ]


def digest(documents: Mapping[str, t.Any]) -> str:
    """Of a runbook, with those that it leads to: whether it is still the one that was begun."""
    return hashlib.sha256(canonical(documents)).hexdigest()


def left(directory: Path, cluster: str, runbook: str) -> Bundle | None:
    """The newest evidence of a run of it, unless that came to its end."""
    paths = directory.glob(f"*-{OPERATION}-{glob.escape(cluster)}*")
    for path in sorted(paths, reverse=True):
        bundle = Bundle(path)
        with contextlib.suppress(InputError, OSError):  # killed before it had written a line, or of another user alone
            opening = bundle.opening()
            if (opening["operation"], opening["cluster"], opening["scenario"]) == (OPERATION, cluster, runbook):
                return None if bundle.sealed else bundle
    return None


def why_not(bundle: Bundle, digest: str, parameters: Mapping[str, str], now: datetime) -> str:
    """Why a run cannot go on from an earlier one; empty if it can."""
    if not all(os.access(path, os.W_OK) for path in (bundle.path, bundle.timeline.path)):
        return "it is another user's, who alone may write to it"
    chain = bundle.timeline.read()
    runs = [event for event in chain.events if event["kind"] == walk.RUN]
    if [problem for problem in chain.problems if not (chain.torn and "is torn" in problem)]:
        return "its timeline is not as it was written"
    if now - datetime.fromisoformat(chain.events[-1]["utc"]) > GOES_ON_WITHIN:
        return f"it was stopped more than {GOES_ON_WITHIN.total_seconds() / 3600:.0f} hours ago"
    if not runs:
        return "it had done nothing"
    if runs[-1]["digest"] != digest:
        return "the runbook is another one since"
    before: dict[str, str] = {}
    for run in runs:
        before |= run["parameters"]
    changed = sorted(name for name in before if name in parameters and parameters[name] != before[name])
    return f"{' and '.join(changed)} was another one then" if changed else ""


@contextlib.contextmanager
def only_run(directory: Path, cluster: str, about: Mapping[str, str]) -> Iterator[int]:
    """No other run on the cluster, of this or another runbook, as long as the block lasts, and each step that it began.

    :param about: what another run is told of this one.
    :raises RefusedError: there is one.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / f".{OPERATION}-{cluster}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        # Whoever may write to the folder may run a runbook, whoever did so first.
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, directory.stat().st_mode & 0o666)
    except OSError as error:
        raise InputError(
            f"no evidence can be written there: {error.strerror}",
            given=f"resilience_evidence_directory={directory}",
            next_step="name a folder on the control node that can be written to",
        ) from error
    try:
        _lock(descriptor, cluster)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({**about, "pid": os.getpid(), "since": utc_now()}).encode("utf-8"), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, cluster: str) -> None:
    deadline = Deadline(LOCK_PATIENCE_SECONDS)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if deadline.expired():
                raise RefusedError(
                    f"a runbook is run on {cluster} already", given=os.pread(descriptor, 1000, 0).decode("utf-8"),
                    next_step="wait until that one has ended; see its process if that was killed",
                ) from None  # fmt: skip
            time.sleep(0.1)
        else:
            return


def now() -> datetime:
    return datetime.now(timezone.utc)
