# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packed health agent, as its unit starts it, beside a real PostgreSQL: for tests and for benchmarks to import."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import real_cluster as real

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.packed import pack

PROGRAM = Path(__file__).resolve().parents[2] / "roles/health/files/health_agent.py"
MODULES = ("uvicorn", "uvloop", "httptools", "prometheus_client", "psycopg2")


def why_not() -> str | None:
    said = subprocess.run(["/usr/bin/python3", "-c", f"import {', '.join(MODULES)}"], capture_output=True, check=False)
    missing = f"/usr/bin/python3 has not all of {', '.join(MODULES)}" if said.returncode else None
    return real.REASON or missing


#: Seconds in which /readyz has to know of a fault, and in which an answer has to come.
KNOWN_WITHIN, ANSWER_WITHIN = 2.0, 0.1
#: What a busy machine may add to a single answer. One that waits for PostgreSQL waits for a look's deadline, 0.8 s.
SINGLE_ANSWER_WITHIN = 0.5
#: Seconds between two looks at whether the machine stands still.
BEAT = 0.01


class Pulse(threading.Thread):
    """How long this machine keeps one waiting who only wants to go on: by so much an answer may come later."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self._ended = threading.Event()

    def __enter__(self) -> Pulse:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        begin = time.monotonic()
        while not self._ended.wait(BEAT):
            now = time.monotonic()
            self.longest, begin = max(self.longest, now - begin - BEAT), now


class Agent:
    """The program as its unit starts it, with sockets that outlive it."""

    def __init__(self, folder: Path, configuration: dict[str, t.Any], sockets: int, *, port: int = 0) -> None:
        self.program, self.path = folder / "health_agent", folder / "health.json"
        self.program.write_bytes(pack(PROGRAM.read_bytes()))
        self.path.write_text(json.dumps(configuration))
        ports = [port, *[0] * (sockets - 1)]
        self.sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]
        self.ports: list[int] = [one.getsockname()[1] for one in self.sockets]
        self.port = self.ports[0]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, within: t.Sequence[str] = (), **environment: str) -> None:
        """``within``: the words that start a program in the place of another one, as nsenter's."""
        # The descriptors have to begin with 3, and LISTEN_PID has to be the process itself. First out of the way.
        numbers = [one.fileno() for one in self.sockets]
        away = [f"exec {100 + place}<&{number}" for place, number in enumerate(numbers)]
        inherit = [f"exec {3 + place}<&{100 + place}" for place in range(len(numbers))]
        told = f"export LISTEN_FDS={len(numbers)} LISTEN_PID=$$"
        words = "; ".join([*away, *inherit, told, 'exec env "$@"'])
        # The environment is the program's alone: what libfaketime creates belongs to who loads it first.
        program = ["/usr/bin/python3", str(self.program), "--configuration", str(self.path)]
        given = [f"{name}={value}" for name, value in environment.items()]
        self.process = subprocess.Popen(
            [*within, *setpriv(), "bash", "-c", words, "bash", *given, *program],
            cwd="/", pass_fds=numbers, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(10) == 0
            self.process = None

    def ask(self, path: str, **headers: str) -> tuple[int, dict[str, t.Any], float]:
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        seconds = time.monotonic() - begin
        kind = answer.headers["Content-Type"] or ""
        return answer.status, json.loads(body) if "json" in kind else {"text": body.decode()}, seconds

    def until(self, path: str, well: t.Callable[[int, dict[str, t.Any]], bool], within: float = KNOWN_WITHIN) -> float:
        """Seconds until the answer is as it should be; each answer on the way has to come at once."""
        begin, took = time.monotonic(), 0.0
        while took < within:
            with Pulse() as pulse:
                code, body, seconds = self.ask(path)
                took = time.monotonic() - begin
                if seconds >= SINGLE_ANSWER_WITHIN:
                    time.sleep(10 * BEAT)  # until it knows of it, too
                    seconds -= pulse.longest
            assert seconds < SINGLE_ANSWER_WITHIN, f"{path} took {seconds:.3f} s, the machine's part left out"
            if well(code, body):
                return took
            time.sleep(0.02)
        raise AssertionError(f"{path} says after {took:.1f} s: {code} {json.dumps(body)[:2000]}")

    def median(self, path: str, times: int = 21) -> float:
        """Seconds that one of several answers takes."""
        return sorted(self.ask(path)[2] for _time in range(times))[times // 2]

    def component(self, name: str) -> dict[str, t.Any]:
        found: dict[str, t.Any] = self.ask("/healthz")[1]["components"][name]
        return found


def setpriv() -> list[str]:
    """As runuser, which would close inherited descriptors."""
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
    return user if os.geteuid() == 0 else []


def settings(cluster: real.Cluster, port: int, *, quick: bool = True, **checks: t.Any) -> dict[str, t.Any]:
    """All that a member is asked to check by default, beside one on this host.

    ``quick``: more often than that, but for what /readyz needs, since that has to be known in time as it is.
    """
    descriptor = cluster.folder / f"member-{port}.json"
    descriptor.write_text(json.dumps({"socket_dir": str(cluster.folder), "port": port}))
    plain = ("latency", "sessions", "replication", "slots", "archiving", "transaction_ids", "sequences", "checksums",
             "configuration", "memory")  # fmt: skip
    known: dict[str, dict[str, t.Any]] = {
        "login": {"kind": "login", "user": "app", "host": str(cluster.folder), "port": port},
        "filesystem": {"kind": "filesystem", "paths": ["/", str(cluster.folder)]},
        **{kind: {"kind": kind} for kind in plain},
    }
    if quick:
        known = {name: check if name == "login" else {"every": 0.25, **check} for name, check in known.items()}
    member = {
        "descriptor": str(descriptor),
        "fenced_marker": str(cluster.folder / f"fenced-{port}"),
        "user": "postgres",
    }
    return {
        "member": member,
        "access": {"networks": ["127.0.0.0/8"], "token": "s3cret"},
        "checks": {**known, **checks},
    }


@contextlib.contextmanager
def agent_of(
    configuration: dict[str, t.Any], sockets: int = 1, *, within: t.Sequence[str] = (), **environment: str
) -> t.Iterator[Agent]:
    with tempfile.TemporaryDirectory(prefix="agent-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        agent = Agent(folder, configuration, sockets)
        agent.start(within=within, **environment)
        try:
            agent.ask("/livez")  # waits in the socket's queue until the program has started
            yield agent
        finally:
            agent.stop()
            for one in agent.sockets:
                one.close()
