# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module fencing: which way of fencing is taken."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
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


def test_taking_a_fence_away_never_switches_a_host_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing.fencing, "by_agent", pytest.fail)
    with pytest.raises(InputError, match="only asked to switch off"):
        fencing.act({**GIVEN, "state": "unfenced"}, False)


@pytest.mark.parametrize("state", ["fenced", "unfenced"])
def test_a_host_fences_only_the_member_that_it_is(tmp_path: Path, state: str) -> None:
    given = {**GIVEN, "method": "host", "state": state, "descriptor": str(tmp_path / "member.json")}
    with pytest.raises(InputError, match="no member"):
        fencing.act(given, False)
    (tmp_path / "member.json").write_text('{"name": "pg-a2"}')
    with pytest.raises(InputError, match="another member") as error:
        fencing.act(given, False)
    assert (error.value.given, error.value.possible) == ("pg-a1", "pg-a2")
