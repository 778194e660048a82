# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that holds the clients: whatever happens, they are let go, and the record says what happened."""

from __future__ import annotations

import importlib.util
import json
import sys
import typing as t
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/gateway/files/hold_clients.py"


def load_program() -> t.Any:
    spec = importlib.util.spec_from_file_location("hold_clients", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hold_clients"] = module
    spec.loader.exec_module(module)
    return module


program = load_program()


class Pooler:
    """PgBouncer: ``held`` is what its clients feel."""

    def __init__(self, *, pauses: bool = True, pause_error: str = "", resume_error: str = "") -> None:
        self.held = False
        self.calls: list[str] = []
        self._pauses = pauses
        self._pause_error = pause_error
        self._resume_error = resume_error

    def pause(self, timeout: float) -> bool:
        self.calls.append(f"pause {timeout:g}")
        if self._pause_error:
            raise program.LineFailed(self._pause_error)
        self.held = True
        return self._pauses

    def resume(self) -> None:
        self.calls.append("resume")
        if self._resume_error:
            raise program.LineFailed(self._resume_error)
        self.held = False

    def blockers(self) -> list[dict[str, str]]:
        return [{"user": "app", "database": "orders", "client": "198.18.3.11:4711"}]


class Cluster:
    """Members a and b; ``seen`` is who HAProxy leads to at each look, the last one for ever."""

    def __init__(self, *seen: str | None, listeners: int = 1, primary: bool = True, unreachable: str = "") -> None:
        self._seen = list(seen) or ["a"]
        self._listeners = listeners
        self._primary = primary
        self._unreachable = unreachable
        self.notify_error = ""
        self.told: list[str] = []
        self.looks = 0

    def names(self) -> list[str]:
        return ["a", "b"]

    def call(self, name: str) -> None:
        if self._unreachable:
            raise program.LineFailed(self._unreachable)

    def is_primary(self) -> bool:
        return self._primary

    def listeners(self) -> int:
        return self._listeners

    def notify(self, token: str) -> None:
        if self.notify_error:
            raise program.LineFailed(self.notify_error)
        self.told.append(token)

    def writable(self) -> str | None:
        self.looks += 1
        return self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def hold(pooler: Pooler, cluster: Cluster, old: str = "a", deadline: float = 5.0) -> tuple[t.Any, list[str]]:
    clock = Clock()
    record = program.Record(token="T", old_primary=old)
    kept: list[str] = []
    program.hold(
        pooler,
        cluster,
        record,
        deadline=deadline,
        pause_timeout=2.0,
        keep=lambda state: kept.append(state.events[-1]["name"]),
        now=clock.now,
        sleep=clock.sleep,
    )
    return record, kept


def names(record: t.Any) -> list[str]:
    return [event["name"] for event in record.events]


def test_clients_go_on_at_the_new_primary() -> None:
    pooler, cluster = Pooler(), Cluster("a", "a", None, None, "b")
    record, kept = hold(pooler, cluster)
    assert (record.state, record.outcome, record.new_primary) == ("done", "resumed_on_new_primary", "b")
    assert names(record) == ["pause_asked", "paused", "notified", "writable", "resumed"]
    assert kept == ["pause_asked", "notified"]  # a later reader must know before clients are held, and once told
    assert pooler.calls == ["pause 2", "resume"] and not pooler.held
    assert cluster.told == ["T"]
    stamps = [event["monotonic_ns"] for event in record.events]
    assert stamps == sorted(stamps)
    assert record.held_seconds == pytest.approx((stamps[-1] - stamps[0]) / 1e9)


@pytest.mark.parametrize(
    ("cluster", "old", "reason"),
    [
        (Cluster("a"), "z", "no member"),
        (Cluster("a", unreachable="connection refused"), "a", "connection refused"),
        (Cluster("a", primary=False), "a", "not a primary"),
        (Cluster("a", listeners=0), "a", "nobody waits"),
        (Cluster(None), "a", "no writable server"),
        (Cluster("b"), "a", "leads to b"),
    ],
)
def test_guards_refuse_before_a_client_is_held(cluster: Cluster, old: str, reason: str) -> None:
    pooler = Pooler()
    with pytest.raises(program.Refused, match=reason) as refusal:
        hold(pooler, cluster, old)
    assert refusal.value.next_step
    assert pooler.calls == [] and cluster.told == []


def test_a_long_transaction_refuses_and_is_named_and_nobody_is_told_to_stop() -> None:
    pooler, cluster = Pooler(pauses=False), Cluster("a")
    with pytest.raises(program.Refused, match="did not end within 2 s") as refusal:
        hold(pooler, cluster)
    assert refusal.value.blockers == pooler.blockers()
    assert not pooler.held and cluster.told == []


def test_a_pause_that_somebody_else_made_is_left_alone() -> None:
    pooler = Pooler(pause_error="already suspended/paused")
    with pytest.raises(program.Refused, match="already suspended"):
        hold(pooler, Cluster("a"))
    assert "resume" not in pooler.calls


def test_an_old_primary_that_cannot_be_told_keeps_its_clients() -> None:
    pooler, cluster = Pooler(), Cluster("a")
    cluster.notify_error = "connection lost"
    record, _kept = hold(pooler, cluster)
    assert record.outcome == "resumed_on_old_primary" and "connection lost" in record.reason
    assert not pooler.held


@pytest.mark.parametrize(("last", "outcome"), [("a", "resumed_on_old_primary"), (None, "deadline")])
def test_the_deadline_lets_go_in_any_case(last: str | None, outcome: str) -> None:
    pooler = Pooler()
    record, _kept = hold(pooler, Cluster("a", last), deadline=1.0)
    assert (record.state, record.outcome, record.new_primary) == ("done", outcome, None)
    assert not pooler.held and record.next_step


def test_an_old_primary_that_nobody_is_about_to_stop_gets_its_clients_back_at_once() -> None:
    pooler, cluster = Pooler(), Cluster("a")
    cluster.notify = lambda token: setattr(cluster, "_listeners", 0)  # type: ignore[method-assign]
    record, _kept = hold(pooler, cluster, deadline=1000.0)
    assert record.outcome == "resumed_on_old_primary" and "still serves" in record.reason
    assert not pooler.held and cluster.looks * program.LOOK_INTERVAL < 5


@pytest.mark.parametrize("seen", [("a", "a", None, "a", None, "b"), ("a", *["a", None] * 100, "b")])
def test_a_session_that_outlives_the_listener_is_no_refusal(seen: tuple[str | None, ...]) -> None:
    cluster = Cluster(*seen)
    cluster.notify = lambda token: setattr(cluster, "_listeners", 0)  # type: ignore[method-assign]
    assert hold(Pooler(), cluster, deadline=1000.0)[0].outcome == "resumed_on_new_primary"


def test_a_surprise_lets_go_too() -> None:
    pooler, cluster = Pooler(), Cluster("a")

    def interrupted(token: str) -> t.NoReturn:
        raise KeyboardInterrupt

    cluster.notify = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        hold(pooler, cluster)
    assert not pooler.held


def test_a_resume_that_fails_is_not_taken_for_an_end() -> None:
    pooler = Pooler(resume_error="console gone")
    with pytest.raises(program.StillHeld, match="console gone"):
        hold(pooler, Cluster("a", "b"))


def test_after_a_kill_the_clients_are_let_go_once(tmp_path: Path) -> None:
    path = str(tmp_path / "hold.json")
    record = program.Record(token="T", old_primary="a")
    record.stamp("pause_asked")
    program.write_state(path, record)

    other = Pooler()
    assert not program.let_go(other, path, "another token") and other.calls == []
    pooler = Pooler()
    assert program.let_go(pooler, path, "T") and pooler.calls == ["resume"]
    state = program.read_state(path)
    assert (state["state"], state["outcome"]) == ("done", "killed")
    assert [event["name"] for event in state["events"]] == ["pause_asked", "resumed"]
    assert state["held_seconds"] > 0
    assert not program.let_go(pooler, path, "T") and pooler.calls == ["resume"]


def test_nothing_is_let_go_where_nothing_was_held(tmp_path: Path) -> None:
    pooler = Pooler()
    assert not program.let_go(pooler, str(tmp_path / "none.json"), "T")
    done = program.Record(token="T", old_primary="a").end("deadline", "why")
    program.write_state(str(tmp_path / "hold.json"), done)
    assert not program.let_go(pooler, str(tmp_path / "hold.json"), "T")
    assert pooler.calls == []


def test_the_state_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "hold.json"
    program.write_state(str(path), program.Record(token="T", old_primary="a"))
    assert json.loads(path.read_text(encoding="utf-8"))["state"] == "holding"
    assert [file.name for file in tmp_path.iterdir()] == ["hold.json"]
    path.write_text('{"half', encoding="utf-8")
    assert program.read_state(str(path)) is None


def rows_pooler(monkeypatch: pytest.MonkeyPatch, answers: dict[str, t.Any]) -> t.Any:
    """The real ``Pooler`` on a console that answers from a table; an exception is raised."""
    pooler = program.Pooler({"socket_dir": "/nowhere", "port": 6432, "admin_user": "pgbouncer"})

    def say(command: str, timeout: float = 0.0) -> t.Any:
        answer = answers[command]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pooler, "_say", say)
    return pooler


