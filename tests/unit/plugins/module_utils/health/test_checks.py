# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of check from its options to its findings, with connections that stand for PostgreSQL's."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health import member, network, postgresql
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import Descriptor, LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.answer import Answer
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.host import Offset
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, worst

MEMBER = {"descriptor": "/member.json", "fenced_marker": "/fenced"}
SESSION = {"user": "app", "password": "it's", "host": "gate", "database": "orders"}
#: What PostgreSQL says to each statement when all is well.
WELL: dict[str, list[tuple[t.Any, ...]]] = {
    postgresql.SESSIONS: [(97, 10, 0, None, None, None, None)],
    postgresql.REPLICATION: [(True, True, 0, 0.1, False, 0, 0, "")],
    postgresql.SLOTS: [("a", True, "reserved", 16.0, False)],
    postgresql.ARCHIVER: [(True, False, False, 0, None)],
    postgresql.TRANSACTION_IDS: [(1000, 10, None)],
    postgresql.DATABASES: [("orders",), ("postgres",)],
    postgresql.SEQUENCES: [("orders.public.id", 1.0)],
    postgresql.CHECKSUMS: [(True, "orders", 0), (True, "shared", 0)],
    postgresql.CONFIGURATION: [],
    postgresql.BLOCKS: [("pg_default", "base/5/1259", 8192), ("fast's", "pg_tblspc/1/PG_17_2/5/99", 0)],
}
CONSOLE = {
    "SHOW DATABASES": [{"name": "orders", "pool_size": 20}],
    "SHOW POOLS": [
        {"database": "pgbouncer", "user": "pgbouncer"},
        {"database": "orders", "user": "app", "cl_active": 5, "cl_waiting": 1, "sv_active": 20, "maxwait": 2,
         "maxwait_us": 500000},
    ],
    "SHOW CONFIG": [{"key": "listen_port", "value": "6432"}, {"key": "max_client_conn", "value": "100"}],
}  # fmt: skip


class Server:
    """Stands for all connections: what was asked of which, and what is answered."""

    def __init__(self) -> None:
        self.dsns: list[str] = []
        self.asked: list[str] = []
        self.beat: int | None = None
        self.down = ""

    def line(self, dsn: str, _deadline: float) -> Server:
        self.dsns.append(dsn)
        if self.down:
            raise LookFailed(self.down)
        return self

    def rows(self, sql: str, _deadline: float) -> list[tuple[t.Any, ...]]:
        self.asked.append(sql)
        if self.down:
            raise LookFailed(self.down)
        if "FROM resilience.heartbeat" in sql:
            return [] if self.beat is None else [(self.beat,)]
        if "INSERT INTO resilience.heartbeat" in sql:
            self.beat = (self.beat or 0) + 1
            return []
        return WELL.get(sql, [(1,)])

    def ask(self, sql: str, deadline: float) -> tuple[t.Any, ...]:
        [row] = self.rows(sql, deadline)
        return row

    def named(self, sql: str, _deadline: float) -> list[dict[str, t.Any]]:
        return CONSOLE[sql]

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(member, "Line", server.line)
    monkeypatch.setattr(postgresql, "Line", server.line)
    return server


@pytest.fixture
def look(tmp_path: Path, server: Server) -> t.Callable[..., t.Callable[[], t.Sequence[Finding]]]:
    (tmp_path / "member.json").write_text(
        json.dumps({"socket_dir": "/run", "port": 5433, "name": "pg-a1", "peers": [], "receivers": []})
    )
    descriptor = Descriptor(str(tmp_path / "member.json"), "postgres")

    def made(kind: str, **options: t.Any) -> t.Callable[[], t.Sequence[Finding]]:
        check = parse({"member": MEMBER, "checks": {"it": {"kind": kind, **options}}}).checks["it"]
        found = check.kind.make(check.options, descriptor)
        return lambda: found(time.monotonic() + 60)

    return made


def status(findings: t.Sequence[Finding]) -> str:
    return worst(one.status for one in findings).value


