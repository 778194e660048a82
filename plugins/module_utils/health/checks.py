# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of checks: for each its options, how often it looks, and how what it collects is judged."""

from __future__ import annotations

import time
import typing as t
from collections import deque
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health import host, network, postgresql
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import (
    Descriptor,
    Lasting,
    Line,
    LookFailed,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.health import options as o
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.baseline_limits import BaselineLimits
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health import answer, primaries, vantage
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health import host as of_host
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health import postgresql as of_postgresql
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import Need
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status, at_most

Given = t.Mapping[str, t.Any]
Findings = t.Sequence[Finding]
#: Looks until this moment of the monotonic clock.
Look = t.Callable[[float], Findings]
#: How many answers a percentile is of.
SAMPLES = 60


def _nothing(_given: Given) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """``make`` is called once, so that what it returns may keep connections and the past.

    ``ready``: what /readyz makes of it by default. ``of_member``: it needs a member on this host.
    """

    make: t.Callable[[Given, Descriptor | None], Look]
    options: o.Known
    every: float
    deadline: float = 2.0
    ready: str = "no"
    of_member: bool = False
    component: str = "datastore"
    demand: t.Callable[[Given], None] = _nothing


#: What each check may be told. 0 and empty stand for its kind's own.
COMMON: o.Known = {
    "kind": o.Option(o.some_text),
    "every": o.Option(o.number(0, 86400), 0.0),
    "deadline": o.Option(o.number(0, 600), 0.0),
    "ready": o.Option(o.choice("", "no", *(need.value for need in Need)), ""),
    "needs": o.Option(o.mapped(o.choice(*(need.value for need in Need))), {}),
}
SESSION: o.Known = {
    "host": o.Option(o.text, ""),
    "port": o.Option(o.port, 5432),
    "database": o.Option(o.some_text, "postgres"),
    "user": o.Option(o.some_text),
    "password": o.Option(o.text, ""),
    "sslmode": o.Option(o.choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"), "prefer"),
    "ca": o.Option(o.text, ""),
}


def _conninfo(given: Given) -> str:
    words = {
        "host": given["host"], "port": given["port"], "dbname": given["database"], "user": given["user"],
        "password": given["password"], "sslmode": given["sslmode"], "sslrootcert": given["ca"],
        "application_name": "resilience-health",
    }  # fmt: skip
    return postgresql.conninfo(words)


def _asked(dsn: t.Callable[[], str], ask: t.Callable[[Line, float], Findings]) -> Look:
    """Over one lasting connection."""
    lasting = Lasting(dsn)
    return lambda deadline: lasting.asked(lambda line: ask(line, deadline), deadline)


def _failing(what: str, metric: str, look: Look) -> Look:
    """Where a refusal is what the check looks for, it is a failure and not unknown."""

    def failing(deadline: float) -> Findings:
        try:
            return look(deadline)
        except LookFailed as error:
            return [Finding(Status.FAIL, f"{what}: {error.message}", metric)]

    return failing


def _of_member(judge: t.Callable[[Line, float, Given], Findings]) -> t.Callable[[Given, Descriptor | None], Look]:
    def make(given: Given, descriptor: Descriptor | None) -> Look:
        return _asked(_here(descriptor).dsn, lambda line, deadline: judge(line, deadline, given))

    return make


def _here(descriptor: Descriptor | None) -> Descriptor:
    """The settings let no check of a member pass where there is none."""
    if descriptor is None:
        raise InputError("there is no member on this host")
    return descriptor


# --- PostgreSQL and PgBouncer ----------------------------------------------------------------------------------------


def _login(given: Given, _descriptor: Descriptor | None) -> Look:
    dsn = _conninfo(given)

    def look(deadline: float) -> Findings:
        return of_postgresql.login(postgresql.login(dsn, deadline), given["seconds"])

    return _failing(f"{given['user']} gets no session", "seconds", look)


def _latency(given: Given, descriptor: Descriptor | None) -> Look:
    samples: deque[float] = deque(maxlen=SAMPLES)
    usual = BaselineLimits(given)

    def ask(line: Line, deadline: float) -> Findings:
        begin = time.monotonic()
        line.rows(given["statement"], deadline)
        samples.append(time.monotonic() - begin)
        return usual.judged(samples[-1], lambda limits: of_postgresql.latency(samples, limits))

    return _asked(_here(descriptor).dsn, ask)


def _sessions(line: Line, deadline: float, given: Given) -> Findings:
    seen = postgresql.sessions(line, deadline)
    return of_postgresql.sessions(seen, given["used_percent"], given["wait_seconds"], given["idle_seconds"])


def _replication(line: Line, deadline: float, given: Given) -> Findings:
    seen = postgresql.replication(line, deadline)
    return of_postgresql.replication(seen, given["lag_bytes"], given["silent_seconds"], given["standbys"])


def _slots(given: Given, descriptor: Descriptor | None) -> Look:
    here = _here(descriptor)

    def judge(line: Line, deadline: float) -> Findings:
        seen, in_recovery = postgresql.slots(line, deadline)
        return of_postgresql.slots(seen, in_recovery, given["retained_bytes"], here.slots())

    return _asked(here.dsn, judge)


def _archiving(line: Line, deadline: float, given: Given) -> Findings:
    seen = postgresql.archiver(line, deadline)
    return of_postgresql.archiving(seen, given["waiting_segments"], given["oldest_seconds"])


def _transaction_ids(line: Line, deadline: float, given: Given) -> Findings:
    xid, mxid, prepared = line.ask(postgresql.TRANSACTION_IDS, deadline)
    return of_postgresql.transaction_ids(xid, mxid, prepared, given["used_percent"])


def _checksums(line: Line, deadline: float, _given: Given) -> Findings:
    return of_postgresql.checksums(*postgresql.checksums(line, deadline))


def _storage(line: Line, deadline: float, _given: Given) -> Findings:
    return of_postgresql.storage(*postgresql.unreadable(line, deadline))


def _configuration(line: Line, deadline: float, _given: Given) -> Findings:
    return of_postgresql.configuration(*postgresql.configuration(line, deadline))


def _sequences(given: Given, descriptor: Descriptor | None) -> Look:
    dsn = _here(descriptor).dsn
    return lambda deadline: of_postgresql.sequences(postgresql.sequences(dsn, deadline), given["used_percent"])


def _heartbeat(given: Given, _descriptor: Descriptor | None) -> Look:
    dsn = _conninfo(given)
    usual = BaselineLimits(given)

    def ask(line: Line, deadline: float) -> Findings:
        begin = time.monotonic()
        postgresql.beat(line, given["name"], deadline)
        seconds = time.monotonic() - begin
        return usual.judged(seconds, lambda limits: of_postgresql.written(seconds, limits))

    return _failing("no row is written", "seconds", _asked(lambda: dsn, ask))


def _heartbeat_seen(given: Given, descriptor: Descriptor | None) -> Look:
    """The age is by this host's clock alone: since the number changed, at the latest since the first look."""
    last: tuple[int | None, float] = (None, time.monotonic())

    def ask(line: Line, deadline: float) -> Findings:
        nonlocal last
        now, seen = time.monotonic(), postgresql.last_beat(line, given["name"], deadline)
        if seen != last[0]:
            last = (seen, now)
        return of_postgresql.heartbeat_seen(None if seen is None else now - last[1], given["age_seconds"])

    return _asked(lambda: _here(descriptor).dsn(given["database"]), ask)


def _pgbouncer(given: Given, _descriptor: Descriptor | None) -> Look:
    dsn = _conninfo({**given, "database": "pgbouncer", "ca": "", "sslmode": "prefer"})

    def ask(line: Line, deadline: float) -> Findings:
        return of_postgresql.pools(
            *postgresql.pools(line, deadline), used=given["used_percent"], waiting=given["wait_seconds"]
        )

    return _failing("PgBouncer does not answer", "clients", _asked(lambda: dsn, ask))


# --- the host --------------------------------------------------------------------------------------------------------


def _filesystem(given: Given, _descriptor: Descriptor | None) -> Look:
    rooms = host.Rooms(given["paths"], command.run)
    limits = of_host.RoomLimits(
        given["free_percent"], given["free_bytes"], given["free_inodes_percent"], given["full_in_hours"]
    )
    return lambda _deadline: of_host.rooms(rooms.look(), limits)


def _memory(given: Given, _descriptor: Descriptor | None) -> Look:
    memory = host.Memory()
    return lambda _deadline: of_host.memory(*memory.look(), given["available_percent"])


def _clock(given: Given, _descriptor: Descriptor | None) -> Look:
    return lambda deadline: of_host.clock(network.offsets(given["peers"], deadline), given["offset_seconds"])


def _certificates(given: Given, _descriptor: Descriptor | None) -> Look:
    certificates = host.Certificates(given["paths"], command.run)
    return lambda _deadline: of_host.certificates(certificates.look(), given["days"])


def _timers(given: Given, _descriptor: Descriptor | None) -> Look:
    return lambda _deadline: of_host.timers(host.timers(given["units"], command.run))


# --- what is elsewhere -----------------------------------------------------------------------------------------------


def _tcp(given: Given, _descriptor: Descriptor | None) -> Look:
    def look(deadline: float) -> Findings:
        try:
            seconds = network.tcp(given["host"], given["port"], deadline)
        except network.Refused as error:
            return [Finding(Status.FAIL, error.message, "seconds")]
        return [at_most("seconds", seconds, given["seconds"], "s", f"{given['host']}:{given['port']} answers")]

    return look


def _http(given: Given, _descriptor: Descriptor | None) -> Look:
    judge = answer.PROFILES[given["profile"]]

    def look(deadline: float) -> Findings:
        try:
            said = network.get(given["url"], deadline, token=given["token"], ca=given["ca"])
        except network.Refused as error:
            return [Finding(Status.FAIL, error.message, "seconds")]
        return [judge(said), at_most("seconds", said.seconds, given["seconds"], "s", "it answers")]

    return look


def _primaries(given: Given, _descriptor: Descriptor | None) -> Look:
    return lambda deadline: primaries.judge(network.leading(given["members"], deadline))


def _vantages(given: Given, _descriptor: Descriptor | None) -> Look:
    return lambda deadline: vantage.judge(network.sightings(given["points"], deadline))


def _point(given: t.Any) -> dict[str, t.Any]:
    known: o.Known = {
        "url": o.Option(url),
        "service": o.Option(o.some_text, "service"),
        "control": o.Option(o.some_text, "control"),
        "token": o.Option(o.text, ""),
        "ca": o.Option(o.text, ""),
    }
    try:
        return o.completed("", given, known)
    except InputError as error:
        raise ValueError(error.as_result()["msg"]) from error


def url(given: t.Any) -> str:
    found = o.text(given).rstrip("/")
    if not found.startswith(("http://", "https://")):
        raise ValueError("a URL that begins with http:// or https://")
    return found


SECONDS = o.Option(o.rising, (0.25, 2.0))
#: Where a baseline is kept, and how many times as long as usual is too long.
BASELINE: o.Known = {"baseline": o.Option(o.text, ""), "factors": o.Option(o.rising, (3.0, 10.0))}
KINDS: dict[str, Kind] = {
    "login": Kind(_login, {**SESSION, "seconds": SECONDS}, every=0.75, deadline=1.0, ready="hard"),
    "latency": Kind(
        _latency,
        {"statement": o.Option(o.some_text, "SELECT 1"), "seconds": o.Option(o.rising, (0.05, 0.5)), **BASELINE},
        every=1.0,
        ready="soft",
        of_member=True,
    ),
    "sessions": Kind(
        _of_member(_sessions),
        {
            "used_percent": o.Option(o.rising, (80.0, 95.0)),
            "wait_seconds": o.Option(o.rising, (5.0, 30.0)),
            "idle_seconds": o.Option(o.rising, (300.0, 3600.0)),
        },
        every=5.0,
        of_member=True,
    ),
    "replication": Kind(
        _of_member(_replication),
        {
            "lag_bytes": o.Option(o.rising, (67108864.0, 1073741824.0)),
            "silent_seconds": o.Option(o.rising, (5.0, 30.0)),
            "standbys": o.Option(o.whole(0, 100), 0),
        },
        every=2.0,
        of_member=True,
    ),
    "heartbeat_seen": Kind(
        _heartbeat_seen,
        {
            "database": o.Option(o.some_text, "resilience"),
            "name": o.Option(o.some_text, "gateway"),
            "age_seconds": o.Option(o.rising, (5.0, 30.0)),
        },
        every=1.0,
        of_member=True,
    ),
    "heartbeat": Kind(
        _heartbeat,
        {
            **SESSION,
            "name": o.Option(o.some_text, "gateway"),
            "seconds": SECONDS,
            "record": o.Option(o.text, ""),
            **BASELINE,
        },
        every=1.0,
        ready="soft",
    ),
    "slots": Kind(
        _slots,
        {"retained_bytes": o.Option(o.rising, (1073741824.0, 3221225472.0))},
        every=15.0,
        of_member=True,
    ),
    "archiving": Kind(
        _of_member(_archiving),
        {
            "waiting_segments": o.Option(o.rising, (10.0, 100.0)),
            "oldest_seconds": o.Option(o.rising, (120.0, 300.0)),
        },
        every=15.0,
        of_member=True,
    ),
    "transaction_ids": Kind(
        _of_member(_transaction_ids), {"used_percent": o.Option(o.rising, (30.0, 70.0))}, every=60.0, of_member=True
    ),
    "sequences": Kind(
        _sequences, {"used_percent": o.Option(o.rising, (75.0, 90.0))}, every=300.0, deadline=10.0, of_member=True
    ),
    "checksums": Kind(_of_member(_checksums), {}, every=15.0, of_member=True),
    "storage": Kind(_of_member(_storage), {}, every=30.0, of_member=True),
    "configuration": Kind(_of_member(_configuration), {}, every=30.0, of_member=True),
    "pgbouncer": Kind(
        _pgbouncer,
        {
            "host": o.Option(o.some_text, "/var/run/postgresql"),
            "port": o.Option(o.port, 6432),
            "user": o.Option(o.some_text, "pgbouncer"),
            "password": o.Option(o.text, ""),
            "used_percent": o.Option(o.rising, (80.0, 95.0)),
            "wait_seconds": o.Option(o.rising, (1.0, 5.0)),
        },
        every=1.0,
        ready="hard",
    ),
    "filesystem": Kind(
        _filesystem,
        {
            "paths": o.Option(o.listed(o.some_text, 1)),
            "free_percent": o.Option(o.falling, (15.0, 5.0)),
            "free_bytes": o.Option(o.falling, (0.0, 0.0)),
            "free_inodes_percent": o.Option(o.falling, (15.0, 5.0)),
            "full_in_hours": o.Option(o.falling, (24.0, 4.0)),
        },
        every=15.0,
        component="system",
    ),
    "memory": Kind(_memory, {"available_percent": o.Option(o.falling, (10.0, 3.0))}, every=15.0, component="system"),
    "clock": Kind(
        _clock,
        {"peers": o.Option(o.mapped(url)), "offset_seconds": o.Option(o.rising, (0.5, 5.0))},
        every=30.0,
        deadline=5.0,
        component="system",
    ),
    "certificates": Kind(
        _certificates,
        {"paths": o.Option(o.listed(o.some_text, 1)), "days": o.Option(o.falling, (21.0, 3.0))},
        every=15.0,
        deadline=30.0,
        component="system",
    ),
    "timers": Kind(
        _timers, {"units": o.Option(o.listed(o.some_text, 1))}, every=60.0, deadline=15.0, component="system"
    ),
    "tcp": Kind(
        _tcp,
        {"host": o.Option(o.some_text), "port": o.Option(o.port), "seconds": SECONDS},
        every=5.0,
        component="component",
    ),
    "http": Kind(
        _http,
        {
            "url": o.Option(url),
            "profile": o.Option(o.choice(*answer.PROFILES), "code"),
            "token": o.Option(o.text, ""),
            "ca": o.Option(o.text, ""),
            "seconds": SECONDS,
        },
        every=5.0,
        component="component",
    ),
    "primaries": Kind(_primaries, {"members": o.Option(o.mapped(url))}, every=2.0, component="datastore"),
    "vantages": Kind(
        _vantages,
        {"points": o.Option(o.mapped(_point))},
        every=5.0,
        deadline=5.0,
        component="component",
        demand=lambda given: vantage.demand_enough(list(given["points"])),
    ),
}
