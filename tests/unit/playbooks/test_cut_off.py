# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the order of a playbook's tasks, and their conditions, leave to a run after one that was killed."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
RECEIVED = "fraiseql.resilience.received_wal"


def plays(name: str) -> list[dict[str, t.Any]]:
    loaded: list[dict[str, t.Any]] = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
    return loaded


def tasks(name: str) -> list[dict[str, t.Any]]:
    return [task for play in plays(name) for task in play["tasks"]]


def test_the_receiver_forgets_its_wal_only_once_a_member_has_it() -> None:
    states = [task[RECEIVED]["state"] for task in tasks("restore") if RECEIVED in task]
    assert states == ["delivered", "set_aside"]


def test_what_a_member_had_to_reach_is_demanded_whether_the_receiver_still_has_it_or_not() -> None:
    [delivered] = [task for task in tasks("restore") if task.get(RECEIVED, {}).get("state") == "delivered"]
    assert "received" not in delivered["when"]
    assert "received.require_lsn" in delivered[RECEIVED]["require_lsn"]
    [end] = [task["fraiseql.resilience.recovery_end"] for task in tasks("restore")
             if "fraiseql.resilience.recovery_end" in task]  # fmt: skip
    assert "delivered.require_lsn" in end["target_lsn"]
