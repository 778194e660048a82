# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packed agent beside a real PostgreSQL that is frozen, full, locked and cut off: what it says, and how soon."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import pytest
import real_cluster as real
from real_agent import (
    ANSWER_WITHIN,
    PROGRAM,
    SINGLE_ANSWER_WITHIN,
    Agent,
    agent_of,
    settings,
    why_not,
)

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.packed import pack

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

#: An agent keeps ten sessions, and there are two of them at the primary at times.
CONNECTIONS = 40
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


def code_is(code: int) -> t.Callable[[int, dict[str, t.Any]], bool]:
    return lambda found, _body: found == code


def fails_for(reason: str) -> t.Callable[[int, dict[str, t.Any]], bool]:
    return lambda code, body: code == 503 and reason in body["output"]


@pytest.fixture(scope="module")
def cluster() -> t.Iterator[real.Cluster]:
    with real.real_cluster() as cluster:
        cluster.sql("CREATE ROLE app LOGIN; CREATE ROLE probe LOGIN")
        cluster.sql("CREATE DATABASE resilience OWNER probe")  # by itself: one -c is one transaction
        cluster.sql(f"ALTER SYSTEM SET max_connections = {CONNECTIONS}")
        # The standby inherits it, and would otherwise archive nothing once it were promoted.
        cluster.sql("ALTER SYSTEM SET archive_mode = 'on'")
        cluster.sql("CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, x int)")
        cluster.sql("INSERT INTO numbered (x) SELECT 1")
        cluster.stop()
        cluster.start()
        cluster.add_standby()
        yield cluster


@pytest.fixture(scope="module")
def agent(cluster: real.Cluster) -> t.Iterator[Agent]:
    beat = {"kind": "heartbeat", "user": "probe", "database": "resilience", "host": str(cluster.folder),
            "port": cluster.port, "every": 0.25, "deadline": 1.0}  # fmt: skip
    sessions = {"kind": "sessions", "every": 0.25, "used_percent": [80, 100]}
    with agent_of(settings(cluster, cluster.port, heartbeat=beat, sessions=sessions)) as agent:
        yield agent


@pytest.fixture(scope="module")
def standby(cluster: real.Cluster, agent: Agent) -> t.Iterator[Agent]:
    seen = {"kind": "heartbeat_seen", "every": 0.25, "age_seconds": [1, 2]}
    with agent_of(settings(cluster, cluster.standby_port, seen=seen)) as standby:
        yield standby


@pytest.fixture(autouse=True)
def healthy(agent: Agent, standby: Agent) -> None:
    """Each fault begins on a service that is well, and the one before was undone."""
    for one in (agent, standby):
        one.until("/startupz", code_is(200), within=15)
        one.until("/readyz", code_is(200), within=15)


def test_everything_is_looked_at_and_well(agent: Agent, standby: Agent) -> None:
    agent.until("/healthz", lambda code, body: code == 200, within=15)
    standby.until("/healthz", lambda code, body: code == 200, within=15)
    body = agent.ask("/healthz")[1]
    assert body["status"] in {"pass", "warn"}
    assert {one["own"] for one in body["components"].values()} <= {"pass", "warn"}, body["components"]
    assert body["checks"]["sequences:used"][0]["componentId"].endswith("numbered_id_seq")
    assert (agent.ask("/primary")[0], standby.ask("/replica?lag=16777216")[0]) == (200, 200)
    assert (agent.ask("/replica")[0], standby.ask("/primary")[0]) == (503, 503)
    text = agent.ask("/metrics")[1]["text"]
    assert 'resilience_health_endpoint_status{endpoint="/readyz",status="pass"} 1.0\n' in text
    assert "\nprocess_resident_memory_bytes " in text


def postmaster(cluster: real.Cluster, data: str = "data") -> int:
    return int((cluster.folder / data / "postmaster.pid").read_text().splitlines()[0])


