# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What members say of themselves, and what their silence means."""

from __future__ import annotations

import json
import socket
import threading
import time
import typing as t
from pathlib import Path

import pytest
from local_port import reserved

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import members
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed, run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    CommandTimedOut,
    InputError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Standing

FACTS: dict[str, t.Any] = {
    "cluster": "orders",
    "members": [
        {"name": "pg-a1", "address": "127.0.0.1", "port": 5432, "region": "a", "ssh_port": 22},
        {"name": "pg-b1", "address": "127.0.0.1", "port": 5432, "region": "b", "ssh_port": 22},
    ],
    "monitor_user": "resilience_monitor",
    "pgpass": "/etc/fraiseql-resilience/pgpass",
    "ca": "/etc/fraiseql-resilience/tls/ca.crt",
}
SAID = {"in_recovery": True, "version": 17, "timeline": 3, "written_lsn": "0/5000148", "receiving_from": "pg-a1"}


@pytest.fixture(autouse=True)
def no_ssh_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "SSH_PORT", 1)


class Psql:
    """A psql that answers, or fails as the real one does."""

    def __init__(self, stdout: str = json.dumps(SAID), error: Exception | None = None) -> None:
        self.stdout, self.error = stdout, error
        self.ran: list[tuple[list[str], float]] = []

    def __call__(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        self.ran.append((list(argv), timeout))
        if self.error is not None:
            raise self.error
        return Completed(tuple(argv), 0, self.stdout, "", 0.0)


def read(psql: Psql) -> members.Member:
    return members.read_member(FACTS["members"][0], FACTS, timeout=1.0, run=psql)


class Frozen(Psql):
    """A primary that reads out of memory, and whose storage stands still."""

    def __call__(self, argv: t.Sequence[str], *, timeout: float, **more: t.Any) -> Completed:
        if members.COMMIT in argv:
            self.error = CommandTimedOut(f"psql gave no answer within {timeout:g} s and was killed")
        return super().__call__(argv, timeout=timeout, **more)


def test_a_primary_that_cannot_commit_is_stalled() -> None:
    seen = read(Frozen(json.dumps({**SAID, "in_recovery": False})))
    assert (seen.standing, seen.timeline) == (Standing.STALLED, 3)
    assert seen.reason == "it answers, and its storage did not take a commit within 3 s"


def test_a_primary_whose_storage_is_full_is_stalled() -> None:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        if members.COMMIT in argv:
            return Completed(tuple(argv), 1, "", "ERROR:  53100\n", 0.0)
        return Completed(tuple(argv), 0, json.dumps({**SAID, "in_recovery": False}), "", 0.0)

    seen = members.read_member(FACTS["members"][0], FACTS, timeout=1.0, run=run)
    assert (seen.standing, seen.reason) == (Standing.STALLED, "it answers, and its storage is full")


def test_a_standby_is_not_asked_to_commit() -> None:
    assert read(Frozen()).standing is Standing.STANDBY


def test_a_standby_tells_what_it_is() -> None:
    psql = Psql()
    seen = read(psql)
    assert (seen.name, seen.standing, seen.timeline, seen.written_lsn) == ("pg-a1", Standing.STANDBY, 3, "0/5000148")
    [(argv, timeout)] = psql.ran
    assert timeout == 1.0
    conninfo = argv[argv.index("-d") + 1]
    assert "sslmode='verify-full'" in conninfo
    assert "passfile='/etc/fraiseql-resilience/pgpass'" in conninfo


def test_a_primary_is_who_is_not_in_recovery() -> None:
    assert read(Psql(json.dumps({**SAID, "in_recovery": False}))).standing is Standing.PRIMARY


AT = 'connection to server at "pg-a1" (192.0.2.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("stderr", "standing", "reason"),
    [
        (f"psql: error: {AT}FATAL:  the database system is starting up", Standing.STARTING, "starting up"),
        (f"psql: error: {AT}FATAL:  the database system is shutting down", Standing.STARTING, "shutting down"),
        (
            f"psql: error: {AT}FATAL:  the database system is not yet accepting connections\nDETAIL:  Not consistent.",
            Standing.STARTING,
            "not yet accepting",
        ),
        (
            f"psql: error: {AT}Connection refused\n\tIs the server running on that host?",
            Standing.REFUSED,
            "Connection refused",
        ),
        (f"psql: error: {AT}timeout expired", Standing.UNSEEN, "timeout expired"),
        (f"WARNING: of something\npsql: error: {AT}No route to host", Standing.UNSEEN, "No route to host"),
        (f"psql: error: {AT}SSL error: certificate verify failed", Standing.UNSEEN, "certificate verify failed"),
        (f"psql: error: {AT}FATAL:  password authentication failed", Standing.UNSEEN, "password authentication"),
        ("", Standing.UNSEEN, "exit code 2"),
    ],
)
def test_psql_says_why_a_member_does_not_answer(stderr: str, standing: Standing, reason: str) -> None:
    seen = read(Psql(error=CommandFailed("psql ended with exit code 2", rc=2, stderr=stderr)))
    assert seen.standing is standing
    assert reason in seen.reason
    assert "\n" not in seen.reason


