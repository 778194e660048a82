# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver: whom it follows, how it lets go, and what it keeps."""

from __future__ import annotations

import http.server
import importlib.util
import json
import threading
import time
import typing as t
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/pgbackrest/files/receive_wal.py"
FAKE = """#!/bin/sh
case "$*" in *--create-slot*) : > slot; exit 0;; esac
echo "$@" >> calls
if [ -e refuse ]; then echo "requested starting point is ahead" >&2; exit 1; fi
exec sleep 300
"""
#: Seconds to wait for what takes a moment.
PATIENT = 60.0


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("receive_wal", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


receive_wal = load()


PG_A1 = {"name": "pg-a1", "address": "127.0.0.1", "port": 5432}


class Agent:
    """A member's health agent."""

    def __init__(self) -> None:
        agent = self
        self.status = 503

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(agent.status if self.path == "/primary" else 404)
                self.end_headers()

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]


@pytest.fixture
def agents() -> t.Iterator[list[Agent]]:
    made = [Agent(), Agent()]
    yield made
    for agent in made:
        agent.server.shutdown()
        agent.server.server_close()


@pytest.fixture
def receiver(tmp_path: Path, agents: list[Agent], monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Any]:
    program = tmp_path / "pg_receivewal"
    program.write_text(FAKE, encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "wal").mkdir()
    monkeypatch.chdir(tmp_path)
    # A busy machine may take longer than an agent may in an outage, and than a stream lives that is refused.
    monkeypatch.setattr(receive_wal, "ASK_TIMEOUT", PATIENT)
    monkeypatch.setattr(receive_wal, "REFUSED_WITHIN", PATIENT)
    made = receive_wal.Receiver({
        "stanza": "lab", "repo1_path": str(tmp_path / "repo"), "bin_dir": str(tmp_path),
        "members": [{"name": n, "address": "127.0.0.1", "port": 5432} for n in ("pg-a1", "pg-a2")],
        "receiver": {
            "name": "repo-a-receiver", "slot": "repo_a_receiver", "directory": str(tmp_path / "wal"), "user": "rep",
            "passfile": "/x/it's", "ca": "/ca.crt", "health_port": 1, "keep_mb": 1, "limit_mb": 3,
        },
    })  # fmt: skip
    ports = {"pg-a1": agents[0].port, "pg-a2": agents[1].port}

    def is_primary(member: dict[str, t.Any]) -> bool:
        made.settings["health_port"] = ports[member["name"]]
        return bool(receive_wal.Receiver.is_primary(made, member))

    made.pool = type("OneByOne", (), {"map": staticmethod(map)})()
    monkeypatch.setattr(made, "is_primary", is_primary)
    yield made
    if made.child is not None:
        made.child.kill()


def eventually(look: t.Callable[[], t.Any]) -> None:
    end = time.monotonic() + PATIENT
    while not look():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def streams(receiver: t.Any) -> bool:
    """The program that receives has begun, and it is told."""
    return receiver.child is not None and Path("calls").exists() and (receiver.directory / "receiver.json").exists()


def state(receiver: t.Any) -> dict[str, t.Any]:
    told: dict[str, t.Any] = json.loads((receiver.directory / "receiver.json").read_text(encoding="utf-8"))
    return told


def test_the_agents_say_who_is_primary(receiver: t.Any, agents: list[Agent]) -> None:
    assert receiver.primary() is None
    agents[1].status = 200
    assert receiver.primary()["name"] == "pg-a2"


def test_two_primaries_are_nobodys_to_choose_from(receiver: t.Any, agents: list[Agent]) -> None:
    for agent in agents:
        agent.status = 200
    assert receiver.primary() is None


def test_an_agent_that_is_away_is_no_primary(receiver: t.Any, agents: list[Agent]) -> None:
    agents[0].server.server_close()
    agents[1].status = 200
    assert receiver.primary()["name"] == "pg-a2"


