# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a verification that restores: a throw-away copy is made, recovered, looked at, and is gone again.

Nothing here raises for what it finds: that becomes a check.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    content,
    content_manifest,
    scratch,
    scratch_server,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import content as judge_content
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import verification as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import last_switch
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

#: Processors that the checks of a copy share: one reads rows, one looks at heaps and indexes.
PROCESSORS = os.cpu_count() or 1


@dataclass(frozen=True)
class Order:
    """What is to be verified. ``manifest``: its name in the repository; None is the newest that can be reached.
    ``present``, ``absent``: names of markers. ``rto_seconds``: what restore and replay may take."""

    stanza: str
    repo: int = 1
    level: str = "standard"
    manifest: str | None = None
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    marker_database: str = "resilience"
    rto_seconds: float | None = None
    timeout: float = 86400.0
    keep_on_failure: bool = False
    by: str = "playbook"
    host: str = ""


@dataclass
class Findings:
    """What is known so far. Seconds are None for what did not come to its end."""

    checks: list[Check] = field(default_factory=list)
    not_tested: list[str] = field(default_factory=list)
    label: str | None = None
    target: int | None = None
    seconds: dict[str, float | None] = field(
        default_factory=lambda: dict.fromkeys(("total", "restore", "replay", "checks"))
    )
    restored_bytes: int | None = None
    replayed_bytes: int | None = None
    room: dict[str, int] = field(default_factory=dict)
    manifest: str | None = None

    def add(self, *checks: Check | None) -> None:
        self.checks += [check for check in checks if check is not None]


@dataclass(frozen=True)
class Aim:
    """What is restored, and what it is compared with."""

    request: scratch.Request
    manifest: dict[str, t.Any] | None


class _Failed(Exception):
    """The copy is not as it should be; a check says so."""


