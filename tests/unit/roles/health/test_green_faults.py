# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that pg_isready and SELECT 1 do not see: each is made for real, is shown to look green, and the agent says it.

More of them are in test_health_faults.py. Those that need a file system of their own need root; skipped without.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
import real_cluster as real
from real_agent import Agent, agent_of, settings, why_not

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=REASON or "")]
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file system")
#: Seconds after which a file system is thawed whatever became of the test.
THAW_SECONDS = 60


@pytest.fixture
def cluster() -> t.Iterator[real.Cluster]:
    """Its own for each: most of these faults leave nothing that could be used again."""
    with real.real_cluster() as cluster:
        cluster.sql("CREATE ROLE app LOGIN")
        yield cluster


@contextlib.contextmanager
def watched(cluster: real.Cluster, *, within: t.Sequence[str] = (), **checks: t.Any) -> t.Iterator[Agent]:
    """The primary's agent, once all is well."""
    with agent_of(settings(cluster, cluster.port, **checks), within=within) as agent:
        agent.until("/startupz", lambda code, _body: code == 200, within=20)
        agent.until("/readyz", lambda code, _body: code == 200, within=20)
        yield agent


@contextlib.contextmanager
def watched_standby(cluster: real.Cluster, **checks: t.Any) -> t.Iterator[Agent]:
    with agent_of(settings(cluster, cluster.standby_port, **checks)) as agent:
        agent.until("/replica", lambda code, _body: code == 200, within=20)
        yield agent


def says(component: str, own: str, said: str) -> t.Callable[[int, dict[str, t.Any]], bool]:
    def found(_code: int, body: dict[str, t.Any]) -> bool:
        one = body["components"][component]
        return bool(one["own"] == own and said in one["reason"])

    return found


def demand_green(cluster: real.Cluster, port: int | None = None) -> None:
    """What most look at: pg_isready, and a SELECT 1."""
    where = ["-h", str(cluster.folder), "-p", str(port or cluster.port), "-U", "app"]
    ready = subprocess.run([str(cluster.bin / "pg_isready"), *where], check=False, capture_output=True, timeout=10)
    assert ready.returncode == 0
    asked = [str(cluster.bin / "psql"), "-XAtq", *where, "-c", "SELECT 1", "postgres"]
    assert cluster.as_owner(*asked).stdout.strip() == "1"


# --- storage ----------------------------------------------------------------------------------------------------------


