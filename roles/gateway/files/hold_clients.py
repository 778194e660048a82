#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the clients at the gateway while the primary moves: no failed transaction, only a stall.

    guards -> PgBouncer PAUSE -> NOTIFY the old primary -> wait for a new one behind HAProxy -> PgBouncer RESUME

Runs on the gateway under systemd (unit resilience-hold), so it goes on when the Ansible job that started it is
cancelled. Clients are let go in every case: at the deadline by this program, and if it is killed by ``--resume``,
which the unit runs as ExecStopPost. What it does is kept in a state file, replaced as a whole at each step.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import time
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone

#: The channel on which the old primary waits to be told to stop, and the name under which its program waits there.
CHANNEL = "resilience_switchover"
LISTENER = "resilience-demotion"

#: Seconds between two looks for a writable server, and for one look.
LOOK_INTERVAL = 0.02
LOOK_DEADLINE = 1.0

#: Seconds that the old primary serves although nobody on it is about to stop it, until that is taken for a refusal. A
#: shutdown that has begun ends all sessions within a fraction of that.
UNMOVED_SECONDS = 1.0

#: Seconds for anything that should be immediate: a command at PgBouncer's console, a NOTIFY, a connection.
STEP_DEADLINE = 2.0


class Refused(Exception):
    """A guard said no before a client was held, or while nothing but the hold itself had happened."""

    def __init__(self, message: str, next_step: str, blockers: t.Sequence[dict[str, str]] = ()) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.blockers = list(blockers)


class StillHeld(Exception):
    """PgBouncer did not take RESUME; the unit's ExecStopPost tries again."""


class LineFailed(Exception):
    """A server could not be asked; the text says why."""


class LineTimedOut(LineFailed):
    """A server gave no answer before the deadline."""


# --- talking ---------------------------------------------------------------------------------------------------------


class Line:
    """A PostgreSQL (or PgBouncer console) connection whose every step ends at a deadline.

    libpq's asynchronous mode is used, so neither a frozen server nor a PAUSE that waits can hold up this program.
    """

    def __init__(self, dsn: str, timeout: float) -> None:
        import psycopg2

        self._failures: tuple[type[Exception], ...] = (psycopg2.Error, OSError)
        try:
            self._connection = psycopg2.connect(dsn, async_=1)
            self._finish(time.monotonic() + timeout)
        except self._failures as error:
            raise LineFailed(_first_line(error)) from error

    def ask(self, sql: str, values: t.Sequence[t.Any] = (), *, timeout: float) -> list[dict[str, t.Any]]:
        """The rows of one statement, by column name."""
        try:
            cursor = self._connection.cursor()
            cursor.execute(sql, tuple(values) or None)
            self._finish(time.monotonic() + timeout)
            if cursor.description is None:
                return []
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except self._failures as error:
            raise LineFailed(_first_line(error)) from error

    def close(self) -> None:
        self._connection.close()

    def _finish(self, deadline: float) -> None:
        while True:
            state = self._connection.poll()
            if state == 0:  # psycopg2.extensions.POLL_OK
                return
            wanted = [self._connection.fileno()]
            left = max(deadline - time.monotonic(), 0.0)
            if not any(select.select(wanted if state == 1 else [], wanted if state == 2 else [], [], left)):
                raise LineTimedOut("no answer within the deadline")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _acting_as(uid: int) -> t.Iterator[None]:
    """The effective user for as long as a connection is made: PgBouncer lets its own user in without a password."""
    before = os.geteuid()
    if before == 0 and uid != 0:
        os.seteuid(uid)
    try:
        yield
    finally:
        if os.geteuid() != before:
            os.seteuid(before)


