# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Patroni's REST API says, and how its answers are taken."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import patroni
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError

FACTS = {
    "members": [{"name": "pg-a1", "address": "pg-a1"}, {"name": "pg-a2", "address": "pg-a2"}],
    "patroni": {"port": 8009},
    "ca": "/ca.crt",
}
MEMBER = {
    "name": "pg-a1",
    "address": "pg-a1",
    "cluster": "orders",
    "patroni": {"port": 8009, "ca": "/ca.crt", "cert": "/host.crt", "key": "/host.key"},
}
ANSWERS: dict[str, t.Any] = {
    "/cluster": {
        "members": [
            {"name": "pg-a1", "role": "leader", "state": "running", "timeline": 3},
            {"name": "pg-a2", "role": "sync_standby", "state": "streaming", "tags": {"nofailover": True}},
        ],
        "pause": True,
    },
    "/patroni": {"patroni": {"version": "4.0.7"}},
    "/config": {"synchronous_mode": True},
}


def answering(silent: t.Collection[str] = ()) -> patroni.Ask:
    def ask(place: tuple[str, int], path: str, tls: t.Mapping[str, str], **_: t.Any) -> tuple[int, t.Any]:
        if place[0] in silent:
            raise OSError("no route")
        assert place[1] == 8009 and tls["ca"] == "/ca.crt"
        return 200, ANSWERS[path]

    return ask


@pytest.mark.parametrize("silent", [(), ("pg-a1",), ("pg-a2",)])
def test_whoever_answers_tells_of_the_cluster(silent: tuple[str, ...]) -> None:
    engine = patroni.read_engine(FACTS, timeout=1, ask=answering(silent))
    assert engine is not None
    assert (engine.seen, engine.leader, engine.version) == (True, "pg-a1", "4.0.7")
    assert (engine.paused, engine.synchronous) == (True, True)
    assert engine.members["pg-a2"] == {"role": "sync_standby", "state": "streaming", "tags": {"nofailover": True}}


def test_when_nobody_answers_it_was_not_seen() -> None:
    engine = patroni.read_engine(FACTS, timeout=1, ask=answering(("pg-a1", "pg-a2")))
    assert engine is not None and not engine.seen


def test_an_answer_that_is_no_json_is_none() -> None:
    engine = patroni.read_engine(FACTS, timeout=1, ask=lambda *_args, **_words: (503, "starting"))
    assert engine is not None and not engine.seen


@pytest.mark.parametrize("facts", [{**FACTS, "patroni": None}, {"members": []}])
def test_where_it_is_not_in_charge_nobody_is_asked(facts: dict[str, t.Any]) -> None:
    def never(*_args: t.Any, **_words: t.Any) -> tuple[int, t.Any]:
        raise AssertionError("somebody was asked")

    assert patroni.read_engine(facts, timeout=1, ask=never) is None


def test_a_member_that_is_not_in_its_hands_has_no_api() -> None:
    with pytest.raises(InputError, match="not in charge of pg-a1"):
        patroni.Api({**MEMBER, "patroni": None})


def test_a_refusal_is_patronis_own_word() -> None:
    api = patroni.Api(MEMBER, ask=lambda *_args, **_words: (412, "candidate does not exist"))
    with pytest.raises(RefusedError, match=r"POST /switchover with 412: candidate does not exist"):
        api.change("switchover", "POST", {}, 1)


def test_silence_is_unknown_and_may_have_changed_something() -> None:
    api = patroni.Api(MEMBER, ask=answering(("pg-a1",)))
    with pytest.raises(UnknownError) as read:
        api.get("cluster")
    with pytest.raises(UnknownError) as changed:
        api.change("restart", "POST", {}, 1)
    assert (read.value.changed, changed.value.changed) == (False, True)


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ({"ttl": 20, "postgresql": {"use_slots": True, "parameters": {"port": 1}}, "more": 1}, {}),
        ({"ttl": 30, "postgresql": {"use_slots": True}}, {"ttl": 20}),
        ({"ttl": 20, "postgresql": {"use_slots": False, "more": 1}}, {"postgresql": {"use_slots": True}}),
        ({}, {"ttl": 20, "postgresql": {"use_slots": True}}),
    ],
)
def test_only_what_differs_is_changed(there: dict[str, t.Any], missing: dict[str, t.Any]) -> None:
    assert patroni.differences({"ttl": 20, "postgresql": {"use_slots": True}}, there) == missing