class Disk:
    """An ext4 file system in a file, mounted at a folder."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder, self.image = folder, folder.with_suffix(".image")
        folder.mkdir()
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        self._do("mkfs.ext4", "-q", "-F", "-m", "0", str(self.image))

    def mount(self) -> None:
        self._do("mount", "-o", "loop", str(self.image), str(self.folder))
        self._do("chown", "postgres:postgres", str(self.folder))

    def unmount(self) -> None:
        self._do("umount", str(self.folder))

    def freeze(self) -> None:
        """Nothing can be written; it ends by itself, should the test be killed."""
        words = f"sleep {THAW_SECONDS}; fsfreeze --unfreeze '{self.folder}'"
        subprocess.Popen(
            ["bash", "-c", words], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._do("fsfreeze", "--freeze", str(self.folder))

    def thaw(self) -> None:
        self._do("fsfreeze", "--unfreeze", str(self.folder))

    def lose(self, from_megabyte: int) -> None:
        """Whatever lies behind that cannot be read any more: an input/output error."""
        with self.image.open("r+b") as file:
            file.truncate(from_megabyte << 20)

    @staticmethod
    def _do(*argv: str) -> None:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{argv}: {done.stderr}"


@contextlib.contextmanager
def disk(folder: Path, megabytes: int) -> t.Iterator[Disk]:
    made = Disk(folder, megabytes)
    made.mount()
    try:
        yield made
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


@ROOT
def test_wal_whose_storage_is_frozen(cluster: real.Cluster) -> None:
    cluster.sql("CREATE ROLE probe LOGIN")
    cluster.sql("CREATE DATABASE resilience OWNER probe")
    beat = {"kind": "heartbeat", "user": "probe", "database": "resilience", "host": str(cluster.folder),
            "port": cluster.port, "every": 0.25, "deadline": 1.0}  # fmt: skip
    waits = {"kind": "sessions", "every": 0.25, "wait_seconds": [0.5, 1]}
    wal = cluster.folder / "data/pg_wal"
    cluster.stop()
    with disk(cluster.folder / "wal", 256) as own:
        subprocess.run(["cp", "-a", f"{wal}/.", str(own.folder)], check=True)
        wal.rename(wal.with_name("pg_wal.before"))
        wal.symlink_to(own.folder)
        cluster.start()
        with watched(cluster, heartbeat=beat, sessions=waits) as agent:
            own.freeze()
            try:
                agent.until("/healthz", says("heartbeat", "fail", "no row is written"), within=4)
                demand_green(cluster)
                agent.until("/healthz", says("sessions", "fail", "the longest wait for WAL to be written"), within=4)
                assert agent.ask("/readyz")[1]["status"] == "warn"  # reads are served
            finally:
                own.thaw()
            agent.until("/healthz", says("heartbeat", "pass", ""), within=15)
        cluster.stop()


@ROOT
def test_a_tablespace_whose_blocks_cannot_be_read(cluster: real.Cluster) -> None:
    with disk(cluster.folder / "space", 96) as own:
        cluster.sql(f"CREATE TABLESPACE slow LOCATION '{own.folder}'")
        cluster.sql("CREATE TABLE far (text text) TABLESPACE slow")
        cluster.sql("INSERT INTO far SELECT repeat(md5(n::text), 30) FROM generate_series(1, 50000) AS n")
        cluster.sql("CHECKPOINT")
        # What is in memory would still be read.
        cluster.stop()
        own.unmount()
        own.mount()
        cluster.start()
        with watched(cluster, storage={"kind": "storage", "every": 0.25}) as agent:
            agent.until("/healthz", says("storage", "pass", "blocks were read"), within=5)
            own.lose(from_megabyte=16)
            agent.until("/healthz", says("storage", "fail", "slow: could not read file"), within=10)
            demand_green(cluster)
            assert "Input/output error" in agent.component("storage")["reason"]
        cluster.stop()


def spoil_page(cluster: real.Cluster) -> str:
    """A table whose first page is another one than was written, and that nobody has in memory."""
    cluster.sql("CREATE TABLE spoilt AS SELECT n FROM generate_series(1, 5000) AS n")
    cluster.sql("CHECKPOINT")
    path = cluster.folder / "data" / cluster.sql("SELECT pg_relation_filepath('spoilt')")
    cluster.control("data", "stop", "--mode=fast")
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 255]) + whole[101:])
    return "SELECT count(*) FROM spoilt"


def test_a_page_of_a_table_is_corrupt(cluster: real.Cluster) -> None:
    query = spoil_page(cluster)
    cluster.start()
    with watched(cluster) as agent:
        agent.until("/healthz", says("checksums", "pass", "none"), within=5)
        with pytest.raises(AssertionError, match="invalid page"):
            cluster.sql(query)
        agent.until("/healthz", says("checksums", "fail", "pages with a wrong checksum: 1 in postgres"), within=5)
        demand_green(cluster)


def test_corruption_that_nobody_would_notice(cluster: real.Cluster) -> None:
    """Without checksums the same page is read as if it were right: what can be said beforehand is just that."""
    query = spoil_page(cluster)
    cluster.as_owner(str(cluster.bin / "pg_checksums"), "--disable", f"--pgdata={cluster.folder}/data")
    cluster.start()
    with watched(cluster) as agent:
        assert cluster.sql(query) == "4999"  # a row is lost, without an error
        demand_green(cluster)
        agent.until("/healthz", says("checksums", "warn", "nobody would notice"), within=5)


PARALLEL = """
SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0; SET enable_mergejoin = off; SET enable_nestloop = off; SET work_mem = '64MB';
SELECT count(*) FROM filled AS a JOIN filled AS b USING (text)
"""


@ROOT
def test_shared_memory_that_is_too_small(cluster: real.Cluster) -> None:
    """PostgreSQL and its agent in a view of their own of the file systems, with 2 MB at /dev/shm."""
    cluster.fill(4)
    cluster.sql("ANALYZE filled")
    cluster.sql(PARALLEL)
    cluster.stop()
    start = [*real.become(), str(cluster.bin / "pg_ctl"), "start", "--wait", f"--pgdata={cluster.folder}/data"]
    small = 'mount -t tmpfs -o size=2m,mode=1777 tmpfs /dev/shm && exec "$@"'
    subprocess.run(
        ["unshare", "--mount", "bash", "-c", small, "bash", *start, f"--log={cluster.folder}/data.log"],
        check=True, timeout=60, stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    postmaster = (cluster.folder / "data/postmaster.pid").read_text().splitlines()[0]
    room = {"kind": "filesystem", "paths": ["/dev/shm"], "free_bytes": [33554432, 8388608], "every": 0.25}
    with watched(cluster, within=["nsenter", f"--mount=/proc/{postmaster}/ns/mnt"], shared_memory=room) as agent:
        with pytest.raises(AssertionError, match="could not resize shared memory segment"):
            cluster.sql(PARALLEL)
        demand_green(cluster)
        agent.until("/healthz", says("shared_memory", "fail", "/dev/shm: free"), within=5)


@ROOT
def test_a_view_of_its_own_that_is_read_only_is_no_read_only_file_system(cluster: real.Cluster) -> None:
    """As systemd's ProtectSystem=strict shows it: everything is read-only, for the agent alone."""
    protected = 'mount --bind / / && mount -o remount,bind,ro / && exec "$@"'
    with watched(cluster, within=["unshare", "--mount", "bash", "-c", protected, "bash"]) as agent:
        agent.until("/healthz", lambda _code, body: "filesystem" in body["components"], within=5)
        assert "read-only" not in agent.component("filesystem")["reason"]