def restore(order: Order, place: scratch.Place, aim: Aim, found: Findings, run: Runner, deadline: Deadline) -> None:
    """Make the copy, look at it, remove it; ``found`` gets what there was to see."""
    with (
        contextlib.suppress(_Failed),
        scratch.alone(place, timeout=deadline.left()),
        scratch.made(place, order.stanza, order.repo, run=run, keep=order.keep_on_failure) as one,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        # Only a server could add to the archive, so the files may come back meanwhile.
        before = pool.submit(scratch.histories, one.client, order.repo)
        own: list[tuple[str, str]] = []
        try:
            _restore_files(aim, found, one, deadline)
            before.result()
            _recover(order, aim, found, one, own, deadline)
        finally:
            after = scratch.histories(one.client, order.repo)
            found.add(judge.untouched(before.result(), after, own[0] if own else None))
        if order.keep_on_failure and worst(found.checks) is not Verdict.PASSED:
            raise _Failed
    restored, replayed = found.seconds["restore"], found.seconds["replay"]
    took = None if restored is None or replayed is None else restored + replayed
    found.add(judge.in_time(took, order.rto_seconds))


def _restore_files(aim: Aim, found: Findings, one: scratch.Scratch, deadline: Deadline) -> None:
    request = aim.request
    try:
        found.seconds["restore"] = round(one.restore(request, timeout=deadline.left()), 3)
    except CommandError as error:
        told = (error.stderr_tail.strip().splitlines() or [""])[-1]
        found.add(judge.restored(request.backup.label, f"{error.message} ({told})"))
        raise _Failed from error
    found.add(judge.restored(request.backup.label))
    found.restored_bytes = request.backup.size


def _recover(
    order: Order, aim: Aim, found: Findings, one: scratch.Scratch, own: list[tuple[str, str]], deadline: Deadline
) -> None:
    """Recovery, then all that is to be seen of the running copy, then of the stopped one."""
    request = aim.request
    least = aim.manifest["cluster"]["settings"] if aim.manifest is not None else {}
    begin = time.monotonic()
    with scratch_server.started(one, least, workers=PROCESSORS) as server:
        try:
            server.await_answer(timeout=deadline.left())
            own.append(server.history())
            switch = last_switch(own[0][1])
        except UnknownError as error:
            died = isinstance(error, scratch_server.RecoveryDied)
            found.add(judge.reached(request.lsn, None, error.message, died=died))
            raise _Failed from error
        found.seconds["replay"] = round(time.monotonic() - begin, 3)
        found.replayed_bytes = request.replayed_bytes
        found.add(judge.reached(request.lsn, switch.lsn, switch.reason))
        begin = time.monotonic()
        _look_inside(order, aim, found, server, deadline)
        server.stop()
    _look_at_files(aim, found, one, deadline)
    found.seconds["checks"] = round(time.monotonic() - begin, 3)


def _look_inside(order: Order, aim: Aim, found: Findings, server: scratch_server.Server, deadline: Deadline) -> None:
    """Rows and structure at the same time: the sessions that read have their snapshot before pg_amcheck makes its own
    extension."""
    thorough = order.level == "full"
    found.add(_markers(order, server))
    with ThreadPoolExecutor(max_workers=1) as pool:
        begun = _begin(aim.manifest, found, server, thorough=thorough, deadline=deadline)
        left = max(1.0, deadline.left())
        look = pool.submit(scratch_server.amcheck, server, thorough=thorough, jobs=PROCESSORS, timeout=left)
        if begun is not None:
            _compare(begun, found, thorough=thorough)
        rc, text = look.result()
    found.add(judge.structure(rc, text, thorough=thorough))


class _Begun(t.NamedTuple):
    """What the copy is compared with, the sessions that read it, and what they need not read."""

    manifest: dict[str, t.Any]
    reading: content.Reading
    cluster: dict[str, t.Any]


def _begin(
    manifest: dict[str, t.Any] | None,
    found: Findings,
    server: scratch_server.Server,
    *,
    thorough: bool,
    deadline: Deadline,
) -> _Begun | None:
    """None where there is nothing to compare the copy with, or it does not let itself be read."""
    if manifest is None:
        return None
    hashed = None if thorough else manifest["hashed_bytes"]
    limits = content.Limits(hashed, sessions=max(1, PROCESSORS - 1), timeout=max(1.0, deadline.left()))
    try:
        return _Begun(manifest, *content.of_copy(server.sql, limits))
    except (CommandError, UnknownError) as error:
        found.add(Check("content: tables", Verdict.FAILED, error.message))
        return None


def _compare(begun: _Begun, found: Findings, *, thorough: bool) -> None:
    try:
        now = begun.reading.end()
    except CommandError as error:
        found.add(Check("content: tables", Verdict.FAILED, error.message))
        return
    now.cluster = begun.cluster
    found.add(*judge_content.compare(begun.manifest, now.as_dict(), thorough=thorough))
    found.not_tested += judge_content.not_tested(begun.manifest)


def _markers(order: Order, server: scratch_server.Server) -> Check | None:
    names = [*order.present, *order.absent]
    if not names:
        return None
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    text = f"SELECT name FROM resilience.marker WHERE name IN ({listed});\n"
    done = server.sql.script(order.marker_database, text, timeout=60)
    if done.stderr.strip():
        return Check("markers: from both sides", Verdict.FAILED, done.stderr.strip().splitlines()[-1])
    there = done.stdout.splitlines()
    return judge.markers({name: name in there for name in names}, order.present, order.absent)


def _look_at_files(aim: Aim, found: Findings, one: scratch.Scratch, deadline: Deadline) -> None:
    rc, text = scratch_server.checksums(one, timeout=max(1.0, deadline.left()))
    enabled = "data checksums are not enabled" not in text
    found.add(judge.pages(rc, text, enabled))
    files = aim.manifest["configuration"] if aim.manifest is not None else None
    broken, complaint = [], None
    if files:
        broken = [name for name, kept in files.items() if content_manifest.digest(kept["text"]) != kept["sha256"]]
        complaint = _parsed(files, one)
    found.add(judge.configuration(files, broken, complaint))


def _parsed(files: t.Mapping[str, t.Mapping[str, str]], one: scratch.Scratch) -> str:
    """What PostgreSQL says of the copy of a configuration, written down beside the data."""
    folder = one.folder / "configuration"
    for name, kept in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError("a manifest names a file outside of its folder", given=name)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(kept["text"], encoding="utf-8", errors="surrogateescape")
        path.chmod(0o644)
    return scratch_server.parses(one, folder)