@pytest.mark.parametrize(
    "kind",
    ["latency", "sessions", "replication", "slots", "archiving", "transaction_ids", "sequences", "checksums",
     "configuration", "storage"],
)  # fmt: skip
def test_a_member_that_is_well(look: t.Any, server: Server, kind: str) -> None:
    assert status(look(kind)()) == "pass"
    assert server.dsns[0] == "host=/run port=5433 dbname=postgres user=postgres application_name=resilience-health"


def test_sequences_are_looked_at_in_each_database(look: t.Any, server: Server) -> None:
    look("sequences")()
    assert [dsn.split()[2] for dsn in server.dsns] == ["dbname=postgres", "dbname=orders", "dbname=postgres"]


@pytest.mark.parametrize("kind", ["latency", "sessions", "slots", "heartbeat_seen"])
def test_what_cannot_be_asked_is_unknown_and_no_finding(look: t.Any, server: Server, kind: str) -> None:
    server.down = "gone"
    with pytest.raises(LookFailed, match="gone"):
        look(kind)()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("login", "app gets no session: too many clients"),
        ("heartbeat", "no row is written: too many clients"),
        ("pgbouncer", "PgBouncer does not answer: too many clients"),
    ],
)
def test_a_refusal_is_a_failure_where_that_is_looked_for(look: t.Any, server: Server, kind: str, said: str) -> None:
    server.down = "too many clients"
    options = {} if kind == "pgbouncer" else SESSION
    [finding] = look(kind, **options)()
    assert (finding.status, finding.reason) == ("fail", said)


def test_a_session_is_opened_anew_each_time_as_who_it_is_for(look: t.Any, server: Server) -> None:
    one = look("login", **SESSION)
    assert [status(one()) for _look in range(2)] == ["pass", "pass"]
    assert len(server.dsns) == 2
    assert "host='gate' port='5432' dbname='orders' user='app' password='it\\'s' sslmode='prefer'" in server.dsns[0]
    assert "sslrootcert" not in server.dsns[0]


def test_a_heartbeat_is_written_and_read_back(look: t.Any, server: Server) -> None:
    one = look("heartbeat", **SESSION, name="it's")
    assert [status(one()) for _look in range(3)] == ["pass"] * 3
    assert (server.beat, len(server.dsns)) == (3, 1)
    [written] = [sql for sql in server.asked if "VALUES ('it''s', 1)" in sql]
    assert written.startswith("BEGIN; SET LOCAL statement_timeout = ") and written.endswith("; COMMIT")