def test_blockers_are_clients_within_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    client = {"user": "app", "database": "orders", "addr": "198.18.3.9", "port": 4711, "request_time": "09:16:23"}
    answers = {
        "SHOW CLIENTS": [
            {**client, "ptr": "0x1", "application_name": "report"},
            {**client, "ptr": "0x2", "application_name": "idle"},
        ],
        "SHOW SERVERS": [
            {"state": "active", "link": "0x1", "remote_pid": 17},
            {"state": "idle", "link": "", "remote_pid": 18},
        ],
    }
    [blocker] = rows_pooler(monkeypatch, answers).blockers()
    assert (blocker["application_name"], blocker["client"], blocker["server_pid"]) == (
        "report",
        "198.18.3.9:4711",
        "17",
    )


def test_a_pause_times_out_and_a_resume_of_nothing_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, t.Any] = {"PAUSE": program.LineTimedOut("no answer"), "RESUME": program.LineFailed("x")}
    pooler = rows_pooler(monkeypatch, answers)
    assert pooler.pause(1.0) is False
    with pytest.raises(program.LineFailed):
        pooler.resume()
    answers["RESUME"] = program.LineFailed("pooler is not paused/suspended")
    pooler.resume()
    answers["PAUSE"] = program.LineFailed("already suspended/paused")
    with pytest.raises(program.LineFailed):
        pooler.pause(1.0)


