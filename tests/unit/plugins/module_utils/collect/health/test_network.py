# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers over a network: real sockets on this host, each with a deadline for the whole of it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import typing as t

import pytest
from local_port import reserved

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health import network
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.network import Refused
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Status
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.vantage import Sighting

Serve = t.Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(serve: Serve) -> t.Iterator[int]:
    """Hands each connection to ``serve``, in a thread of its own."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=handle, args=listener.accept()[:1], daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing alone leaves the port open for as long as a thread waits in accept.
            listener.shutdown(socket.SHUT_RDWR)


def answering(body: str, code: int = 200, asked: list[bytes] | None = None) -> Serve:
    def serve(connection: socket.socket) -> None:
        request = connection.recv(4096)
        if asked is not None:
            asked.append(request)
        head = f"HTTP/1.1 {code} Said\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body.encode())

    return serve


def soon(seconds: float = 60.0) -> float:
    return time.monotonic() + seconds


def test_a_port_that_answers_and_one_that_does_not() -> None:
    with listening(lambda _connection: None) as port:
        assert network.tcp("127.0.0.1", port, soon()) < 60
    with reserved() as port, pytest.raises(Refused, match=f"127.0.0.1:{port} does not answer"):
        network.tcp("127.0.0.1", port, soon())


def test_an_answer_with_its_token() -> None:
    asked: list[bytes] = []
    with listening(answering('{"status": "ok"}', 503, asked)) as port:
        answer = network.get(f"http://127.0.0.1:{port}/health?deep=1", soon(), token="s3cret")
    assert (answer.code, answer.body) == (503, b'{"status": "ok"}')
    assert asked[0].startswith(b"GET /health?deep=1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer s3cret\r\n" in asked[0]


def silent(connection: socket.socket) -> None:
    time.sleep(60)


def dripping(connection: socket.socket) -> None:
    """A byte now and then: each read is quick, and the answer never ends."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _byte in range(1000):
        connection.sendall(b".")
        time.sleep(0.05)


def cut_off(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


@pytest.mark.parametrize("serve", [silent, dripping, cut_off, lambda _connection: None])
def test_what_does_not_answer_wholly_in_time_does_not_answer(serve: Serve) -> None:
    begin = time.monotonic()
    with listening(serve) as port, pytest.raises(Refused, match="does not answer"):
        network.get(f"http://127.0.0.1:{port}/", soon(0.4))
    assert time.monotonic() - begin < 30


def test_peers_clocks() -> None:
    with listening(answering('{"status": "pass", "time": "2020-01-01T00:00:00.000+00:00"}')) as port:
        [behind, gone] = network.offsets({"behind": f"http://127.0.0.1:{port}", "gone": "http://127.0.0.1:1"}, soon())
    assert behind.seconds is not None and behind.seconds < -(10**8)
    assert 0 < behind.bound < 60
    assert gone.seconds is None
    with listening(answering("{}")) as port:
        assert network.offsets({"mute": f"http://127.0.0.1:{port}"}, soon())[0].seconds is None


def test_a_peer_that_hangs_does_not_take_the_others_time() -> None:
    with listening(silent) as hung, listening(answering('{"time": "2020-01-01T00:00:00+00:00"}')) as well:
        peers = {"hung": f"http://127.0.0.1:{hung}", "well": f"http://127.0.0.1:{well}"}
        begin = time.monotonic()
        assert [one.seconds is None for one in network.offsets(peers, soon(3))] == [True, False]
    assert time.monotonic() - begin < 30


def test_what_other_agents_see() -> None:
    told = {
        "components": {
            "app": {"own": "fail", "status": "fail", "reason": "HTTP 502"},
            "control": {"own": "pass", "status": "pass", "reason": "answers"},
        }
    }
    point = {"service": "app", "control": "control", "token": "", "ca": ""}
    with listening(answering(json.dumps(told))) as port:
        here = {**point, "url": f"http://127.0.0.1:{port}"}
        points = {"a": here, "b": {**here, "service": "other"}, "c": {**point, "url": "http://127.0.0.1:1"}}
        first, *others = network.sightings(points, soon())
    assert first == Sighting("a", Status.FAIL, Status.PASS, "HTTP 502")
    assert [(one.service, one.control) for one in others] == [(Status.UNKNOWN, Status.UNKNOWN)] * 2


def test_who_serves_as_primary() -> None:
    with (
        listening(answering("", 200)) as yes,
        listening(answering("", 503)) as no,
        listening(answering("", 404)) as none,
    ):
        ports = {"yes": yes, "no": no, "none": none, "gone": 1}
        members = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        found = network.leading(members, soon())
    assert found == {"yes": True, "no": False, "none": None, "gone": None}