@contextlib.contextmanager
def stopped(pids: t.Sequence[int]) -> t.Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_frozen_server(cluster: real.Cluster, agent: Agent) -> None:
    server = postmaster(cluster)
    with stopped([server, *real.children(server)]):
        agent.until("/readyz", fails_for("unknown"))
        agent.until("/primary", fails_for("unknown"))
        assert agent.ask("/livez")[0] == 200
        assert agent.ask("/startupz")[0] == 200
        agent.until("/healthz", lambda code, body: body["components"]["sessions"]["fault"] == "inherited", within=5)
        assert agent.component("postgresql")["fault"] == "own"
        for path in ("/livez", "/readyz", "/primary", "/healthz", "/metrics"):
            assert agent.median(path) < ANSWER_WITHIN, path
    agent.until("/readyz", code_is(200), within=5)


def test_a_frozen_postmaster_lets_its_sessions_live_and_nobody_in(cluster: real.Cluster, agent: Agent) -> None:
    with stopped([postmaster(cluster)]):
        agent.until("/readyz", fails_for("login: app gets no session"))
        assert agent.ask("/primary")[0] == 200
    agent.until("/readyz", code_is(200), within=5)


#: Takes each slot that is free and each that is given back, as long as it runs; says when there is none.
TAKE_ALL = """
import sys, time, psycopg2
held, said = [], False
while True:
    try:
        held.append(psycopg2.connect(sys.argv[1]))
    except psycopg2.OperationalError:
        said = said or not print("full", flush=True)
        time.sleep(0.01)
"""


@contextlib.contextmanager
def all_slots_taken(cluster: real.Cluster) -> t.Iterator[None]:
    dsn = f"host={cluster.folder} port={cluster.port} user=app dbname=postgres"
    argv = ["/usr/bin/python3", "-c", TAKE_ALL, dsn]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as taker:
        try:
            assert taker.stdout is not None and taker.stdout.readline() == "full\n"
            yield
        finally:
            taker.kill()