def test_a_heartbeat_that_was_acknowledged_and_is_not_there_is_a_failure(
    look: t.Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Server.rows
    monkeypatch.setattr(
        Server, "rows", lambda self, sql, deadline: [] if "INSERT" in sql else rows(self, sql, deadline)
    )
    [finding] = look("heartbeat", **SESSION)()
    assert (finding.status, "beat 1 was acknowledged, and None is read back" in finding.reason) == ("fail", True)


def test_a_heartbeats_age_is_by_this_hosts_own_clock(
    look: t.Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one = look("heartbeat_seen")
    assert status(one()) == "unknown"
    ages = []
    for seconds, beat in ((1, 7), (4, 7), (2, 7), (60, 7), (1, 8), (1, 3)):
        now[0] += seconds
        server.beat = beat
        ages.append((one()[0].value, status(one())))
    # Another number is a change, also a lower one: somebody restored.
    assert ages == [(0, "pass"), (4, "pass"), (6, "warn"), (66, "fail"), (0, "pass"), (0, "pass")]
    assert server.dsns[0].split()[2] == "dbname=resilience"


class Answered(Exception):
    """Stands for an error of psycopg2's, with the state that PostgreSQL gave it."""

    def __init__(self, pgcode: str | None) -> None:
        super().__init__("could not read file: Input/output error")
        self.pgcode = pgcode


def spoil_blocks(monkeypatch: pytest.MonkeyPatch, pgcode: str | None) -> None:
    rows = Server.rows

    def spoilt(self: Server, sql: str, deadline: float) -> list[tuple[t.Any, ...]]:
        if "'pg_tblspc/1/PG_17_2/5/99'" in sql:
            raise LookFailed("could not read file: Input/output error") from Answered(pgcode)
        return rows(self, sql, deadline)

    monkeypatch.setattr(Server, "rows", spoilt)


def test_a_block_that_cannot_be_read_is_told_with_its_tablespace(
    look: t.Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_blocks(monkeypatch, "58030")
    [finding] = look("storage")()
    assert (finding.status, finding.of) == ("fail", "fast's")
    assert "Input/output error" in finding.reason
    assert "SELECT length(pg_read_binary_file('base/5/1259', 8192, 8192, true))" in server.asked


@pytest.mark.parametrize("pgcode", [None, "57P01"])
def test_a_block_that_nobody_could_look_at_is_unknown(
    look: t.Any, monkeypatch: pytest.MonkeyPatch, pgcode: str | None
) -> None:
    spoil_blocks(monkeypatch, pgcode)
    with pytest.raises(LookFailed, match="Input/output error"):
        look("storage")()


def test_pools_are_told_by_name(look: t.Any, server: Server) -> None:
    clients, pool = look("pgbouncer")()
    assert (clients.status, clients.value) == ("pass", 6.0)
    assert (pool.status, pool.of, pool.value) == ("warn", "orders/app", 2.5)
    assert "1 wait for orders/app, with 20 of 20 in use" in pool.reason
    assert "host='/var/run/postgresql' port='6432' dbname='pgbouncer' user='pgbouncer'" in server.dsns[0]


def test_a_host(look: t.Any) -> None:
    found = look("filesystem", paths=["/"])()
    assert {one.measure for one in found} >= {"free"} and {one.of for one in found} == {"/"}
    assert look("memory")()[0].measure == "available"


def test_what_is_elsewhere(look: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "tcp", lambda _host, _port, _deadline: 0.01)
    assert status(look("tcp", host="h", port=1)()) == "pass"
    given: list[dict[str, str]] = []

    def get(_url: str, _deadline: float, **more: str) -> Answer:
        given.append(more)
        return Answer(200, b'{"status": "degraded"}', 0.01)

    monkeypatch.setattr(network, "get", get)
    app = {"url": "http://app/health/", "token": "s3cret"}
    assert status(look("http", **app)()) == "pass"
    assert status(look("http", **app, profile="fraiseql_health")()) == "warn"
    assert given[0] == {"token": "s3cret", "ca": ""}
    monkeypatch.setattr(network, "offsets", lambda _peers, _deadline: [Offset("a", 9.0), Offset("b", 9.0)])
    assert status(look("clock", peers={"a": "http://a"})()) == "fail"

    def refuse(*_given: t.Any, **_more: t.Any) -> t.NoReturn:
        raise network.Refused("it does not answer")

    monkeypatch.setattr(network, "tcp", refuse)
    monkeypatch.setattr(network, "get", refuse)
    for kind, options in (("tcp", {"host": "h", "port": 1}), ("http", app)):
        [finding] = look(kind, **options)()
        assert (finding.status, finding.reason) == ("fail", "it does not answer")


def test_members_are_asked_who_serves_as_primary(look: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(url: str, _deadline: float, **_more: str) -> Answer:
        asked.append(url)
        return Answer(200, b"", 0.01)

    monkeypatch.setattr(network, "get", get)
    [finding] = look("primaries", members={"a": "http://a:8008", "b": "http://b:8008/"})()
    assert (finding.status, finding.reason) == ("fail", "2 of 2 members serve as primary: a, b")
    assert sorted(asked) == ["http://a:8008/primary", "http://b:8008/primary"]


def test_vantage_points_that_tell_nothing_are_no_majority(look: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: t.Any, **_more: t.Any) -> t.NoReturn:
        raise network.Refused("it does not answer")

    monkeypatch.setattr(network, "get", refuse)
    points = {name: {"url": f"http://{name}"} for name in "abc"}
    [finding] = look("vantages", points=points)()
    assert (finding.status, "left out: a, b, c" in finding.reason) == ("unknown", True)