class Pooler:
    """PgBouncer, through its console on the local socket."""

    def __init__(self, descriptor: t.Mapping[str, t.Any]) -> None:
        self._socket_dir = descriptor["socket_dir"]
        self._port = int(descriptor["port"])
        self._user = descriptor["admin_user"]

    def _console(self) -> Line:
        owner = os.stat(f"{self._socket_dir}/.s.PGSQL.{self._port}").st_uid
        with _acting_as(owner):
            return Line(f"host={self._socket_dir} port={self._port} user={self._user} dbname=pgbouncer", STEP_DEADLINE)

    def _say(self, command: str, timeout: float = STEP_DEADLINE) -> list[dict[str, t.Any]]:
        console = self._console()
        try:
            return console.ask(command, timeout=timeout)
        finally:
            console.close()

    def version(self) -> str:
        return str(self._say("SHOW VERSION")[0]["version"])

    def clients(self) -> int:
        """Application clients that are connected now."""
        return sum(1 for client in self._say("SHOW CLIENTS") if client["database"] != "pgbouncer")

    def pause(self, timeout: float) -> bool:
        """PAUSE; whether it was complete, that is every transaction had ended, within ``timeout`` seconds."""
        try:
            self._say("PAUSE", timeout)
        except LineTimedOut:
            return False
        return True

    def resume(self) -> None:
        """RESUME; it is no fault if nothing was paused."""
        try:
            self._say("RESUME")
        except LineFailed as error:
            if "not paused" not in str(error):
                raise

    def reconnect(self) -> None:
        """Replace every server connection by a new one as soon as its transaction ends."""
        self._say("RECONNECT")

    def blockers(self) -> list[dict[str, str]]:
        """The sessions whose transaction is still open, which a PAUSE waits for."""
        clients = {client["ptr"]: client for client in self._say("SHOW CLIENTS")}
        found = []
        for server in self._say("SHOW SERVERS"):
            client = clients.get(server["link"])
            if server["state"] == "active" and client is not None:
                found.append(
                    {
                        "user": str(client["user"]),
                        "database": str(client["database"]),
                        "client": f"{client['addr']}:{client['port']}",
                        "application_name": str(client.get("application_name") or ""),
                        "server_pid": str(server["remote_pid"]),
                        "request_time": str(client["request_time"]),
                    }
                )
        return found


class Cluster:
    """The members as seen from the gateway: the old primary directly, and whoever HAProxy leads to."""

    def __init__(self, descriptor: t.Mapping[str, t.Any]) -> None:
        self._members: dict[str, dict[str, t.Any]] = {member["name"]: member for member in descriptor["members"]}
        self._haproxy = descriptor["haproxy"]
        self._login = (
            f"dbname=postgres user={descriptor['monitor_user']} passfile={descriptor['pgpass']}"
            f" sslrootcert={descriptor['ca']} application_name=resilience-hold"
        )
        self._addresses = {name: _addresses(str(member["address"])) for name, member in self._members.items()}
        self._old: Line | None = None

    def names(self) -> list[str]:
        return sorted(self._members)

    def call(self, name: str) -> None:
        """Connect to the member that is to stop, before any client is held."""
        member = self._members[name]
        self._old = Line(
            f"host={member['address']} port={int(member['port'])} sslmode=verify-full {self._login}", STEP_DEADLINE
        )

    def is_primary(self) -> bool:
        row = self._ask_old("SELECT NOT pg_is_in_recovery() AS yes")
        return bool(row["yes"])

    def listeners(self) -> int:
        """How many programs on the called member wait for the notification."""
        row = self._ask_old(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = %s AND query ILIKE %s",
            [LISTENER, f"LISTEN {CHANNEL}%"],
        )
        return int(row["n"])

    def notify(self, token: str) -> None:
        self._ask_old("SELECT pg_notify(%s, %s)", [CHANNEL, token])

    def _ask_old(self, sql: str, values: t.Sequence[t.Any] = ()) -> dict[str, t.Any]:
        if self._old is None:
            raise LineFailed("the old primary was not called")
        return self._old.ask(sql, values, timeout=STEP_DEADLINE)[0]

    def writable(self) -> str | None:
        """The name of the member that a new session through HAProxy may write to, if there is one now."""
        try:
            line = Line(
                f"host={self._haproxy['host']} port={int(self._haproxy['port'])} sslmode=verify-ca {self._login}",
                LOOK_DEADLINE,
            )
        except LineFailed:
            return None
        try:
            row: dict[str, t.Any] = line.ask(
                "SELECT pg_is_in_recovery() AS standby, host(inet_server_addr()) AS address", timeout=LOOK_DEADLINE
            )[0]
        except LineFailed:
            return None
        finally:
            line.close()
        if row["standby"]:
            return None
        return self._name(str(row["address"]))

    def _name(self, address: str) -> str:
        for name, addresses in self._addresses.items():
            if address in addresses:
                return name
        return address


def _addresses(host: str) -> frozenset[str]:
    try:
        return frozenset(str(info[4][0]) for info in socket.getaddrinfo(host, None))
    except OSError:
        return frozenset({host})


# --- holding ---------------------------------------------------------------------------------------------------------


