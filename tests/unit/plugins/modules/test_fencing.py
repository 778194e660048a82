# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module fencing: which way of fencing is taken."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import fencing

GIVEN: dict[str, t.Any] = {
    "member": "pg-a1",
    "state": "fenced",
    "method": "agent",
    "agent": "fence_test",
    "options": {"plug": 3},
    "timeout": 5.0,
    "descriptor": "/nowhere/member.json",
}


def test_an_agent_needs_no_descriptor_and_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def by_agent(agent: t.Any, member: str, timeout: float, *, check_mode: bool, run: t.Any) -> tuple[bool, str]:
        asked.append((agent.path, agent.options, member, timeout, check_mode))
        return True, "it is off"

    monkeypatch.setattr(fencing.fencing, "by_agent", by_agent)
    assert fencing.act(GIVEN, False) == {"changed": True, "verdict": "passed", "proof": "it is off"}
    assert asked == [("fence_test", {"plug": "3"}, "pg-a1", 5.0, False)]


@pytest.mark.parametrize("method", ["agent", "quorum"])
def test_taking_a_fence_away_never_switches_a_host_off(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(fencing.fencing, "by_agent", pytest.fail)
    with pytest.raises(InputError, match="only asked to switch off"):
        fencing.act({**GIVEN, "state": "unfenced", "method": method}, False)


QUORUM = {
    **GIVEN,
    "method": "quorum",
    "synchronous_standby_names": 'ANY 1 ("pg-a2", "repo-a-receiver")',
    "candidate": "pg-a2",
}


def test_a_quorum_that_nobody_is_left_for_is_proof_and_changes_nothing() -> None:
    answer = fencing.act({**QUORUM, "detached": ["repo-a-receiver"]}, False)
    assert (answer["changed"], answer["verdict"]) == (False, "passed")
    assert "nobody is left that could confirm" in answer["proof"]


@pytest.mark.parametrize("names", ['ANY 1 ("pg-a2", "repo-a-receiver")', "", "*"])
def test_without_that_proof_it_fails_and_names_who_may_confirm(names: str) -> None:
    with pytest.raises(UnknownError, match="not proven fenced") as error:
        fencing.act({**QUORUM, "synchronous_standby_names": names, "detached": []}, False)
    assert error.value.changed is False
    assert error.value.next_step


@pytest.mark.parametrize("state", ["fenced", "unfenced"])
def test_a_host_fences_only_the_member_that_it_is(tmp_path: Path, state: str) -> None:
    given = {**GIVEN, "method": "host", "state": state, "descriptor": str(tmp_path / "member.json")}
    with pytest.raises(InputError, match="no member"):
        fencing.act(given, False)
    (tmp_path / "member.json").write_text('{"name": "pg-a2"}')
    with pytest.raises(InputError, match="another member") as error:
        fencing.act(given, False)
    assert (error.value.given, error.value.possible) == ("pg-a1", "pg-a2")
