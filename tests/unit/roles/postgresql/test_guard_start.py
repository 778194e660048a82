# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a former primary from starting as a second one: run as systemd runs it, against agents that answer."""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/postgresql/files/guard_start.py"


class Agent:
    """A peer's health agent that answers ``/primary`` with a fixed status."""

    def __init__(self, status: int) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/primary" else 404)
                self.end_headers()

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def agent() -> t.Iterator[t.Callable[[int], Agent]]:
    made: list[Agent] = []

    def make(status: int) -> Agent:
        made.append(Agent(status))
        return made[-1]

    yield make
    for one in made:
        one.close()


def start(
    folder: Path, port: int, *signals: str, peers: t.Sequence[str] = ("127.0.0.1",), timeout: float = 20
) -> tuple[int, str, float]:
    """Exit code, standard error and seconds. ``timeout``: of each that is asked; those that answer do so at once."""
    for name in signals:
        (folder / name).touch()
    names = [{"name": "pg-a1", "address": "192.0.2.1"}]
    names += [{"name": f"pg-{number}", "address": address} for number, address in enumerate(peers)]
    descriptor = folder / "member.json"
    descriptor.write_text(json.dumps({"name": "pg-a1", "data_dir": str(folder), "peers": names}), "utf-8")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(PROGRAM), f"--descriptor={descriptor}", f"--health-port={port}",
         f"--timeout={timeout}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr, time.monotonic() - began


def test_a_former_primary_stays_down_while_another_is_primary(tmp_path: Path, agent: t.Callable[[int], Agent]) -> None:
    code, words, _seconds = start(tmp_path, agent(200).port)
    assert code == 1
    assert "pg-0 is the primary now" in words
    assert "rejoin" in words


def test_the_only_primary_starts_again(tmp_path: Path, agent: t.Callable[[int], Agent]) -> None:
    assert start(tmp_path, agent(503).port)[:2] == (0, "")


def test_a_standby_starts_whoever_is_primary(tmp_path: Path, agent: t.Callable[[int], Agent]) -> None:
    assert start(tmp_path, agent(200).port, "standby.signal")[:2] == (0, "")


def test_a_restored_member_that_would_end_as_primary_is_asked_for(
    tmp_path: Path, agent: t.Callable[[int], Agent]
) -> None:
    assert start(tmp_path, agent(200).port, "recovery.signal")[0] == 1


def test_a_cluster_that_was_off_as_a_whole_comes_back(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert start(tmp_path, unused.getsockname()[1])[0] == 0


def test_a_peer_that_hangs_or_has_no_name_delays_a_start_by_the_timeout_only(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        code, _words, seconds = start(
            tmp_path, silent.getsockname()[1], peers=("127.0.0.1", "127.0.0.2", "no-such-host.invalid"), timeout=0.5
        )
    assert code == 0
    assert seconds < 25


def test_one_primary_among_many_peers_is_found(tmp_path: Path, agent: t.Callable[[int], Agent]) -> None:
    code, words, _seconds = start(tmp_path, agent(200).port, peers=("no-such-host.invalid", "127.0.0.1"))
    assert code == 1
    assert "pg-1 is the primary now" in words


def test_a_member_alone_starts(tmp_path: Path) -> None:
    assert start(tmp_path, 1, peers=())[0] == 0


def test_without_a_descriptor_nothing_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), f"--descriptor={tmp_path}/none.json"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """The program as a module, on a host that booted long ago."""
    spec = importlib.util.spec_from_file_location("guard_start", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "booting", lambda: False)
    return module


OTHERS = [{"name": "pg-b1", "address": "b1"}, {"name": "pg-b2", "address": "b2"}]


def heard(guard: t.Any, monkeypatch: pytest.MonkeyPatch, *rounds: tuple[str, str]) -> tuple[list[str], int]:
    """What is believed where the two others answer so, time after time; and how often they were asked."""
    asked: list[str] = []

    def ask(address: str, _port: int, _timeout: float) -> str:
        asked.append(address)
        return rounds[asked.count(address) - 1][["b1", "b2"].index(address)]

    monkeypatch.setattr(guard, "answer_of", ask)
    found = guard.heard(OTHERS, 8008, 0.1, time.monotonic() + 60)
    return sorted(found.values()), asked.count("b1")


def test_a_host_without_a_network_waits_for_it_and_then_hears_the_new_primary(
    guard: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = [("no way", "no way"), ("no way", "no way"), ("silent", "primary")]
    assert heard(guard, monkeypatch, *rounds) == (["primary", "silent"], 3)


def test_a_host_that_has_just_booted_asks_again_whom_it_does_not_hear(
    guard: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "booting", lambda: True)
    assert heard(guard, monkeypatch, ("silent", "no way"), ("other", "silent"))[1] == 2


def test_others_that_are_lost_do_not_delay_a_host_that_has_a_network(
    guard: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heard(guard, monkeypatch, ("silent", "no way"), ("primary", "primary"))[1] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be without a network")
def test_without_any_network_it_starts_once_its_patience_ends(tmp_path: Path) -> None:
    (tmp_path / "member.json").write_text(
        json.dumps({"name": "a", "data_dir": str(tmp_path), "peers": [{"name": "b", "address": "192.0.2.9"}]})
    )
    began = time.monotonic()
    argv = ["unshare", "--net", sys.executable, str(PROGRAM), f"--descriptor={tmp_path}/member.json", "--patience=2"]
    assert subprocess.run(argv, check=False, timeout=60).returncode == 0
    assert time.monotonic() - began >= 2