def test_it_follows_a_new_primary(receiver: t.Any, agents: list[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive_wal, "WATCH", 0.05)
    agents[0].status = 200
    thread = threading.Thread(target=receiver.stream_from, args=[receiver.primary()], daemon=True)
    thread.start()
    eventually(lambda: streams(receiver))
    time.sleep(0.3)
    assert thread.is_alive(), "nobody else is primary yet"
    agents[0].status, agents[1].status = 503, 200
    thread.join(PATIENT)
    assert not thread.is_alive()
    assert receiver.child is None and receiver.primary()["name"] == "pg-a2"
    [call] = Path("calls").read_text(encoding="utf-8").splitlines()
    for part in ("--synchronous", "--no-loop", "--slot=repo_a_receiver", "sslmode='verify-full'",
                 "application_name='repo-a-receiver'", "host='127.0.0.1'", "passfile='/x/it\\'s'"):  # fmt: skip
        assert part in call


def test_it_stays_while_nobody_is_primary(
    receiver: t.Any, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that is silent for a moment is no reason to let go: the stream itself tells when it is over."""
    monkeypatch.setattr(receive_wal, "WATCH", 0.05)
    agents[0].status = 200
    primary = receiver.primary()
    agents[0].status = 503
    thread = threading.Thread(target=receiver.stream_from, args=(primary,), daemon=True)
    thread.start()
    eventually(lambda: streams(receiver))
    time.sleep(0.6)
    assert thread.is_alive() and state(receiver)["state"] == "streaming"
    receiver.child.terminate()
    thread.join(PATIENT)
    assert not thread.is_alive()


def test_a_refused_stream_is_told_with_its_reason(
    receiver: t.Any, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restore to an earlier point the receiver is ahead of the primary."""
    monkeypatch.setattr(receive_wal, "RETRY_REFUSED", 0.0)
    Path("refuse").touch()
    receiver.stream_from(PG_A1)
    assert state(receiver)["state"] == "refused" and "ahead" in state(receiver)["reason"]


def test_a_slot_is_made_only_where_the_stream_was_refused(receiver: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members make it before they promote; to ask for it first would keep the first commits waiting."""
    monkeypatch.setattr(receive_wal, "RETRY_REFUSED", 0.0)
    thread = threading.Thread(target=receiver.stream_from, args=[PG_A1], daemon=True)
    thread.start()
    eventually(lambda: streams(receiver))
    receiver.child.terminate()
    thread.join(PATIENT)
    assert not thread.is_alive() and not Path("slot").exists()
    Path("refuse").touch()
    receiver.stream_from(PG_A1)
    assert Path("slot").exists()


def segments(receiver: t.Any, *numbers: int) -> None:
    for number in numbers:
        (receiver.directory / f"00000001{number:016X}").write_bytes(bytes(receive_wal.MB))


def left(receiver: t.Any) -> list[int]:
    return sorted(int(path.name[8:], 16) for path in receiver.directory.iterdir() if len(path.name) == 24)


def archive(receiver: t.Any, *numbers: int) -> None:
    for number in numbers:
        name = f"00000001{number:016X}"
        folder = receiver.archives[-1] / "17-1" / name[:16]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-{'a' * 40}.zst").touch()


def test_old_segments_go_once_the_repository_has_them(receiver: t.Any) -> None:
    segments(receiver, 1, 2, 3)
    archive(receiver, 1)
    receiver.prune()
    assert left(receiver) == [2, 3], "2 is nowhere else"
    (receiver.archives[-1] / f"17-1/{1:08X}{0:08X}/00000001{2:016X}-{'a' * 40}.zst.pgbackrest.tmp").touch()
    receiver.prune()
    assert left(receiver) == [2, 3], "2 is on its way, or half of it is all that came"
    archive(receiver, 2, 3)
    receiver.prune()
    assert left(receiver) == [3], "the last one is where the next stream begins"


def test_what_an_earlier_key_has_need_not_be_kept_either(receiver: t.Any, tmp_path: Path) -> None:
    receiver.archives = [tmp_path / "archive/key-2", tmp_path / "archive"]
    segments(receiver, 1, 2, 3)
    archive(receiver, 1)
    receiver.archives.reverse()
    archive(receiver, 2)
    receiver.prune()
    assert left(receiver) == [3]


def test_the_disk_is_bounded_even_if_nothing_is_archived(receiver: t.Any) -> None:
    segments(receiver, 1, 2, 3, 4, 5)
    receiver.prune()
    assert left(receiver) == [3, 4, 5]
