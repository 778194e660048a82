# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module promotion: what each state asks for, and that check mode asks for nothing."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.modules import promotion

UNIT = armed.PROMOTION


@pytest.fixture
def given(tmp_path: Path) -> dict[str, t.Any]:
    descriptor = tmp_path / "member.json"
    descriptor.write_text(json.dumps({"name": "pg-a1", "os_user": "postgres"}))
    return {
        "token": "T",
        "deadline": 60.0,
        "timeout": 5.0,
        "require_lsn": None,
        "received_wal": None,
        "descriptor": str(descriptor),
    }


def test_arming_is_a_change_with_its_events(given: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def arm(unit: armed.Armed, *rest: t.Any, run: t.Any) -> dict[str, t.Any]:
        asked.append((unit, *rest))
        return {"events": [{"name": "armed"}]}

    monkeypatch.setattr(armed, "arm", arm)
    assert promotion.act({**given, "state": "armed"}, False) == {"changed": True, "events": [{"name": "armed"}]}
    assert asked == [(UNIT, "T", 60.0, "postgres")]


def test_waiting_changes_nothing_and_tells_how_it_ended(
    given: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"events": [], "timeline": 4, "promote_lsn": "0/5000148"}
    asked = []

    def await_end(*rest: t.Any) -> dict[str, t.Any]:
        asked.append(rest)
        return {**said, "state": "promoted", "token": "T"}

    monkeypatch.setattr(armed, "await_end", await_end)
    assert promotion.act({**given, "state": "awaited"}, False) == {"changed": False, **said}
    assert asked == [(UNIT, "T", "promoted", 5.0)]


@pytest.mark.parametrize(("state", "changed"), [("armed", True), ("awaited", False)])
def test_check_mode_arms_nothing_and_waits_for_nothing(
    given: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, state: str, changed: bool
) -> None:
    monkeypatch.setattr(armed, "arm", pytest.fail)
    monkeypatch.setattr(armed, "await_end", pytest.fail)
    assert promotion.act({**given, "state": state}, True) == {"changed": changed, "events": []}


@pytest.mark.parametrize("active", [True, False])
def test_disarming_changes_only_what_is_armed(
    given: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, active: bool
) -> None:
    monkeypatch.setattr(armed, "is_active", lambda _unit, run: active)
    with monkeypatch.context() as check:
        check.setattr(armed, "disarm", pytest.fail)
        assert promotion.act({**given, "state": "disarmed"}, True) == {"changed": active}
    monkeypatch.setattr(armed, "disarm", lambda _unit, run: active)
    assert promotion.act({**given, "state": "disarmed"}, False) == {"changed": active}


def test_a_host_that_is_no_member_does_nothing(given: dict[str, t.Any]) -> None:
    with pytest.raises(InputError, match="no member"):
        promotion.act({**given, "state": "promoted", "descriptor": "/nowhere/member.json"}, False)


def test_wal_of_a_receiver_is_laid_down_before_it_is_promoted(
    given: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[t.Any] = []
    pieces = [{"segment": "000000030000000000000002", "offset": 0, "size": 8, "data": ""}]
    monkeypatch.setattr(promotion.received_wal, "deliver", lambda _member, laid, check_mode: done.append(laid))
    monkeypatch.setattr(promotion.promotion, "promote", lambda *_given, **_more: done.append("promoted") or {})
    packed = promotion.received_wal.packed(pieces)
    promotion.act({**given, "state": "promoted", "received_wal": packed}, False)
    assert done == [pieces, "promoted"]