def test_all_connection_slots_are_taken(cluster: real.Cluster, agent: Agent) -> None:
    with all_slots_taken(cluster):
        agent.until("/readyz", fails_for("login: app gets no session"))
        assert "slots are reserved" in agent.ask("/readyz")[1]["output"]
        # Who has a session keeps it: to call this no primary would end them all.
        assert agent.ask("/primary")[0] == 200
        is_ready = subprocess.run(
            [str(cluster.bin / "pg_isready"), "-h", str(cluster.folder), "-p", str(cluster.port)],
            check=False, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert is_ready.returncode == 0
        agent.until("/healthz", lambda code, body: body["components"]["sessions"]["own"] == "fail", within=5)
        # Not only while another session of the agent's, of a superuser, is more than all of them.
        for _time in range(40):
            assert agent.component("sessions")["own"] == "fail", agent.component("sessions")
            time.sleep(0.025)
    agent.until("/readyz", code_is(200), within=5)


def test_a_lock_out_by_pg_hba(cluster: real.Cluster, agent: Agent) -> None:
    hba = cluster.folder / "data/pg_hba.conf"
    before = hba.read_text()
    try:
        cluster.write(hba, f"local all app reject\n{before}")
        cluster.sql("SELECT pg_reload_conf()")
        agent.until("/readyz", fails_for("pg_hba.conf rejects connection"))
        assert agent.ask("/primary")[0] == 200
        # Rules that cannot be read are told before the restart that would fail for them.
        cluster.write(hba, f"local all all trust\nhost all all 10.0.0.0/99 md5\n{before}")
        agent.until("/healthz", lambda code, body: "line 2" in body["components"]["configuration"]["reason"])
    finally:
        cluster.write(hba, before)
        cluster.sql("SELECT pg_reload_conf()")


def test_a_setting_that_the_next_restart_fails_for_is_no_pending_one(cluster: real.Cluster, agent: Agent) -> None:
    path = cluster.folder / "data/postgresql.conf"
    before = path.read_text()

    def is_said(status: str, said: str) -> t.Callable[[int, dict[str, t.Any]], bool]:
        def found(_code: int, body: dict[str, t.Any]) -> bool:
            one = body["components"]["configuration"]
            return one["own"] == status and said in one["reason"]

        return found

    try:
        cluster.write(path, f"{before}max_wal_senders=7\n")
        cluster.sql("SELECT pg_reload_conf()")
        agent.until("/healthz", is_said("warn", "a restart would change max_wal_senders"))
        cluster.write(path, f"{before}work_mem=plenty\n")
        agent.until("/healthz", is_said("fail", "could not be applied"))
    finally:
        cluster.write(path, before)
        cluster.sql("SELECT pg_reload_conf()")
    agent.until("/healthz", is_said("pass", ""))


def test_a_synchronous_standby_that_is_gone(cluster: real.Cluster, agent: Agent) -> None:
    cluster.sql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
    cluster.sql("SELECT pg_reload_conf()")
    try:
        agent.until("/healthz", lambda code, body: body["components"]["heartbeat"]["own"] == "fail", within=3)
        agent.until("/healthz", lambda code, body: "nobody of them" in body["components"]["replication"]["reason"])
        # Not one of the next attempts succeeds either, at no moment.
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert agent.component("heartbeat")["own"] == "fail", agent.component("heartbeat")
            time.sleep(0.01)
        code, body, _seconds = agent.ask("/readyz")
        assert (code, body["status"]) == (200, "warn")  # reads are served, and this host's login is well
    finally:
        cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.sql("SELECT pg_reload_conf()")
    agent.until("/healthz", lambda code, body: body["components"]["heartbeat"]["own"] == "pass", within=10)


def test_an_archive_that_takes_nothing(cluster: real.Cluster, agent: Agent) -> None:
    cluster.sql("ALTER SYSTEM SET archive_command = 'false'")
    cluster.sql("SELECT pg_reload_conf()")
    try:
        cluster.sql("SELECT pg_switch_wal()")
        agent.until("/healthz", lambda code, body: body["components"]["archiving"]["own"] == "warn", within=10)
        assert "the last attempt to archive failed" in agent.component("archiving")["reason"]
        assert agent.ask("/readyz")[0] == 200
    finally:
        cluster.sql("ALTER SYSTEM RESET archive_command")
        cluster.sql("SELECT pg_reload_conf()")
    agent.until("/healthz", lambda code, body: body["components"]["archiving"]["own"] == "pass", within=90)


def test_a_stream_that_hangs_while_the_lag_reads_nothing(cluster: real.Cluster, standby: Agent) -> None:
    """The walreceiver is stopped: what was received is replayed, so by bytes hardly anything is ever missing."""
    server = postmaster(cluster, "standby")
    receivers = [pid for pid in real.children(server) if b"walreceiver" in real.cmdline(pid)]
    assert len(receivers) == 1
    with stopped(receivers):
        cluster.sql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 4000000))")
        standby.until("/healthz", lambda code, body: body["components"]["seen"]["own"] == "fail", within=4)
        assert standby.ask("/replica?lag=1000000")[1]["status"] == "pass"
    standby.until("/healthz", lambda code, body: body["components"]["seen"]["own"] == "pass", within=10)


def test_a_fence_is_seen_at_once(cluster: real.Cluster, agent: Agent) -> None:
    marker = cluster.folder / f"fenced-{cluster.port}"
    marker.touch()
    try:
        assert agent.until("/primary", fails_for("fenced")) < 0.5
    finally:
        marker.unlink()


def test_whoever_asks_while_the_agent_is_killed_gets_the_next_ones_answer(agent: Agent) -> None:
    assert agent.process is not None
    os.kill(agent.process.pid, signal.SIGKILL)
    agent.process.wait(5)
    found: list[int] = []

    def ask() -> None:
        found.append(agent.ask("/primary")[0])

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.1)  # as systemd waits before it starts it again
    agent.start()
    asking.join(10)  # how long Python takes to start is the machine's affair
    assert found == [200]