@dataclass
class Record:
    """What has happened so far, and how it ended; the state file's content.

    ``outcome``: resumed_on_new_primary; resumed_on_old_primary (the old primary still serves, so nothing has changed);
    deadline (clients were let go though no writable server was seen); refused (by a guard); killed.
    """

    token: str
    old_primary: str
    state: str = "holding"
    outcome: str | None = None
    new_primary: str | None = None
    reason: str = ""
    next_step: str = ""
    held_seconds: float | None = None
    blockers: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, t.Any]] = field(default_factory=list)

    def stamp(self, name: str) -> int:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        utc = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        self.events.append({"name": name, "monotonic_ns": now, "utc": utc})
        return now

    def end(self, outcome: str, reason: str, next_step: str = "") -> Record:
        self.state, self.outcome, self.reason, self.next_step = "done", outcome, reason, next_step
        return self


class PoolerActs(t.Protocol):
    def pause(self, timeout: float) -> bool: ...
    def resume(self) -> None: ...
    def blockers(self) -> list[dict[str, str]]: ...


class ClusterActs(t.Protocol):
    def names(self) -> list[str]: ...
    def call(self, name: str) -> None: ...
    def is_primary(self) -> bool: ...
    def listeners(self) -> int: ...
    def notify(self, token: str) -> None: ...
    def writable(self) -> str | None: ...


def guard(cluster: ClusterActs, old_primary: str) -> None:
    """Everything that can be known beforehand, so that no client is held in vain.

    :raises Refused: nothing was changed.
    """
    if old_primary not in cluster.names():
        raise Refused(
            f"{old_primary} is no member of the cluster behind this gateway",
            f"name one of: {', '.join(cluster.names())}",
        )
    try:
        cluster.call(old_primary)
        if not cluster.is_primary():
            raise Refused(f"{old_primary} is not a primary", "ask cluster_info who is")
        if cluster.listeners() == 0:
            raise Refused(
                f"nobody waits on {old_primary} for the word to stop it", "arm its demotion (resilience-demotion) first"
            )
    except LineFailed as error:
        raise Refused(
            f"{old_primary} cannot be reached from the gateway: {error}", "look at that member first"
        ) from error
    leads_to = cluster.writable()
    if leads_to != old_primary:
        raise Refused(
            f"HAProxy leads to {leads_to or 'no writable server'}, not to {old_primary}",
            "look at the health agents (/primary) and at HAProxy's servers",
        )


def hold(
    pooler: PoolerActs,
    cluster: ClusterActs,
    record: Record,
    *,
    deadline: float,
    pause_timeout: float,
    keep: t.Callable[[Record], None],
    now: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> Record:
    """Hold the clients from here until a new primary is writable behind HAProxy, ``deadline`` seconds at most.

    :param keep: called with the record at each step that a later reader must know of.
    :raises Refused: a guard said no, or a transaction lasted longer than ``pause_timeout``; nothing was changed.
    """
    guard(cluster, record.old_primary)
    end = now() + deadline
    begin_ns = record.stamp("pause_asked")
    keep(record)
    try:
        paused = pooler.pause(pause_timeout)
    except LineFailed as error:
        raise Refused(
            f"PgBouncer does not pause: {error}", "look at its console; RESUME there if somebody else holds the clients"
        ) from error
    try:
        if not paused:
            raise _not_paused(pooler, pause_timeout)
        record.stamp("paused")
        _move(cluster, record, end, keep, now, sleep)
    finally:
        try:
            pooler.resume()
        except LineFailed as error:
            raise StillHeld(f"PgBouncer does not resume: {error}") from error
        record.held_seconds = (record.stamp("resumed") - begin_ns) / 1e9
    return record


def _not_paused(pooler: PoolerActs, pause_timeout: float) -> Refused:
    try:
        blockers = pooler.blockers()
    except LineFailed:
        blockers = []
    return Refused(
        f"{len(blockers) or 'some'} transaction(s) did not end within {pause_timeout:g} s",
        "end them, or wait for them, and try again; or raise the pause timeout",
        blockers,
    )


def _move(
    cluster: ClusterActs,
    record: Record,
    end: float,
    keep: t.Callable[[Record], None],
    now: t.Callable[[], float],
    sleep: t.Callable[[float], None],
) -> None:
    try:
        cluster.notify(record.token)
    except LineFailed as error:
        record.end(
            "resumed_on_old_primary",
            f"{record.old_primary} could not be told to stop: {error}",
            "look at that member first",
        )
        return
    record.stamp("notified")
    keep(record)
    leads_to: str | None = record.old_primary
    moving = now()
    while now() < end:
        leads_to = cluster.writable()
        if leads_to != record.old_primary or not _serves_on(cluster):
            moving = now()
        elif now() - moving > UNMOVED_SECONDS:
            break
        if leads_to not in {None, record.old_primary}:
            record.new_primary = leads_to
            record.stamp("writable")
            record.end("resumed_on_new_primary", f"{leads_to} is writable behind HAProxy")
            return
        sleep(LOOK_INTERVAL)
    if leads_to == record.old_primary:
        record.end(
            "resumed_on_old_primary",
            f"{record.old_primary} was told to stop, and still serves",
            "read why on it: journalctl --unit resilience-demotion; then try again",
        )
    else:
        record.end(
            "deadline",
            "no writable server was seen behind HAProxy before the deadline",
            "ask cluster_info who is primary; fail over if nobody is",
        )


def _serves_on(cluster: ClusterActs) -> bool:
    """Is the old primary still one, with nobody on it who would change that?"""
    try:
        return cluster.listeners() == 0 and cluster.is_primary()
    except LineFailed:
        return False


# --- state file ------------------------------------------------------------------------------------------------------


def write_state(path: str, record: Record) -> None:
    """Replace the state file as a whole: a reader sees the old one or the new one."""
    partial = f"{path}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8") as stream:
        json.dump(vars(record), stream)
        stream.write("\n")
    os.replace(partial, path)


