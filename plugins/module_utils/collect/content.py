# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster holds at a known LSN, so that a restore to that LSN can be compared with it, table by table.

    standby    replay is paused, L read, a snapshot taken in every database, replay resumed: exactly what ends before L
    primary    everything twice, L in between: what did not move is exact, what did is unknown
    copy       a restored cluster that nobody writes to: as it is

The pause takes as long as the sessions need to begin, and is itself one statement of the server: pause, sleep, resume.
Whoever asked for it may be killed, replay goes on. A hash does not depend on the order of rows, nor on a setting.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content_sql
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    UnknownError,
)

SCHEMA = "fraiseql.resilience/content/1"
#: Seconds in which every session has to begin; replay goes on after them, whatever happened.
BEGIN_SECONDS = 10.0
#: The same where commits may wait for this standby to replay.
WAITED_FOR_SECONDS = 2.0
POLL_SECONDS = 0.05
CONFLICT = "conflict with recovery"


@dataclass(frozen=True)
class Limits:
    """``bytes``: of a database's relations whose content is hashed, smallest first; others are counted. None is all.
    ``hold``: seconds that replay may stay paused while a standby is read, so that no cleanup disturbs it.
    ``sessions``: that read one database at the same time; more than one only where nothing is written to."""

    bytes: int | None = None
    hold: float = 0.0
    sessions: int = 1
    timeout: float = 3600.0


@dataclass
class Content:
    """``databases``: by name, see content_sql. ``cluster``: roles and what else belongs to no database. ``unseen``: by
    name, what could not be read, and why."""

    cluster: dict[str, t.Any] = field(default_factory=dict)
    databases: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, t.Any]:
        return {"cluster": self.cluster, "databases": self.databases, "unseen": self.unseen}


