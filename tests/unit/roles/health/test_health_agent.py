# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program itself: its sockets, its words to ASGI, and what it does with a configuration that is wrong."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.health.answers import Access, Answers
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse

PROGRAM = Path(__file__).resolve().parents[4] / "roles/health/files/health_agent.py"


def load_program() -> t.Any:
    spec = importlib.util.spec_from_file_location("health_agent", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["health_agent"] = module
    spec.loader.exec_module(module)
    return module


agent = load_program()


def test_a_request_becomes_an_answer() -> None:
    settings = parse({"access": {"token": "s3cret", "networks": ["10.0.0.0/8"]}})
    access = Access(settings.access["networks"], settings.access["token"])
    application = agent.Application(Answers(settings, lambda: None, lambda _name: None), access)
    sent: list[dict[str, t.Any]] = []

    async def send(message: dict[str, t.Any]) -> None:
        sent.append(message)

    def ask(path: str, **more: t.Any) -> tuple[int, dict[bytes, bytes], bytes]:
        sent.clear()
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [],
            "client": ["::1", 1],
        }
        asyncio.run(application({**scope, **more}, None, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    code, headers, body = ask("/livez")
    assert (code, headers[b"content-type"]) == (200, b"application/health+json")
    assert set(json.loads(body)) == {"status", "time"}
    assert "output" in json.loads(ask("/livez", client=["10.1.1.1", 1])[2])
    assert "output" in json.loads(ask("/livez", headers=[(b"authorization", b"Bearer s3cret")])[2])
    assert ask("/healthz", headers=[(b"authorization", b"Bearer s3cre")])[0] == 401
    assert ask("/healthz", client=None)[0] == 503  # nothing is looked at, so nothing is known
    sent.clear()
    asyncio.run(application({"type": "websocket"}, None, send))
    assert sent == []


def test_sockets_from_systemd_are_taken_only_if_meant_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(socket=lambda *, fileno: fileno, create_server=lambda address: address)
    monkeypatch.setattr(agent, "socket", fake)
    addresses = [("127.0.0.1", 8008), ("127.0.0.1", 8443)]
    own = str(agent.os.getpid())
    assert agent.listening_sockets(addresses, {"LISTEN_PID": own, "LISTEN_FDS": "2"}) == [3, 4]
    assert agent.listening_sockets(addresses[:1], {"LISTEN_PID": own, "LISTEN_FDS": "1"}) == [3]
    for environ in ({"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_PID": own, "LISTEN_FDS": "1"}, {}):
        assert agent.listening_sockets(addresses, environ) == addresses


def test_a_configuration_that_is_wrong_is_told_by_its_key(tmp_path: Path, capsys: t.Any) -> None:
    path = tmp_path / "health.json"
    path.write_text(json.dumps({"checks": {"disk": {"kind": "filesystem", "path": "/"}}}))
    assert agent.main(["--configuration", str(path)]) == 78
    said = capsys.readouterr().err
    assert "checks.disk.path is no option" in said and "paths" in said
    path.write_text(json.dumps({"checks": {"disk": {"kind": "filesystem", "paths": ["/"]}}}))
    assert agent.main(["--configuration", str(path), "--check"]) == 0


def test_an_observer_without_an_address_yet_is_told_details_once_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(agent.Names, "tell", lambda _self, words: said.append(words))
    addresses: dict[str, str] = {}

    def looked_up(host: str, _port: None) -> list[t.Any]:
        if host not in addresses:
            raise agent.socket.gaierror("Name or service not known")
        return [(0, 0, 0, "", (addresses[host], 0))]

    monkeypatch.setattr(agent.socket, "getaddrinfo", looked_up)
    access = Access([], "")
    names = agent.Names(["observer"], access)
    assert names.step() == agent.NAMELESS_SECONDS
    assert not access.caller("198.51.100.7", b"").details and "observer" in said[-1]
    addresses["observer"] = "198.51.100.7"
    assert names.step() == agent.NAMES_SECONDS
    assert access.caller("198.51.100.7", b"").details
    addresses["observer"] = "198.51.100.8"
    names.step()
    assert not access.caller("198.51.100.7", b"").details and access.caller("198.51.100.8", b"").details