def cluster_on(monkeypatch: pytest.MonkeyPatch, row: dict[str, t.Any] | Exception) -> t.Any:
    class OneLine:
        def __init__(self, dsn: str, timeout: float) -> None:
            if isinstance(row, Exception):
                raise row
            assert "sslmode=verify-ca" in dsn and "port=5000" in dsn

        def ask(self, sql: str, values: t.Sequence[t.Any] = (), *, timeout: float) -> list[dict[str, t.Any]]:
            assert isinstance(row, dict)
            return [row]

        def close(self) -> None:
            pass

    monkeypatch.setattr(program, "Line", OneLine)
    return program.Cluster(
        {
            "members": [
                {"name": "a", "address": "198.18.1.11", "port": 5432},
                {"name": "b", "address": "198.18.1.12", "port": 5432},
            ],
            "haproxy": {"host": "127.0.0.1", "port": 5000},
            "monitor_user": "resilience_monitor",
            "pgpass": "/etc/fraiseql-resilience/gateway.pgpass",
            "ca": "/etc/fraiseql-resilience/tls/ca.crt",
        }
    )


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"standby": False, "address": "198.18.1.12"}, "b"),
        ({"standby": False, "address": "198.18.9.9"}, "198.18.9.9"),
        ({"standby": True, "address": "198.18.1.12"}, None),
        (program.LineFailed("refused"), None),
    ],
)
def test_writable_is_a_name_or_nothing(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, t.Any] | Exception, name: str | None
) -> None:
    assert cluster_on(monkeypatch, row).writable() == name
