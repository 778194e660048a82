# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe against a PostgreSQL of its own: a frozen one, a crashed one, and a wait for a standby that is cancelled.

Needs PostgreSQL's programs and a system Python with psycopg2, as the lab's hosts have them; skipped without.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest
from local_port import reserved

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import probe_rows
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import probe_account

PROGRAM = Path(__file__).resolve().parents[4] / "roles/observer/files/probe.py"
PYTHON = "/usr/bin/python3"
RUN = "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0002"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def why_not() -> str | None:
    """What is missing for these tests."""
    if not PROGRAMS or shutil.which("psql") is None:
        return "PostgreSQL is not installed"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL does not run as root, and there is no user postgres"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run([PYTHON, "-c", "import psycopg2"], check=True, capture_output=True)
        return None
    return f"{PYTHON} has no psycopg2"


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


class Server:
    """A PostgreSQL on a port of its own, and the database that the probe writes to."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.bin = PROGRAMS[-1].parent
        self.folder = folder
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "--auth=trust", "--no-sync", "--username=postgres", f"--pgdata={folder}/data")
        with (folder / "data/postgresql.conf").open("a") as conf:
            conf.write(f"port={self.port}\nunix_socket_directories='{folder}'\nshared_buffers=16MB\n")
        self.start()
        self.sql("CREATE ROLE resilience_probe LOGIN")
        self.sql("CREATE DATABASE resilience OWNER resilience_probe")

    def _run(self, program: str, *arguments: str) -> None:
        become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*become, str(self.bin / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self.folder}/data", f"--log={self.folder}/log")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "stop", f"--pgdata={self.folder}/data", f"--mode={mode}")

    def sql(self, statement: str) -> str:
        argv = ["psql", "-XAtq", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-c", statement]
        return subprocess.run([*argv, "postgres"], check=True, capture_output=True, text=True).stdout.strip()

    def pids(self) -> list[int]:
        """The postmaster, first, and all its children."""
        postmaster = int((self.folder / "data/postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def connection(self) -> dict[str, t.Any]:
        return {
            "host": "127.0.0.1", "port": self.port, "dbname": "resilience", "user": "resilience_probe",
            "connect_timeout": 2,
        }  # fmt: skip


@pytest.fixture(scope="module")
def server() -> t.Iterator[Server]:
    # Not tmp_path: a socket's path is short, and the user postgres must reach it.
    with tempfile.TemporaryDirectory(prefix="probe-pg-") as name, reserved() as port:
        running = Server(Path(name), port)
        probe_rows.prepare(command.run, running.connection(), timeout=10, check_mode=False)
        yield running
        running.stop()


class Run:
    """The probe on that server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        config = {
            "name": "t", "run": RUN, "ledger_dir": str(folder), "status": str(folder / "status.json"),
            "connection": server.connection(), "attempt_deadline_seconds": 1.0, "stall_after_seconds": 0.8,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))
        self.process = subprocess.Popen([PYTHON, str(PROGRAM), str(folder / "config.json")])
        self.until(lambda status: all(status["acked_ns"]))

    def until(self, what: t.Callable[[dict[str, t.Any]], t.Any]) -> None:
        end = time.monotonic() + 15
        path = self.folder / "status.json"
        while not path.exists() or not what(json.loads(path.read_text())):
            assert time.monotonic() < end, path.read_text() if path.exists() else "no status"
            time.sleep(0.02)

    def account(self) -> dict[str, t.Any]:
        self.process.terminate()
        assert self.process.wait(timeout=10) == 0
        lines = (self.folder / f"{RUN}.jsonl").read_text().splitlines()
        rows = probe_rows.read_rows(command.run, self.server.connection(), RUN, timeout=10)
        return probe_account.account(lines, rows)


@pytest.fixture
def run(server: Server, tmp_path: Path) -> t.Iterator[Run]:
    server.sql("ALTER SYSTEM RESET ALL")
    server.sql("SELECT pg_reload_conf()")
    subprocess.run(
        ["psql", "-XAtq", "-d", probe_rows.conninfo(server.connection()), "-c", "TRUNCATE resilience.probe"], check=True
    )
    running = Run(server, tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def verdicts(account: dict[str, t.Any]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in account["checks"]}


def test_a_frozen_server_is_detected_and_nothing_is_lost(server: Server, run: Run) -> None:
    pids = server.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        run.until(lambda status: status["outages"] and status["outcomes"]["unknown"])
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    run.until(lambda status: status["outages"][0]["t8_ns"])
    account = run.account()
    assert account["verdict"] == "passed", account["checks"]
    assert account["probe"]["outcomes"]["unknown"] >= 1
    # Whether the statements that hung were committed after all is for the rows to say; both is right.
    in_doubt = account["probe"]["sets"]["in_doubt"]
    assert in_doubt["present"] + in_doubt["absent"] == account["probe"]["outcomes"]["unknown"]


def test_a_crashed_server_is_detected_and_nothing_is_lost(server: Server, run: Run) -> None:
    server.stop("immediate")
    run.until(lambda status: status["outages"])
    server.start()
    run.until(lambda status: status["outages"][0]["t8_ns"])
    account = run.account()
    assert account["verdict"] == "passed", account["checks"]
    assert account["probe"]["outcomes"]["failed"] > 0


def test_a_cancelled_wait_for_a_standby_is_unsafe(server: Server, run: Run) -> None:
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
    server.sql("SELECT pg_reload_conf()")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'resilience_probe'"
    end = time.monotonic() + 5
    while server.sql(waiting) == "0":
        assert time.monotonic() < end
    server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    run.until(lambda status: status["outcomes"]["acked_unsafe"])
    server.sql("ALTER SYSTEM RESET synchronous_standby_names")
    server.sql("SELECT pg_reload_conf()")
    account = run.account()
    assert verdicts(account)["acknowledged_safely"] == "unknown"
    assert verdicts(account)["acknowledged_is_there"] == "passed"


def test_a_row_that_vanishes_is_lost_and_a_row_that_appears_is_phantom(server: Server, run: Run) -> None:
    run.until(lambda status: status["outcomes"]["acked"] > 40)
    statement = f"DELETE FROM resilience.probe WHERE run = '{RUN}' AND client = 1 AND seq = 2;"
    statement += f"INSERT INTO resilience.probe VALUES ('{RUN}', 3, 100000)"
    subprocess.run(["psql", "-XAtq", "-d", probe_rows.conninfo(server.connection()), "-c", statement], check=True)
    account = run.account()
    found = verdicts(account)
    assert account["verdict"] == "failed"
    assert (found["acknowledged_is_there"], found["no_holes"], found["nothing_invented"]) == ("failed",) * 3
    assert account["probe"]["sets"]["lost"]["sample"][0]["seq"] == 2
    assert account["probe"]["rpo"]["transactions"] == 1
