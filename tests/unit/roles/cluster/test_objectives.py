# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objectives that nothing can be judged by are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

TASKS = Path(__file__).parents[4] / "roles/cluster/tasks/judged.yml"
DEFAULTS = TASKS.parents[1] / "defaults/main.yml"


def holds(**changed: object) -> bool:
    tasks = yaml.safe_load(TASKS.read_text(encoding="utf-8"))
    (task,) = [one for one in tasks if one["name"].startswith("judged | The objectives are numbers")]
    given = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["resilience_objectives"] | changed
    conditions = task["ansible.builtin.assert"]["that"]
    jinja = NativeEnvironment()
    return all(jinja.compile_expression(one)(resilience_objectives=given) for one in conditions)


def test_the_defaults_and_no_loss_at_all_are_allowed() -> None:
    assert holds()
    assert holds(rpo_seconds=0)


@pytest.mark.parametrize(
    "changed",
    [
        {"retention_days": 0}, {"retention_days": "a month"}, {"rto_seconds": 0}, {"rpo_seconds": -1},
        {"rpo_seconds": "none"}, {"availability_percent": 101}, {"availability_window_days": 0},
    ],
)  # fmt: skip
def test_what_nothing_can_be_judged_by_is_refused(changed: dict[str, object]) -> None:
    assert not holds(**changed)