class Reading:
    """Sessions, one or more a database, each of which has its snapshot before it reads."""

    def __init__(self, server: LocalServer, limits: Limits) -> None:
        self.server = server
        self.limits = limits
        self.token = f"resilience-content-{secrets.token_hex(4)}"
        self._sessions: list[tuple[str, Future[Completed]]] = []
        self._pool: ThreadPoolExecutor | None = None

    def begin(self, databases: t.Sequence[str]) -> None:
        """Start all sessions, and wait until each has its snapshot.

        :raises UnknownError: one had none in time.
        """
        wanted = [(name, part) for name in databases for part in range(self.limits.sessions)]
        self._pool = ThreadPoolExecutor(max_workers=len(wanted) or 1)
        for name, part in wanted:
            script = content_sql.session(self.token, self.limits.bytes, part, self.limits.sessions)
            self._sessions.append((name, self._pool.submit(self._read, name, script)))
        try:
            poll(self._ready, timeout=BEGIN_SECONDS, interval=POLL_SECONDS, what="every database is being read")
        except UnknownError:
            self.close(early=True)
            raise

    def _read(self, database: str, script: str) -> Completed:
        env = {**content_sql.ENVIRONMENT, "PGAPPNAME": f"{self.token}-begins"}
        return self.server.script(database, script, timeout=self.limits.timeout, env=env)

    def _ready(self) -> bool | None:
        for name, session in self._sessions:
            if session.done() and session.result().rc != 0:
                raise UnknownError(f"database {name} cannot be read: {session.result().stderr.strip()[-500:]}")
        ended = sum(session.done() for _name, session in self._sessions)
        began = int(self.server.value(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{self.token}'"))
        return True if began + ended >= len(self._sessions) else None

    def end(self) -> Content:
        """What the sessions have read."""
        found = Content()
        for name, session in self._sessions:
            done = session.result()
            _take_in(found, name, done)
        self.close()
        return found

    def close(self, *, early: bool = False) -> None:
        """:param early: nobody wants what the sessions still read."""
        if early:
            self.server.value(content_sql.ended(self.token))
        if self._pool is not None:
            self._pool.shutdown(wait=True)


def of_copy(server: LocalServer, limits: Limits) -> tuple[Reading, dict[str, t.Any]]:
    """Begin to read a cluster that nobody writes to; and what belongs to no database."""
    cluster, databases = of_cluster(server)
    reading = Reading(server, limits)
    reading.begin(databases)
    return reading, cluster


def of_standby(server: LocalServer, limits: Limits) -> tuple[str, Content]:
    """The LSN, and what ends before it.

    :raises RefusedError: somebody has paused replay already, and would not have it resumed.
    :raises UnknownError: the state moved while the sessions began, so that no LSN belongs to it.
    """
    state = server.value("SELECT pg_get_wal_replay_pause_state()")
    if state != "not paused":
        raise RefusedError(f"replay is {state} already", next_step="wait until whoever paused it has resumed it")
    waited_for = server.value(content_sql.WAITED_FOR) == "t"
    seconds = WAITED_FOR_SECONDS if waited_for else max(BEGIN_SECONDS, limits.hold)
    reading = Reading(server, limits)
    with _paused(server, reading.token, seconds):
        lsn = _still(server)
        cluster, databases = of_cluster(server)
        reading.begin(databases)
        _demand_still(server, reading, lsn)
        found = reading.end() if limits.hold and not waited_for else None
    found = found or reading.end()
    found.cluster = cluster
    return lsn, found


def of_primary(server: LocalServer, limits: Limits) -> tuple[str, Content]:
    """The LSN of a restore point, and what was the same before and after it. The segment is switched, so that it is
    archived."""
    before = _whole(server, limits)
    lsn = server.value(f"SELECT pg_create_restore_point('{secrets.token_hex(4)}')")
    after = _whole(server, limits)
    server.value("SELECT pg_switch_wal()")
    return lsn, unmoved(before, after)


def unmoved(before: Content, after: Content) -> Content:
    """What is in both alike; the rest is unseen. A count of writes tells of what moved and came back."""
    found = Content(after.cluster, {}, {**before.unseen, **after.unseen})
    if before.cluster != after.cluster:
        found.unseen["cluster"] = "it changed while it was read"
    for name, one in after.databases.items():
        other = before.databases.get(name, {})
        found.databases[name] = {**one, "relations": {}}
        for relation, facts in one["relations"].items():
            if other.get("relations", {}).get(relation) == facts:
                found.databases[name]["relations"][relation] = facts
            else:
                found.unseen[f"{name}: {relation}"] = "it was written to while it was read"
        for kind in ("extensions", "large_objects", "counts"):
            if other.get(kind) != one[kind]:
                found.unseen[f"{name}: {kind}"] = "it changed while it was read"
    return found


def _whole(server: LocalServer, limits: Limits) -> Content:
    reading, cluster = of_copy(server, limits)
    found = reading.end()
    found.cluster = cluster
    return found


def of_cluster(server: LocalServer) -> tuple[dict[str, t.Any], list[str]]:
    """What belongs to no database, and the names of those that take connections."""
    version = int(server.value("SHOW server_version_num"))
    done = server.script("postgres", content_sql.cluster(version), timeout=60, env=content_sql.ENVIRONMENT)
    try:
        facts: dict[str, t.Any] = json.loads(done.stdout)
    except ValueError as error:
        raise UnknownError(f"the cluster tells nothing of itself: {done.stderr.strip()[-500:]}") from error
    return facts, [name for name, one in facts["databases"].items() if one["connectable"]]


@contextlib.contextmanager
def _paused(server: LocalServer, token: str, seconds: float) -> t.Iterator[None]:
    """Replay stands still; it goes on by itself after ``seconds``, and at the end of the block."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pause = content_sql.pause(token, seconds)
        pool.submit(server.script, "postgres", pause, timeout=seconds + 30, env=content_sql.ENVIRONMENT)
        try:
            poll(
                lambda: True if server.value("SELECT pg_get_wal_replay_pause_state()") == "paused" else None,
                timeout=BEGIN_SECONDS,
                interval=POLL_SECONDS,
                what="replay stands still",
            )
            yield
        finally:
            server.value(content_sql.resume(token))


def _still(server: LocalServer) -> str:
    state, lsn = server.value("SELECT pg_get_wal_replay_pause_state() || ',' || pg_last_wal_replay_lsn()").split(",")
    if state != "paused":
        raise UnknownError("replay went on before every database was being read", next_step="try again")
    return lsn


def _demand_still(server: LocalServer, reading: Reading, lsn: str) -> None:
    """:raises UnknownError: replay went on while the sessions began, which are ended."""
    try:
        after = _still(server)
        if after != lsn:
            raise UnknownError(f"replay went on from {lsn} to {after} while the sessions began")
    except UnknownError:
        reading.close(early=True)
        raise


def _take_in(found: Content, database: str, done: Completed) -> None:
    """One session's lines."""
    mine = found.databases.setdefault(
        database, {"relations": {}, "sequences": {}, "extensions": {}, "large_objects": {}, "counts": {}}
    )
    wanted: list[str] | None = None
    for line in done.stdout.splitlines():
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if "wanted" in said:
                wanted = said.pop("wanted") or []
            for kind, facts in said.items():
                mine[kind].update(facts or {})
    complaint = done.stderr.strip()
    if wanted is None:
        raise CommandFailed(
            f"database {database} does not tell what it holds: {_reason(complaint)}",
            argv=done.argv,
            rc=done.rc,
            stderr=complaint,
        )
    for relation in wanted:
        if relation not in mine["relations"]:
            found.unseen[f"{database}: {relation}"] = _reason(complaint)


def _reason(complaint: str) -> str:
    if CONFLICT in complaint:
        return f"its reading was ended by a {CONFLICT}"
    return (complaint.splitlines() or ["nothing was said"])[-1][:300]