def test_a_wrong_token(agent: Agent) -> None:
    for path, code in (("/healthz", 401), ("/metrics", 401), ("/readyz", 200), ("/livez", 200)):
        found, body, seconds = agent.ask(path, Authorization="Bearer wrong")
        assert (found, seconds < SINGLE_ANSWER_WITHIN) == (code, True), path
        assert "components" not in body and "reading" not in body
    assert "components" in agent.ask("/healthz", Authorization="Bearer s3cret")[1]


@contextlib.contextmanager
def pooler(cluster: real.Cluster, port: int) -> t.Iterator[None]:
    """PgBouncer with one connection to the server, which lets its own user in."""
    users, path = cluster.folder / "userlist.txt", cluster.folder / "pgbouncer.ini"
    cluster.write(users, '"app" ""\n')
    cluster.write(
        path,
        f"[databases]\n* = host={cluster.folder} port={cluster.port}\n[pgbouncer]\nlisten_port = {port}\n"
        f"listen_addr =\nunix_socket_dir = {cluster.folder}\nauth_type = trust\nauth_file = {users}\n"
        "admin_users = pgbouncer\ndefault_pool_size = 1\npool_mode = transaction\nmax_client_conn = 20\n",
    )
    argv = [*real.become(), str(PGBOUNCER), "--quiet", str(path)]
    running = subprocess.Popen(argv, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(10)


@pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
def test_a_pool_that_clients_wait_for(cluster: real.Cluster) -> None:
    port = next(real.PORTS)
    here = {"host": str(cluster.folder), "port": port}
    checks = {
        "pool": {"kind": "pgbouncer", **here, "every": 0.25, "wait_seconds": [0.2, 0.5]},
        "login": {"kind": "login", "user": "app", **here, "every": 0.5, "needs": {"pool": "hard"}},
    }
    argv = ["psql", "-h", str(cluster.folder), "-p", str(port), "-U", "app", "-c", "SELECT pg_sleep(2)", "postgres"]
    with agent_of({"access": {"networks": ["127.0.0.0/8"]}, "checks": checks}) as agent:
        agent.until("/readyz", fails_for("pool: PgBouncer does not answer"), within=15)
        assert agent.component("login")["fault"] == "inherited"
        with pooler(cluster, port):
            agent.until("/readyz", code_is(200), within=10)
            clients = [
                subprocess.Popen([*real.become(), *argv], cwd="/", stdout=subprocess.DEVNULL) for _client in range(2)
            ]
            agent.until("/readyz", fails_for("wait for postgres/app, with 1 of 1 in use"))
            assert [client.wait(20) for client in clients] == [0, 0]
            agent.until("/readyz", code_is(200), within=10)


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
def test_a_clock_that_is_two_minutes_off(cluster: real.Cluster, agent: Agent, standby: Agent) -> None:
    """Ages are by the monotonic clock, so nothing else changes for it; and peers are not made wrong by it."""
    peers = {name: f"http://127.0.0.1:{one.port}" for name, one in (("one", agent), ("two", standby))}
    clock = {"kind": "clock", "peers": peers, "every": 0.5}
    faked = {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": "-120s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with agent_of(settings(cluster, cluster.port, clock=clock), **faked) as skewed:
        skewed.until("/readyz", code_is(200), within=15)
        skewed.until("/healthz", lambda code, body: body["components"]["clock"]["own"] == "fail", within=5)
        assert "2 of 2 peers differ by 5 s or more" in skewed.component("clock")["reason"]
        # It warns where a login takes long, as on a busy machine: then not for long.
        skewed.until("/healthz", lambda code, body: body["components"]["login"]["own"] == "pass", within=15)
    with agent_of(settings(cluster, cluster.port, clock=clock)) as right:
        right.until("/healthz", lambda code, body: body.get("components", {}).get("clock", {}).get("own") == "pass", 15)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"disk": {"kind": "filesystem", "paths": "/"}}, "checks.disk.paths cannot be that"),
        ({"app": {"kind": "tcp", "host": "h", "port": 1, "needs": {"db": "hard"}}}, "app needs db, which is not there"),
        (
            {
                "a": {"kind": "tcp", "host": "h", "port": 1, "needs": {"b": "hard"}},
                "b": {"kind": "tcp", "host": "h", "port": 1, "needs": {"a": "hard"}},
            },
            "a → b → a",
        ),
    ],
)
def test_a_configuration_that_is_wrong_starts_nothing(tmp_path: Path, checks: dict[str, t.Any], said: str) -> None:
    program, path = tmp_path / "agent", tmp_path / "health.json"
    program.write_bytes(pack(PROGRAM.read_bytes()))
    path.write_text(json.dumps({"checks": checks}))
    argv = ["/usr/bin/python3", str(program), "--configuration", str(path)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    assert (ended.returncode, said in ended.stderr) == (78, True), ended.stderr


def certificate(folder: Path) -> str:
    """A new one, in the place of the one before; what a client has to trust."""
    pair = ["-keyout", str(folder / "host.key"), "-out", str(folder / "host.crt")]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *pair, *name]
    subprocess.run(argv, check=True, capture_output=True)
    (folder / "host.key").chmod(0o644)
    return (folder / "host.crt").read_text()