def test_a_member_that_hangs_is_unseen() -> None:
    seen = read(Psql(error=CommandTimedOut("psql gave no answer within 1 s and was killed")))
    assert (seen.standing, seen.reason) == (Standing.UNSEEN, "psql gave no answer within 1 s and was killed")


@pytest.mark.parametrize("stdout", ["", "not JSON"])
def test_an_answer_that_cannot_be_read_is_no_answer(stdout: str) -> None:
    assert read(Psql(stdout)).standing is Standing.UNSEEN


def test_members_stay_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "is_greeted", lambda _address, _port, _timeout: True)
    seen = members.read_members(FACTS, timeout=1.0, run=Psql())
    assert [(one.name, one.ssh_answers) for one in seen] == [("pg-a1", True), ("pg-b1", True)]


def test_a_name_that_is_looked_up_for_ever_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a resolver behind a black hole: getaddrinfo has no timeout."""
    never = threading.Event()
    monkeypatch.setattr(members, "is_greeted", lambda _address, _port, _timeout: never.wait(60))
    begin = time.monotonic()
    seen = members.read_members(FACTS, timeout=0.2, run=Psql())
    assert time.monotonic() - begin < 30
    assert [one.ssh_answers for one in seen] == [False, False]
    never.set()


def test_a_server_that_accepts_and_never_answers_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a frozen host: its kernel accepts, PostgreSQL and sshd alike say nothing. A program that waits is psql."""
    program = tmp_path / "psql"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(members, "psql", lambda: str(program))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        facts = {**FACTS, "members": [{**one, "port": port, "ssh_port": port} for one in FACTS["members"]]}
        begin = time.monotonic()
        seen = members.read_members(facts, timeout=0.3, run=run)
    assert time.monotonic() - begin < 30
    assert [(one.standing, one.ssh_answers) for one in seen] == [(Standing.UNSEEN, False)] * 2


def test_who_greets_and_who_does_not() -> None:
    """sshd speaks first; nobody at all refuses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        greeter = threading.Thread(target=lambda: server.accept()[0].sendall(b"SSH-2.0-OpenSSH_10.0\r\n"))
        greeter.start()
        assert members.is_greeted("127.0.0.1", port, 60.0)
        greeter.join(60)
    with reserved() as port:
        assert not members.is_greeted("127.0.0.1", port, 1.0)


def test_ssh_is_heard_where_it_usually_is_though_the_inventory_says_another_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As behind NAT, where ansible_port is the router's: at the host's own address, nobody is there, or one is mute."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr(members, "SSH_PORT", server.getsockname()[1])
        greeter = threading.Thread(target=lambda: server.accept()[0].sendall(b"SSH-2.0-OpenSSH_10.0\r\n"))
        greeter.start()
        begin = time.monotonic()
        assert members.Greetings([("127.0.0.1", mute.getsockname()[1])], 60.0).of(0)
        assert time.monotonic() - begin < 30
        greeter.join(60)
    assert not members.Greetings([("127.0.0.1", 1)], 1.0).of(0)


@pytest.mark.parametrize("content", [None, "{"])
def test_a_host_that_does_not_know_its_cluster_says_so(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "observer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as error:
        members.read_descriptor(str(path))
    assert error.value.given == str(path)
    assert error.value.next_step is not None


def test_values_of_a_connection_string_are_quoted() -> None:
    psql = Psql()
    members.read_member({**FACTS["members"][0], "address": "o'hare \\"}, FACTS, timeout=1.0, run=psql)
    conninfo = psql.ran[0][0][psql.ran[0][0].index("-d") + 1]
    assert conninfo.startswith(r"host='o\'hare \\' ")
