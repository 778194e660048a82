# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of a runbook, done by a run of Ansible of its own, which is ended when its time is over. Control node only."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible import constants

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import on_leash
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import filling, outcome
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Task
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.walk import Standing
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import page
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.handover import Call, Outer

#: A step that is asked to end has so long to do it; then it is killed.
GRACE_SECONDS = 15
#: How often it is looked whether the run around it is still there.
LOOK_SECONDS = 0.2
#: By the environment, the file that a step tells its outcome to.
TOLD = "RESILIENCE_STEP_OUTCOME"
#: The end of what it prints, which says why where nothing else does.
LAST_LINES = 20


@dataclass(frozen=True)
class Result:
    """``told``: all that the step's run has told, as lines of JSON, which are its evidence."""

    found: outcome.Outcome
    seconds: float
    told: bytes


@dataclass(frozen=True)
class Cluster:
    """``hosts``: its hosts; ``groups``: of each group by function, the name that this site has for it."""

    name: str
    hosts: Collection[str]
    groups: Mapping[str, str]


@dataclass(frozen=True)
class Prepared:
    """What does a step: a playbook by its name or path, or a play as YAML reads it."""

    playbook: str | list[dict[str, t.Any]]
    variables: Mapping[str, t.Any]
    check: bool
    seconds: int
    looks: bool


class Steps:
    """How the steps of this run are done.

    :param own: of each runbook, what the playbooks of its folder are called by.
    :param approval: the request of an approval that was given to this run.
    :param show: gets each line that a step prints.
    :param keep: a descriptor that a step holds open as long as it lives.
    """

    def __init__(
        self,
        outer: Outer,
        cluster: Cluster,
        parameters: Mapping[str, t.Any],
        own: Mapping[str, Mapping[str, str]],
        approval: str | None,
        show: Callable[[str], None],
        keep: int | None = None,
    ) -> None:
        self._outer, self._cluster, self._parameters = outer, cluster, parameters
        self._own, self._approval = own, approval
        self._show, self._keep, self._parent = show, keep, os.getppid()

    def prepared(self, now: Standing) -> Prepared:
        """What does the step that a walk stands before, and that has a task.

        :raises InputError: one of its parameters was not given, or names no host of the cluster.
        """
        step = now.step
        task: Task = t.cast("Task", step.task)
        looks = step.type == "check" and not task.check
        described = now.book.parameters
        variables = filling.filled(task.variables, self._parameters, described)
        if task.playbook is None:
            play = [_play(self._hosts(task.host, described), str(task.module), variables)]
            return Prepared(play, {}, task.check, step.seconds, looks)
        variables |= _approval_for(task.playbook, self._approval)
        playbook = self._own[now.book.id].get(task.playbook, f"{page.COLLECTION}.{task.playbook}")
        return Prepared(playbook, variables, task.check, step.seconds, looks)

    def _hosts(self, host: str, described: Mapping[str, str]) -> str:
        """The pattern that chooses them: of a group, those that are this cluster's."""
        if host == "control":
            return "localhost"
        if host in filling.GROUPS:
            return f"{self._cluster.name}:&{self._cluster.groups[host]}"
        names = filling.filled(host, self._parameters, described)
        for name in names.split(","):
            if name not in self._cluster.hosts:
                raise InputError(
                    f"{self._cluster.name} has no such host", given=f"{host} is {name}",
                    possible=", ".join(sorted(self._cluster.hosts)), next_step="correct resilience_runbook_parameters",
                )  # fmt: skip
        return t.cast("str", names)

    def run(self, prepared: Prepared) -> Result:
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP, prefix="step-") as name:
            folder = Path(name)
            told = folder / "told.jsonl"
            begin = time.monotonic()
            call = self._outer.call(folder, _named(folder, prepared), prepared.variables, check=prepared.check)
            process = self._started(call, told)
            try:
                late, output = self._followed(process, prepared.seconds, folder, told)
            finally:
                _end(process)
            lines = told.read_bytes() if told.exists() else b""
        one_module = not isinstance(prepared.playbook, str)
        seen = list(_told(lines))
        ran = outcome.Ran(process.returncode, late, prepared.seconds, seen, output, one_module, prepared.looks)
        return Result(outcome.judged(ran), time.monotonic() - begin, lines)

    def _started(self, call: Call, told: Path) -> subprocess.Popen[bytes]:
        leash = on_leash(None, "TERM") if shutil.which("setpriv") else []
        return subprocess.Popen(
            [*leash, *call.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**call.environment, TOLD: str(told)},
            start_new_session=True,
            pass_fds=() if self._keep is None else (self._keep,),
        )

    def _followed(
        self, process: subprocess.Popen[bytes], seconds: int, folder: Path, told: Path
    ) -> tuple[bool, list[str]]:
        """Until it ends: whether its time was over, and the last lines that it printed."""
        deadline, last = Deadline(seconds), deque[str](maxlen=LAST_LINES)
        for line in _lines(process):
            if line:
                last.append(line)
                self._show(line)
            if told.exists():
                _remove_all_but(told, folder)
            if deadline.expired():
                return True, [*last]
            if os.getppid() != self._parent:
                raise UnknownError("the run that this step is of is gone")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(deadline.left())
        return process.returncode is None, [*last]


def _named(folder: Path, prepared: Prepared) -> str:
    if isinstance(prepared.playbook, str):
        return prepared.playbook
    path = folder / "module.yml"
    # JSON, which is YAML, too: of ansible-core's own texts, which remember where they come from, YAML knows nothing.
    path.write_text(json.dumps(prepared.playbook), encoding="utf-8")
    return str(path)


def _play(hosts: str, module: str, options: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """One module of the collection, as a play."""
    task = {"name": f"Module {module}", f"{page.COLLECTION}.{module}": dict(options)}
    return {"name": f"Module {module}", "hosts": hosts, "gather_facts": False, "tasks": [task]}


def _approval_for(operation: str, request: str | None) -> dict[str, str]:
    """A request is for one operation: the steps of others do without it, and so ask for an approval of their own."""
    try:
        asked = json.loads(Path(request or "").expanduser().read_bytes())
    except (OSError, ValueError):
        return {}
    return {} if isinstance(asked, dict) and asked.get("operation") == operation else {"resilience_approval": ""}


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str | None]:
    """What it prints, line by line, and every now and then nothing."""
    pipe = t.cast("t.IO[bytes]", process.stdout).fileno()
    begun = b""
    while True:
        # In this order: what it says last, which tells why it failed, is there to be read once it has ended.
        ended = process.poll() is not None
        if select.select([pipe], [], [], 0 if ended else LOOK_SECONDS)[0]:
            data = os.read(pipe, 65536)
            *whole, begun = (begun + data).split(b"\n")
            yield from (line.decode("utf-8", "replace").rstrip() for line in whole)
            if not data:
                return
        elif ended:  # whoever it left behind may hold the pipe open
            return
        yield None


def _remove_all_but(kept: Path, folder: Path) -> None:
    """Its run has read them once it tells anything."""
    for path in folder.iterdir():
        if path != kept:
            path.unlink()


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    for sent, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 1)):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    t.cast("t.IO[bytes]", process.stdout).close()


def _told(lines: bytes) -> Iterator[dict[str, t.Any]]:
    """A line that was not written to its end tells nothing."""
    for line in lines.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