class Patronictl:
    def __init__(self, rc: int = 0, stdout: str = "", stderr: str = "") -> None:
        self.answer = (rc, stdout, stderr)
        self.said = ""

    def __call__(self, argv: t.Sequence[str], *, timeout: float, stdin: str | None = None, **_: t.Any) -> Completed:
        assert argv[-1] == "orders"
        self.verb = argv[3]
        self.said = stdin or ""
        return Completed(tuple(argv), *self.answer, 0.1)


def test_patronictl_is_told_what_it_asks() -> None:
    ran = Patronictl()
    patroni.forget("orders", 0.1, run=ran)
    assert (ran.verb, ran.said) == ("remove", "orders\nYes I am aware\n")


@pytest.mark.parametrize("ran", [Patronictl(), Patronictl(1, "", "Error: Cluster is already paused")])
def test_a_pause_is_a_pause(ran: Patronictl) -> None:
    patroni.pause("orders", 5, run=ran)
    assert ran.verb == "pause"


def test_a_pause_that_not_all_know_of_is_unknown() -> None:
    with pytest.raises(UnknownError, match="pg-a2 does not know"):
        patroni.pause("orders", 5, run=Patronictl(1, "", "Error: pg-a2 does not know"))


LED = (1, "This cluster currently is healthy. Please specify the leader name to continue:", "Aborted!")


def test_a_lease_that_nobody_renews_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patroni that is stopped while it is paused leaves its lease in etcd."""
    answers = [LED, LED, (0, "", "")]

    class Leased(Patronictl):
        def __call__(self, argv: t.Sequence[str], **given: t.Any) -> Completed:
            self.answer = answers.pop(0)
            return super().__call__(argv, **given)

    monkeypatch.setattr(patroni, "LEASE_LOOK_SECONDS", 0.01)
    patroni.forget("orders", 60, run=Leased())
    assert answers == []


def test_a_cluster_that_somebody_leads_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patroni, "LEASE_LOOK_SECONDS", 0.01)
    ran = Patronictl(*LED)
    with pytest.raises(RefusedError, match="somebody leads orders"):
        patroni.forget("orders", 0.1, run=ran)


def test_a_store_that_does_not_answer_is_unknown() -> None:
    with pytest.raises(UnknownError, match="Etcd is not healthy"):
        patroni.forget("orders", 5, run=Patronictl(1, "", "Etcd is not healthy"))


class Server:
    """A REST API over TLS that wants a certificate before it changes anything."""

    def __init__(self, folder: Path) -> None:
        from subprocess import run

        self.tls = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}
        words = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        files = ["-keyout", self.tls["key"], "-out", self.tls["cert"]]
        more = ["-addext", "subjectAltName=DNS:localhost"]
        run(["openssl", "req", "-x509", *words, *more, *files], check=True, capture_output=True)
        Path(self.tls["ca"]).write_text(Path(self.tls["cert"]).read_text("utf-8"), "utf-8")
        asked: list[tuple[str, str, str]] = []
        self.asked = asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: t.Any) -> None:
                pass

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                asked.append((self.command, self.path, self.rfile.read(length).decode()))
                shown = t.cast(ssl.SSLSocket, self.connection).getpeercert()
                status = 200 if self.command == "GET" or shown else 403
                content = json.dumps({"members": []}) if self.path == "/cluster" else "a text\n"
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content.encode())

            do_POST = do_GET  # noqa: N815

        self.http = http.server.HTTPServer(("localhost", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.tls["ca"])
        context.load_cert_chain(self.tls["cert"], self.tls["key"])
        context.verify_mode = ssl.CERT_OPTIONAL
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.place = ("localhost", self.http.server_port)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path) -> t.Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.http.shutdown()


def test_json_is_read_and_a_text_is_left_as_it_is(server: Server) -> None:
    assert patroni.ask(server.place, "/cluster", {"ca": server.tls["ca"]}, timeout=5) == (200, {"members": []})
    assert patroni.ask(server.place, "/history", {"ca": server.tls["ca"]}, timeout=5) == (200, "a text")


def test_the_hosts_certificate_is_shown_where_it_is_given(server: Server) -> None:
    answer = patroni.ask(server.place, "/switchover", server.tls, method="POST", body={"leader": "a"}, timeout=5)
    assert answer[0] == 200 and server.asked[-1] == ("POST", "/switchover", '{"leader": "a"}')
    assert patroni.ask(server.place, "/restart", {"ca": server.tls["ca"]}, method="POST", timeout=5)[0] == 403


def test_a_server_of_another_authority_is_no_answer(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Server(other)
    try:
        with pytest.raises(OSError, match="certificate verify failed"):
            patroni.ask(stranger.place, "/cluster", {"ca": server.tls["ca"]}, timeout=5)
    finally:
        stranger.http.shutdown()