@ROOT
def test_the_agents_own_disk_is_full(cluster: real.Cluster) -> None:
    """It cannot keep its record, says which disk it is, and answers as ever."""
    cluster.sql("CREATE ROLE probe LOGIN")
    cluster.sql("CREATE DATABASE resilience OWNER probe")
    with disk(cluster.folder / "own", 8) as own:
        beat = {"kind": "heartbeat", "user": "probe", "database": "resilience", "host": str(cluster.folder),
                "port": cluster.port, "every": 0.25, "record": str(own.folder / "record")}  # fmt: skip
        room = {"kind": "filesystem", "paths": [str(own.folder)], "every": 0.25}
        cluster.as_owner("mkdir", str(own.folder / "record"))
        with watched(cluster, heartbeat=beat, own=room) as agent:
            agent.until("/healthz", says("own", "pass", ""), within=5)
            with contextlib.suppress(OSError), (own.folder / "filler").open("wb") as filler:
                while True:
                    filler.write(bytes(65536))
                    filler.flush()
            agent.until("/healthz", says("own", "fail", f"{own.folder}: free: 0"), within=3)
            time.sleep(1)  # several heartbeats, none of which can be kept
            assert agent.component("heartbeat")["own"] == "pass"
            assert [agent.ask(path)[0] for path in ("/livez", "/readyz", "/primary")] == [200, 200, 200]
            (own.folder / "filler").unlink()
            agent.until("/healthz", says("own", "pass", ""), within=3)


# --- sessions, standbys, primaries ------------------------------------------------------------------------------------


