# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health agent beside a PostgreSQL of its own on this machine, and Patroni's REST API beside another one.

Both answer wrk with 32 connections, one after the other. The agent checks all that it checks on a member.

    .venv/bin/python tests/bench/answering.py        five rounds on the terminal; needs no lab

Needs Debian's packages wrk, patroni, etcd-server and python3-etcd, and those of the agent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import real_cluster as real
from real_agent import Agent, agent_of, settings

CONNECTIONS, SECONDS, WARM_SECONDS, IDLE_SECONDS = 32, 10, 2, 30
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
#: Seconds for anything to start, and for a fault to be seen at all.
PATIENCE = 60.0

Samples = dict[str, float]

PATRONI = """\
scope: bench
name: one
etcd3: {{host: "127.0.0.1:{etcd}"}}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
bootstrap:
  dcs: {{ttl: 30, loop_wait: 10, retry_timeout: 10}}
  initdb: [data-checksums, {{auth: trust}}, no-sync]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {folder}/data
  bin_dir: {bin}
  pgpass: {folder}/pgpass
  authentication: {{superuser: {{username: postgres}}, replication: {{username: postgres}}}}
  parameters: {{unix_socket_directories: {folder}, fsync: "off", shared_buffers: 16MB}}
"""


def agent(_bench: t.Any = None) -> Samples:
    """One round of ours."""
    with real.real_cluster() as cluster:
        cluster.sql("CREATE ROLE app LOGIN")
        with agent_of(settings(cluster, cluster.port, quick=False)) as answering:
            until(lambda: answering.ask("/readyz")[0] == 200 and answering.ask("/startupz")[0] == 200)
            found = {"agent_cpu_percent": cpu_percent(pid_of(answering))}
            found["readyz_rps"], found["readyz_p99_ms"] = asked(answering.port, "/readyz")
            found["agent_rss_mb"] = resident_mb(pid_of(answering))
            found["fault_to_readyz_seconds"], found["readyz_frozen_p99_ms"] = frozen(cluster, answering)
    return found


def patroni(_bench: t.Any = None) -> Samples:
    """One round of the reference."""
    with contextlib.ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="patroni-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        for part in ("server", "etcd"):
            (folder / part).mkdir(mode=0o700)
            own(folder / part)
        etcd, peer, rest, port = (free_port() for _port in range(4))
        words = {"etcd": etcd, "rest": rest, "port": port, "folder": folder / "server", "bin": real.PROGRAMS[-1].parent}
        (folder / "patroni.yml").write_text(PATRONI.format(**words))
        clients = f"http://127.0.0.1:{etcd}"
        run(undo, ["etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls={clients}",
                   f"--advertise-client-urls={clients}", f"--listen-peer-urls=http://127.0.0.1:{peer}"])  # fmt: skip
        run(undo, ["patroni", str(folder / "patroni.yml")])
        until(lambda: answer(rest, "/readiness") == 200 and answer(rest, "/primary") == 200)
        rps, p99 = asked(rest, "/readiness", closes=True)
    return {"readyz_rps": rps, "readyz_p99_ms": p99}


def run(undo: contextlib.ExitStack, argv: list[str]) -> None:
    """As the user postgres, ended with the block."""
    process = subprocess.Popen(
        [*real.become(), *argv], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def end() -> None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)

    undo.callback(end)


def own(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def frozen(cluster: real.Cluster, answering: Agent) -> tuple[float, float]:
    """The longest of two faults until /readyz knows, and how it answers while all of the server stands still."""
    server = int((cluster.folder / "data/postmaster.pid").read_text().splitlines()[0])
    took = []
    for pids in ([server], [server, *real.children(server)]):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            took.append(until(lambda: answering.ask("/readyz")[0] == 503))
            p99 = asked(answering.port, "/readyz")[1] if len(pids) > 1 else 0.0
        finally:
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        until(lambda: answering.ask("/readyz")[0] == 200)
    return max(took), p99


def asked(port: int, path: str, *, closes: bool = False) -> tuple[float, float]:
    """Requests a second, and the 99th percentile in milliseconds. ``closes``: see :func:`parsed`."""
    url = f"http://127.0.0.1:{port}{path}"
    wrk = ["wrk", "--threads=1", f"--connections={CONNECTIONS}", "--latency"]
    subprocess.run([*wrk, f"--duration={WARM_SECONDS}s", url], check=True, capture_output=True)
    said = subprocess.run([*wrk, f"--duration={SECONDS}s", url], check=True, capture_output=True, text=True).stdout
    return parsed(said, closes=closes)


def parsed(said: str, *, closes: bool = False) -> tuple[float, float]:
    """What wrk says. Somebody who was not answered makes the round none.

    :param closes: the server ends an answer by closing the connection, as Patroni does; wrk calls each a read error.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", said)
    refused = re.search(r"connect (?!0,)|write (?!0,)" if closes else "Socket errors", said)
    if rate is None or p99 is None or refused:
        raise AssertionError(f"wrk was not answered: {said}")
    return float(rate[1]), float(p99[1]) * UNITS[p99[2]]


def cpu_percent(pid: int) -> float:
    begin, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    return 100 * (cpu_seconds(pid) - used) / (time.monotonic() - begin)


def cpu_seconds(pid: int) -> float:
    """With the programs that it has run."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(one) for one in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def pid_of(answering: Agent) -> int:
    assert answering.process is not None
    return answering.process.pid


def answer(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with contextlib.suppress(OSError), contextlib.closing(connection) as one:
        one.request("GET", path)
        return one.getresponse().status
    return 0


def until(well: t.Callable[[], bool]) -> float:
    begin = time.monotonic()
    while not well():
        if time.monotonic() - begin > PATIENCE:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
    return time.monotonic() - begin


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


if __name__ == "__main__":
    for _round in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
        print("ours", json.dumps(agent()), flush=True)
        print("patroni", json.dumps(patroni()), flush=True)
