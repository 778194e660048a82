# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action candidate: a plan in one sentence, or a failure that says what next."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.action.candidate import ActionModule


def member(name: str, standing: str, **more: t.Any) -> dict[str, t.Any]:
    facts = {"timeline": 3, "system_id": "77", "written_lsn": "0/5000148", "replay_paused": False, "ssh_answers": True}
    return {
        "name": name,
        "region": name[3],
        "standing": standing,
        "reason": "",
        "receiving_from": "pg-a1" if standing == "standby" else None,
        **facts,
        **more,
    }


A1, A2, B1 = member("pg-a1", "primary"), member("pg-a2", "standby"), member("pg-b1", "standby")


def decide(monkeypatch: pytest.MonkeyPatch, operation: str, *members: dict[str, t.Any]) -> dict[str, t.Any]:
    primaries = [one["name"] for one in members if one["standing"] == "primary"]
    cluster = {"members": list(members), "primary": primaries[0] if len(primaries) == 1 else None}
    given = {"operation": operation, "cluster": cluster, "wanted": None, "region": None, "lost": None}
    monkeypatch.setattr(ActionModule, "validate_argument_spec", lambda _self, _spec: (None, given))
    task = types.SimpleNamespace(async_val=0, check_mode=False)
    nothing: t.Any = None
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_given: {})
    action = ActionModule(t.cast("t.Any", task), nothing, nothing, nothing, nothing, nothing)
    return action.run(None, {})


def test_a_switchover_is_planned_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    result = decide(monkeypatch, "switchover", A1, A2, B1)
    assert result["msg"] == (
        "pg-a2 takes over from pg-a1 (not pg-b1: it stands in region b); "
        "it is 0 bytes of WAL behind, and receives them before it takes over"
    )
    assert result["changed"] is False
    assert result["candidate_lsn"] == "0/5000148"


def test_a_failover_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = member("pg-a1", "unseen", ssh_answers=False, system_id=None)
    result = decide(monkeypatch, "failover", lost, A2)
    assert result["msg"] == (
        "pg-a2 takes over from pg-a1; it holds WAL up to 0/5000148 on timeline 3, and no other member holds more"
    )
    assert result["lost"] == [{"name": "pg-a1", "standing": "unseen", "ssh_answers": False}]


def test_a_refusal_fails_and_says_what_next(monkeypatch: pytest.MonkeyPatch) -> None:
    result = decide(monkeypatch, "failover", A1, A2, B1)
    assert (result["failed"], result["error"], result["changed"]) == (True, "RefusedError", False)
    assert "switchover" in result["next_step"]
