# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health agent: what it answers for each reading, and how it looks."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/health/files/health_agent.py"


def load_program() -> t.Any:
    spec = importlib.util.spec_from_file_location("health_agent", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["health_agent"] = module
    spec.loader.exec_module(module)
    return module


agent = load_program()

PRIMARY = agent.Reading(
    in_recovery=False,
    timeline=3,
    current_lsn="0/5000000",
    receive_lsn=None,
    replay_lsn=None,
    streaming=False,
    lag_bytes=None,
    system_identifier="7711290069494587645",
    fenced=False,
)
STANDBY = dataclasses.replace(
    PRIMARY,
    in_recovery=True,
    current_lsn=None,
    receive_lsn="0/5000000",
    replay_lsn="0/4000000",
    streaming=True,
    lag_bytes=100,
)
ALONE = dataclasses.replace(STANDBY, streaming=False, lag_bytes=None)


def result(reading: t.Any, began: float = 100.0, error: str | None = None) -> t.Any:
    return agent.Result(began=began, seen_at="2026-11-23T09:00:00.000+00:00", reading=reading, error=error)


def ask(
    latest: t.Any, path: str, *, query: str = "", method: str = "GET", now: float = 100.1
) -> tuple[int, dict[str, t.Any] | None, dict[str, str]]:
    seen: dict[str, t.Any] = {}

    def start(code: str, headers: list[tuple[str, str]]) -> None:
        seen.update(code=int(code.split(maxsplit=1)[0]), headers=dict(headers))

    application = agent.Health(lambda: latest, stale_after=1.0, now=lambda: now)
    payload = b"".join(application({"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}, start))
    return seen["code"], json.loads(payload) if payload else None, seen["headers"]


@pytest.mark.parametrize(
    ("reading", "path", "query", "code", "status"),
    [
        (PRIMARY, "/primary", "", 200, "pass"),
        (PRIMARY, "/readyz", "", 200, "pass"),
        (PRIMARY, "/replica", "", 503, "fail"),
        (STANDBY, "/primary", "", 503, "fail"),
        (STANDBY, "/readyz", "", 200, "pass"),
        (STANDBY, "/replica", "", 200, "pass"),
        (STANDBY, "/replica", "lag=100", 200, "pass"),
        (STANDBY, "/replica", "lag=99", 503, "fail"),
        (ALONE, "/replica", "", 200, "warn"),
        (ALONE, "/readyz", "", 200, "warn"),
        (ALONE, "/replica", "lag=999999999", 503, "fail"),  # an unknown lag is over any limit
        (ALONE, "/primary", "", 503, "fail"),
    ],
)
def test_answers_for_a_fresh_reading(reading: t.Any, path: str, query: str, code: int, status: str) -> None:
    given_code, body, headers = ask(result(reading), path, query=query)
    assert body is not None
    assert (given_code, body["status"]) == (code, status)
    assert headers["Content-Type"] == "application/health+json"
    assert headers["Cache-Control"] == "no-store"
    assert body["checks"]["postgresql:age"][0]["observedValue"] == 0.1
    assert body["reading"]["timeline"] == 3


@pytest.mark.parametrize("path", ["/readyz", "/primary", "/replica"])
@pytest.mark.parametrize(
    ("latest", "reason"),
    [
        (None, "not been looked at yet"),
        (result(PRIMARY, began=99.0), "1.10 s old"),
        (result(STANDBY, began=99.0), "1.10 s old"),
        (result(None, error="the database system is starting up"), "starting up"),
        (result(dataclasses.replace(PRIMARY, fenced=True)), "fenced"),
        (result(dataclasses.replace(STANDBY, fenced=True)), "fenced"),
    ],
)
def test_what_is_not_known_or_fenced_is_never_good(latest: t.Any, reason: str, path: str) -> None:
    code, body, _headers = ask(latest, path)
    assert body is not None
    assert (code, body["status"]) == (503, "fail")
    assert reason in body["output"]


def test_liveness_looks_at_nothing_but_itself() -> None:
    for latest in (None, result(None, error="gone"), result(PRIMARY, began=0.0)):
        assert ask(latest, "/livez")[0] == 200


@pytest.mark.parametrize(("reading", "code"), [(PRIMARY, 200), (STANDBY, 503)])
def test_load_balancers_get_the_code_without_a_body(reading: t.Any, code: int) -> None:
    head_code, head_body, head_headers = ask(result(reading), "/primary", method="HEAD")
    assert (head_code, head_body) == (code, None)
    assert int(head_headers["Content-Length"]) > 0  # as GET would say
    options_code, options_body, options_headers = ask(result(reading), "/primary", method="OPTIONS")
    assert (options_code, options_body, options_headers["Content-Length"]) == (code, None, "0")
    assert options_headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
def test_nothing_else_is_a_method(method: str) -> None:
    code, _body, headers = ask(result(PRIMARY), "/primary", method=method)
    assert (code, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_bad_requests_say_what_is_possible() -> None:
    code, body, _headers = ask(result(PRIMARY), "/nope")
    assert code == 404 and body is not None and "/replica" in body["output"]
    for lag in ("lag=", "lag=-1", "lag=1.5", "lag=16MB", "lag=٣"):
        code, body, _headers = ask(result(STANDBY), "/replica", query=lag)
        assert code == 400 and body is not None and "number of bytes" in body["output"]


def test_the_pace_quickens_in_trouble_and_slackens_when_it_lasts() -> None:
    assert agent.pace(0.1, None) == 0.1
    assert agent.pace(0.1, 0.0) == pytest.approx(0.025)
    assert agent.pace(0.1, agent.QUICK_PERIOD) == pytest.approx(0.25)


def test_a_watcher_keeps_the_last_result_with_the_time_before_it_was_asked_for(capsys: t.Any) -> None:
    looks: list[t.Any] = [PRIMARY, PRIMARY, agent.LookFailed("gone"), STANDBY, ALONE]

    def look() -> t.Any:
        answer = looks.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watcher = agent.Watcher(look, poll=0.1)
    assert watcher.latest is None and not watcher.looked.is_set()
    assert watcher.step() == 0.1
    assert watcher.looked.is_set()
    first = watcher.latest
    assert watcher.step() == 0.1
    assert watcher.latest.began > first.began and watcher.latest.reading is PRIMARY
    assert watcher.step() == pytest.approx(0.025)
    assert (watcher.latest.reading, watcher.latest.error) == (None, "gone")
    assert watcher.step() == 0.1
    assert watcher.step() == pytest.approx(0.025)  # a standby without a sender: a promotion may be near
    assert capsys.readouterr().err.splitlines() == ["primary", "unknown: gone", "standby"]  # changes only


class Lines:
    """Stands for ``Line``: hands out answers in turn; an exception is raised."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers = list(answers)
        self.opened = 0
        self.closed = 0

    def __call__(self, _dsn: str, _deadline: float) -> Lines:
        self.opened += 1
        return self

    def ask(self, _sql: str, _deadline: float) -> tuple[t.Any, ...]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return t.cast("tuple[t.Any, ...]", answer)

    def close(self) -> None:
        self.closed += 1


SYSTEM = ("7711290069494587645",)
ROW = (False, 3, "0/5000000", None, None, False, None)


@pytest.fixture
def member(tmp_path: Path) -> t.Any:
    descriptor = tmp_path / "member.json"
    descriptor.write_text(json.dumps({"socket_dir": "/var/run/postgresql", "port": 5432}), encoding="utf-8")
    return agent.Member(str(descriptor), str(tmp_path / "fenced"), "postgres", deadline=5.0)


def test_one_connection_lasts(member: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(SYSTEM, ROW, ROW, ROW)
    monkeypatch.setattr(agent, "Line", lines)
    assert [member.look() for _look in range(3)] == [PRIMARY] * 3
    assert lines.opened == 1


def test_a_session_that_somebody_ended_is_made_again_before_it_counts(
    member: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines(SYSTEM, ROW, agent.LookFailed("terminated by an administrator"), SYSTEM, ROW)
    monkeypatch.setattr(agent, "Line", lines)
    member.look()
    assert member.look() == PRIMARY
    assert (lines.opened, lines.closed) == (2, 1)


def test_a_server_that_is_gone_fails_at_once_and_is_called_again_next_time(
    member: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines(SYSTEM, ROW, agent.LookFailed("lost"), agent.LookFailed("still gone"), SYSTEM, ROW)
    monkeypatch.setattr(agent, "Line", lines)
    member.look()
    with pytest.raises(agent.LookFailed, match="still gone"):
        member.look()
    assert member.look() == PRIMARY
    assert lines.opened == 3


def test_a_hung_server_costs_one_deadline_only(member: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(SYSTEM, ROW, agent.LookFailed("no answer"), AssertionError("asked beyond the deadline"))
    monkeypatch.setattr(agent, "Line", lines)
    member.look()
    times = iter([0.0, 5.0])
    monkeypatch.setattr(agent, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with pytest.raises(agent.LookFailed, match="no answer"):
        member.look()


def test_the_marker_fences(member: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(agent, "Line", Lines(SYSTEM, ROW, ROW))
    assert not member.look().fenced
    (tmp_path / "fenced").touch()
    assert member.look().fenced

    (tmp_path / "fenced").unlink()
    (tmp_path / "fenced").symlink_to(tmp_path / "fenced")  # a loop: there is something, but it cannot be looked at
    with pytest.raises(agent.LookFailed, match="cannot see whether"):
        member.look()


@pytest.mark.parametrize("content", [None, "", "{}", '{"socket_dir": "/s", "port": "x"}', "[]"])
def test_a_missing_or_broken_descriptor_is_a_failed_look_not_a_crash(tmp_path: Path, content: str | None) -> None:
    descriptor = tmp_path / "member.json"
    if content is not None:
        descriptor.write_text(content, encoding="utf-8")
    member = agent.Member(str(descriptor), str(tmp_path / "fenced"), "postgres", deadline=1.0)
    with pytest.raises(agent.LookFailed, match="does not describe a member"):
        member.look()


def test_a_socket_from_systemd_is_taken_only_if_meant_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def inherit(*, fileno: int) -> None:
        taken.append(fileno)

    monkeypatch.setattr(agent, "socket", SimpleNamespace(socket=inherit, create_server=lambda address: address))
    agent.listening_socket(8008, {"LISTEN_PID": str(agent.os.getpid()), "LISTEN_FDS": "1"})
    assert taken == [3]
    assert agent.listening_socket(8008, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == ("127.0.0.1", 8008)
    assert agent.listening_socket(8008, {}) == ("127.0.0.1", 8008)
