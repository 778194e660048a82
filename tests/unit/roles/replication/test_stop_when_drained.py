# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The armed primary: it stops for its own word only, and leaves a data directory that can only be a standby's."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/replication/files/stop_when_drained.py"

POSTMASTER = """
import signal, time
signal.signal(signal.SIGINT, lambda *_: exit(0))
print(flush=True)
time.sleep(60)
"""


def load_program(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    fake = ModuleType("psycopg2")
    fake.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "psycopg2", fake)
    monkeypatch.delitem(sys.modules, "gateway_word", raising=False)
    monkeypatch.syspath_prepend(PROGRAM.parent)
    spec = importlib.util.spec_from_file_location("stop_when_drained", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Primary:
    """A server as its socket shows it. ``notify`` sends a payload to whoever listens."""

    def __init__(self, *, in_recovery: bool = False) -> None:
        self.in_recovery = in_recovery
        self.ours, self.theirs = socket.socketpair()
        self.notifies: list[SimpleNamespace] = []
        self.statements: list[str] = []
        self.autocommit = False

    def notify(self, payload: str) -> None:
        self.theirs.send(payload.encode() + b"\n")

    def fileno(self) -> int:
        return self.ours.fileno()

    def poll(self) -> None:
        self.ours.setblocking(False)
        try:
            words = self.ours.recv(1000).decode().split()
        except BlockingIOError:
            words = []
        self.notifies += [SimpleNamespace(payload=word) for word in words]

    def cursor(self) -> Primary:
        return self

    def execute(self, sql: str) -> None:
        self.statements.append(sql)

    def fetchone(self) -> tuple[bool]:
        return (self.in_recovery,)


class Ran(t.NamedTuple):
    code: int
    state: dict[str, t.Any]
    postmaster_ended: bool
    may_only_be_standby: bool


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Iterator[t.Callable[..., Ran]]:
    """Run the program on a primary whose postmaster ends at SIGINT, with these notifications on their way."""
    postmaster = subprocess.Popen([sys.executable, "-c", POSTMASTER], stdout=subprocess.PIPE)
    assert postmaster.stdout is not None
    postmaster.stdout.readline()
    # Nobody else waits for it: a process that ended and was not waited for would still be in /proc.
    threading.Thread(target=postmaster.wait, daemon=True).start()

    def run(primary: Primary, *notifications: str, deadline: float = 60.0) -> Ran:
        program = load_program(monkeypatch)
        sys.modules["psycopg2"].connect = lambda **_words: primary  # type: ignore[attr-defined]
        for payload in notifications:
            primary.notify(payload)
        data = tmp_path / "data"
        data.mkdir()
        (data / "postmaster.pid").write_text(f"{postmaster.pid}\n{data}\n", "utf-8")
        descriptor = tmp_path / "member.json"
        descriptor.write_text(
            json.dumps({"name": "pg-a1", "socket_dir": "/run", "port": 5432, "data_dir": str(data)}), "utf-8"
        )
        state = tmp_path / "demotion.json"
        files = [f"--descriptor={descriptor}", f"--state-file={state}"]
        monkeypatch.setattr(sys, "argv", ["program", "--token=T", f"--deadline={deadline}", *files])
        code = program.main()
        time.sleep(0.05)  # in which a postmaster ends that was told to
        return Ran(
            code,
            json.loads(state.read_text("utf-8")),
            not Path(f"/proc/{postmaster.pid}").exists(),
            (data / "standby.signal").exists(),
        )

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)
    if Path(f"/proc/{postmaster.pid}").exists():
        os.kill(postmaster.pid, signal.SIGKILL)


def test_its_own_word_stops_it(arm: t.Callable[..., Ran]) -> None:
    primary = Primary()
    ran = arm(primary, "T")
    assert (ran.code, ran.state["state"], ran.state["token"]) == (0, "stopped", "T")
    assert ran.postmaster_ended and ran.may_only_be_standby
    assert [event["name"] for event in ran.state["events"]] == ["armed", "word_came", "stopped"]


def test_once_it_stops_it_is_not_disarmed_half_way(arm: t.Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    kill = os.kill

    def told_meanwhile(pid: int, number: int) -> None:
        kill(pid, number)
        if number == signal.SIGINT:
            kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(os, "kill", told_meanwhile)
    ran = arm(Primary(), "T")
    assert ran.state["state"] == "stopped"
    assert ran.postmaster_ended and ran.may_only_be_standby


def test_most_of_the_shutdown_is_written_before_anybody_waits(arm: t.Callable[..., Ran]) -> None:
    primary = Primary()
    arm(primary, "T")
    assert primary.statements.index("CHECKPOINT") < primary.statements.index("LISTEN resilience_switchover")


def test_another_operations_word_is_not_its_own(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Primary(), "yesterday", "", deadline=0.3)
    assert (ran.code, ran.state["state"]) == (1, "expired")
    assert not ran.postmaster_ended and not ran.may_only_be_standby


def test_its_own_word_is_heard_among_others(arm: t.Callable[..., Ran]) -> None:
    assert arm(Primary(), "yesterday", "T", "tomorrow").state["state"] == "stopped"


def test_without_a_word_nothing_is_changed(arm: t.Callable[..., Ran]) -> None:
    began = time.monotonic()
    ran = arm(Primary(), deadline=0.2)
    assert (ran.code, ran.state["state"]) == (1, "expired")
    assert not ran.postmaster_ended and not ran.may_only_be_standby
    assert time.monotonic() - began < 30


def test_a_standby_is_not_armed(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Primary(in_recovery=True), "T")
    assert (ran.code, ran.state["state"], ran.state["reason"]) == (1, "failed", "pg-a1 is no primary")
    assert not ran.postmaster_ended and not ran.may_only_be_standby


def test_told_to_stop_it_disarms(arm: t.Callable[..., Ran]) -> None:
    class Told(Primary):
        """Not before the program can hear it: else it is these tests that end."""

        def execute(self, sql: str) -> None:
            super().execute(sql)
            if sql.startswith("LISTEN"):
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()

    ran = arm(Told())
    assert (ran.code, ran.state["state"]) == (0, "disarmed")
    assert not ran.postmaster_ended and not ran.may_only_be_standby


def test_a_postmaster_that_does_not_end_is_told_and_left_as_it_is(
    arm: t.Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda pid, number: None if number == signal.SIGINT else kill(pid, number))
    original = load_program

    def hasty(patch: pytest.MonkeyPatch) -> t.Any:
        program = original(patch)
        program.STOP_SECONDS = 0.1
        return program

    monkeypatch.setitem(globals(), "load_program", hasty)
    ran = arm(Primary(), "T")
    assert (ran.code, ran.state["state"]) == (1, "failed")
    assert "did not end" in ran.state["reason"]
    assert not ran.may_only_be_standby
