# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module patroni: what each state asks Patroni for, and that check mode asks for nothing."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import patroni as collect
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import patroni

LED = {"members": [{"name": "pg-a1", "role": "leader", "state": "running"}]}


class Rest:
    """Patroni's API: what was changed, and how often nobody led yet."""

    def __init__(self, config: dict[str, t.Any], leaderless: int = 0, silent: int = 0) -> None:
        self.config, self.leaderless, self.silent = config, leaderless, silent
        self.changes: list[tuple[str, str, t.Any]] = []

    def __call__(
        self, _place: t.Any, path: str, _tls: t.Any, *, method: str, body: t.Any, timeout: float
    ) -> tuple[int, t.Any]:
        if self.silent:
            self.silent -= 1
            raise OSError("connection refused")
        if method != "GET":
            self.changes.append((method, path, body))
            return 200, "done"
        if path == "/config":
            return 200, self.config
        self.leaderless -= 1
        return 200, LED if self.leaderless < 0 else {"members": []}


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    monkeypatch.setattr(patroni, "INTERVAL", 0.01)
    descriptor = tmp_path / "member.json"
    tls = {"port": 8009, "ca": "ca", "cert": "cert", "key": "key"}
    member = {"name": "pg-a1", "address": "pg-a1", "cluster": "orders", "os_user": "postgres", "patroni": tls}
    descriptor.write_text(json.dumps(member), encoding="utf-8")
    return {"token": "T", "candidate": "pg-a2", "deadline": 60.0, "timeout": 60.0, "descriptor": str(descriptor)}


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Rest]:
    def made(*words: t.Any, **more: t.Any) -> Rest:
        one = Rest(*words, **more)
        # Bound when the class is used, not when it was defined.
        monkeypatch.setattr(collect.Api.__init__, "__defaults__", (one,))
        return one

    return made


@pytest.mark.parametrize(("leaderless", "silent"), [(0, 0), (3, 0), (0, 3)])
def test_what_differs_is_brought_there_once_somebody_leads(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], leaderless: int, silent: int
) -> None:
    api = rest({"ttl": 30, "loop_wait": 5}, leaderless=leaderless, silent=silent)
    wanted = {**given, "state": "configured", "config": {"ttl": 20, "loop_wait": 5}}
    assert patroni.act(wanted, False) == {"changed": True, "differences": {"ttl": 20}}
    assert api.changes == [("PATCH", "/config", {"ttl": 20})]


def test_what_is_there_already_is_not_asked_for_again(given: dict[str, t.Any], rest: t.Callable[..., Rest]) -> None:
    api = rest({"ttl": 20, "pause": True})
    assert patroni.act({**given, "state": "configured", "config": {"ttl": 20}}, False)["changed"] is False
    assert api.changes == []


def test_a_configuration_waits_no_longer_than_it_may(given: dict[str, t.Any], rest: t.Callable[..., Rest]) -> None:
    rest({"ttl": 20}, leaderless=10**9)
    with pytest.raises(UnknownError, match="has a leader"):
        patroni.act({**given, "state": "configured", "config": {}, "timeout": 0.2}, False)


@pytest.mark.parametrize(
    ("state", "change"),
    [
        ("reinitialized", ("POST", "/reinitialize", {"force": True})),
        ("restarted", ("POST", "/restart", {})),
    ],
)
def test_patroni_is_asked_each_time(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], state: str, change: t.Any
) -> None:
    api = rest({})
    assert patroni.act({**given, "state": state}, False) == {"changed": True}
    assert api.changes == [change]


def test_the_program_is_told_the_candidate(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest({})
    asked = []

    def arm(*words: t.Any, run: t.Any) -> dict[str, t.Any]:
        asked.append(words)
        return {"events": [{"name": "armed"}]}

    monkeypatch.setattr(armed, "arm", arm)
    assert patroni.act({**given, "state": "armed"}, False) == {"changed": True, "events": [{"name": "armed"}]}
    assert asked == [(armed.SWITCHOVER, "T", 60.0, "postgres", ["--candidate=pg-a2"])]


def test_waiting_changes_nothing(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest({})
    monkeypatch.setattr(armed, "await_end", lambda *words: {"state": words[2], "events": []})
    assert patroni.act({**given, "state": "switched"}, False) == {"changed": False, "events": []}


def test_the_clusters_own_name_is_forgotten(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest({})
    forgotten: list[t.Any] = []
    monkeypatch.setattr(collect, "forget", lambda *words, run: forgotten.append(words))
    assert patroni.act({**given, "state": "forgotten"}, False) == {"changed": True}
    assert forgotten == [("orders", given["timeout"])]


def test_the_clusters_own_name_is_paused(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest({})
    paused: list[t.Any] = []
    monkeypatch.setattr(collect, "pause", lambda *words, run: paused.append(words))
    assert patroni.act({**given, "state": "paused"}, False) == {"changed": True}
    assert paused == [("orders", 60.0)]


@pytest.mark.parametrize(
    "state", ["configured", "armed", "switched", "paused", "reinitialized", "restarted", "forgotten"]
)
def test_check_mode_changes_nothing(
    given: dict[str, t.Any], rest: t.Callable[..., Rest], monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    api = rest({"ttl": 30})
    monkeypatch.setattr(armed, "arm", pytest.fail)
    monkeypatch.setattr(armed, "await_end", pytest.fail)
    monkeypatch.setattr(collect, "forget", pytest.fail)
    monkeypatch.setattr(collect, "pause", pytest.fail)
    said = patroni.act({**given, "state": state, "config": {"ttl": 20}}, True)
    assert said["changed"] is (state != "switched")
    assert api.changes == []


def test_a_member_that_is_in_nobodys_hands_is_refused(given: dict[str, t.Any]) -> None:
    descriptor = Path(given["descriptor"])
    descriptor.write_text(json.dumps({"name": "pg-a1", "patroni": None}), encoding="utf-8")
    with pytest.raises(InputError, match="not in charge"):
        patroni.act({**given, "state": "restarted"}, False)