def read_state(path: str) -> dict[str, t.Any] | None:
    try:
        with open(path, encoding="utf-8") as stream:
            state: dict[str, t.Any] = json.load(stream)
            return state
    except (FileNotFoundError, ValueError):
        return None


def let_go(pooler: PoolerActs, path: str, token: str) -> bool:
    """After the unit has ended, however it did: clients that it still holds are let go. Whether there were any."""
    state = read_state(path)
    if state is None or state.get("token") != token or state.get("state") != "holding":
        return False
    pooler.resume()
    record = Record(**state)
    record.stamp("resumed")
    record.held_seconds = (record.events[-1]["monotonic_ns"] - record.events[0]["monotonic_ns"]) / 1e9
    write_state(
        path,
        record.end(
            "killed",
            "the program that held the clients was killed; they were let go",
            "ask cluster_info who is primary",
        ),
    )
    return True


# --- running ---------------------------------------------------------------------------------------------------------


def _parse(argv: t.Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="run the guards, print what would be held, change nothing")
    what.add_argument("--resume", action="store_true", help="let go the clients that a killed hold left behind")
    what.add_argument("--reconnect", action="store_true", help="renew server connections as their transactions end")
    what.add_argument("--look", action="store_true", help="print what the gateway sees now")
    parser.add_argument("--token", default="", help="what the old primary's demotion waits for")
    parser.add_argument("--old-primary", default="", help="name of the member that is to stop")
    parser.add_argument("--deadline", type=float, default=15.0, help="seconds that clients are held at most")
    parser.add_argument("--pause-timeout", type=float, default=2.0, help="seconds for open transactions to end")
    parser.add_argument("--descriptor", default="/etc/fraiseql-resilience/gateway.json")
    parser.add_argument("--state", default="/var/lib/fraiseql-resilience/hold.json")
    return parser.parse_args(argv)


def _run(pooler: Pooler, cluster: Cluster, given: argparse.Namespace) -> Record:
    record = Record(token=given.token, old_primary=given.old_primary)
    try:
        hold(
            pooler,
            cluster,
            record,
            deadline=given.deadline,
            pause_timeout=given.pause_timeout,
            keep=lambda state: write_state(given.state, state),
        )
    except Refused as refusal:
        record.blockers = refusal.blockers
        record.end("refused", str(refusal), refusal.next_step)
    return record


def _plan(pooler: Pooler, cluster: Cluster, old_primary: str) -> dict[str, t.Any]:
    try:
        guard(cluster, old_primary)
        return {"outcome": "possible", "clients": pooler.clients(), "blockers": pooler.blockers()}
    except Refused as refusal:
        return {"outcome": "refused", "reason": str(refusal), "next_step": refusal.next_step}


def main(argv: t.Sequence[str] | None = None) -> int:
    given = _parse(argv)
    with open(given.descriptor, encoding="utf-8") as stream:
        descriptor = json.load(stream)
    pooler = Pooler(descriptor["pgbouncer"])
    if given.resume:
        let_go(pooler, given.state, given.token)
        return 0
    if given.reconnect:
        pooler.reconnect()
        return 0
    cluster = Cluster(descriptor)
    if given.look:
        print(json.dumps({"pgbouncer": pooler.version(), "clients": pooler.clients(), "primary": cluster.writable()}))
        return 0
    if given.plan:
        print(json.dumps(_plan(pooler, cluster, given.old_primary)))
        return 0
    record = _run(pooler, cluster, given)
    write_state(given.state, record)
    print(f"{record.outcome}: {record.reason}", file=sys.stderr)
    return 0 if record.outcome == "resumed_on_new_primary" else 1


if __name__ == "__main__":
    sys.exit(main())