@contextlib.contextmanager
def psql(cluster: real.Cluster, *statements: str) -> t.Iterator[subprocess.Popen[str]]:
    """A session that has sent these and lasts, whether they were answered or not."""
    argv = [*real.become(), str(cluster.bin / "psql"), "-Xq", "-h", str(cluster.folder), "-p", str(cluster.port)]
    with subprocess.Popen(
        [*argv, "-U", "postgres", "postgres"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd="/"
    ) as session:
        try:
            assert session.stdin is not None
            session.stdin.write("".join(f"{one};\n" for one in statements))
            session.stdin.flush()
            yield session
        finally:
            session.kill()


def eventually(well: t.Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not well():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_queue_behind_a_lock(cluster: real.Cluster) -> None:
    """One idle transaction, one ALTER TABLE that waits for it, and everybody who reads waits behind that."""
    cluster.sql("CREATE TABLE orders (id int)")
    waits = {"kind": "sessions", "every": 0.25, "wait_seconds": [0.5, 1]}
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%FROM orders%'"
    with watched(cluster, sessions=waits) as agent, psql(cluster, "BEGIN", "SELECT * FROM orders"):
        eventually(lambda: cluster.sql(idle) == "1")
        with psql(cluster, "ALTER TABLE orders ADD COLUMN more int"):
            eventually(lambda: cluster.sql(waiting) == "1")
            with psql(cluster, "SELECT * FROM orders"), psql(cluster, "SELECT * FROM orders"):
                agent.until("/healthz", says("sessions", "fail", "3 wait for a lock"), within=4)
                demand_green(cluster)
                assert agent.ask("/readyz")[0] == 200


def test_a_standby_whose_wal_is_gone(cluster: real.Cluster) -> None:
    cluster.add_standby()
    cluster.control("standby", "stop", "--mode=fast")
    for number in range(4):
        cluster.sql(f"CREATE TABLE gone_{number} ()")
        cluster.archive()
    cluster.sql("CHECKPOINT")
    cluster.control("standby", "start", f"--log={cluster.folder}/standby.log")
    with agent_of(settings(cluster, cluster.standby_port)) as agent:
        agent.until("/healthz", says("replication", "fail", "it receives no stream"), within=20)
        demand_green(cluster, cluster.standby_port)
        eventually(lambda: "has already been removed" in (cluster.folder / "standby.log").read_text())
        assert agent.ask("/replica?lag=1000000")[0] == 503
        assert agent.ask("/readyz")[1]["status"] == "warn"


def test_two_primaries(cluster: real.Cluster) -> None:
    """A standby is promoted, and nobody fenced the old primary: each is well by itself."""
    cluster.add_standby()
    with watched(cluster) as one, watched_standby(cluster) as two:
        members = {"one": f"http://127.0.0.1:{one.port}", "two": f"http://127.0.0.1:{two.port}"}
        check = {"kind": "primaries", "members": members, "every": 0.25}
        with agent_of({"access": {"networks": ["127.0.0.0/8"]}, "checks": {"primaries": check}}) as observer:
            observer.until("/healthz", says("primaries", "pass", "1 of 2 members serve as primary: one"), within=15)
            cluster.control("standby", "promote")
            observer.until("/healthz", says("primaries", "fail", "2 of 2 members serve as primary"), within=4)
            for port in (cluster.port, cluster.standby_port):
                demand_green(cluster, port)
            assert [agent.ask("/readyz")[0] for agent in (one, two)] == [200, 200]


class Cable:
    """Carries bytes to a port of this host and back, until it is cut: then nothing comes, and nobody is told."""

    def __init__(self, to_port: int) -> None:
        self._to, self._cut = to_port, threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._cut.set()

    def close(self) -> None:
        self.cut()
        self._listener.close()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if self._cut.is_set():
                    return
                sink.sendall(chunk)


def test_a_network_that_was_cut(cluster: real.Cluster) -> None:
    """Between the standby and its primary: what came before is replayed, so the lag in bytes reads nothing."""
    cluster.sql("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
    cluster.stop()
    cluster.start()
    cluster.add_standby()
    cable = Cable(cluster.port)
    with contextlib.closing(cable), (cluster.folder / "standby/postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = 'host=127.0.0.1 port={cable.port} user=postgres'\n")
        file.flush()
        cluster.control("standby", "reload")
        quiet = {"kind": "replication", "every": 0.25, "silent_seconds": [1, 2]}
        cluster.sql("ALTER SYSTEM SET wal_sender_timeout = '1s'")  # a word of it comes twice as often
        cluster.sql("SELECT pg_reload_conf()")
        with watched_standby(cluster, replication=quiet) as standby:
            connected = "SELECT count(*) FROM pg_stat_replication WHERE client_addr = '127.0.0.1'"
            eventually(lambda: cluster.sql(connected) == "1")
            standby.until("/healthz", says("replication", "pass", ""), within=10)
            cable.cut()
            standby.until("/healthz", says("replication", "fail", "without a word from the primary"), within=6)
            assert re.search(r"\b0 bytes", standby.ask("/replica?lag=1000000")[1]["output"])
            demand_green(cluster, cluster.standby_port)