def shown(port: int, trusted: str) -> int | None:
    """The code of an answer over TLS, to a client that trusts one certificate alone."""
    context = ssl.create_default_context(cadata=trusted)
    with contextlib.closing(http.client.HTTPSConnection("localhost", port, timeout=5, context=context)) as connection:
        try:
            connection.request("GET", "/healthz", headers={"Authorization": "Bearer s3cret"})
            return connection.getresponse().status
        except OSError:
            return None


def test_tls_shows_the_certificate_that_is_there_now() -> None:
    with tempfile.TemporaryDirectory(prefix="tls-") as name:
        folder, port = Path(name), next(real.PORTS)
        folder.chmod(0o755)
        first = certificate(folder)
        tls = {"port": port, "certificate": str(folder / "host.crt"), "key": str(folder / "host.key")}
        checks = {"disk": {"kind": "filesystem", "paths": ["/"]}}
        with agent_of({"access": {"token": "s3cret"}, "tls": tls, "checks": checks}, sockets=2) as agent:
            agent.until("/startupz", code_is(200), within=15)
            assert shown(agent.ports[1], first) == 200
            second = certificate(folder)
            end = time.monotonic() + 40  # it looks twice a minute
            while shown(agent.ports[1], second) is None:
                assert time.monotonic() < end
                time.sleep(1)
            assert shown(agent.ports[1], first) is None


def test_whoever_says_nothing_is_hung_up_on(agent: Agent) -> None:
    with socket.create_connection(("127.0.0.1", agent.port)) as silent:
        silent.settimeout(30)
        begin = time.monotonic()
        assert silent.recv(1) == b""
    assert 9 < time.monotonic() - begin < 21


def test_a_setting_that_is_in_no_file_any_more_is_not_wrong(cluster: real.Cluster, agent: Agent) -> None:
    """As the target of a restore, which no restart changes anything by. The last test: it begins the server anew."""
    for setting in ("recovery_target_action = 'promote'", "max_wal_senders = 7"):
        cluster.sql(f"ALTER SYSTEM SET {setting}")
    cluster.control("data", "restart", f"--log={cluster.folder}/data.log")
    try:
        cluster.sql("ALTER SYSTEM RESET recovery_target_action")
        cluster.sql("SELECT pg_reload_conf()")
        agent.until("/healthz", lambda _code, body: body["components"]["configuration"]["own"] == "pass")
        assert cluster.sql("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == "1", (
            "nothing to overlook"
        )
        cluster.sql("ALTER SYSTEM RESET max_wal_senders")
        cluster.sql("SELECT pg_reload_conf()")
        said = "a restart would change max_wal_senders"
        agent.until("/healthz", lambda _code, body: body["components"]["configuration"]["reason"] == said)
    finally:
        for name in ("recovery_target_action", "max_wal_senders"):
            cluster.sql(f"ALTER SYSTEM RESET {name}")
        cluster.control("data", "restart", f"--log={cluster.folder}/data.log")
