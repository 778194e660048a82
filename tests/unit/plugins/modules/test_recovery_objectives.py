# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_objectives: what it is given reaches the judge, and nonsense is an error."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import probe_account
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_objectives


def ask(**params: t.Any) -> dict[str, t.Any]:
    spec = recovery_objectives.argument_spec()
    given = {key: option.get("default") for key, option in spec.items()}
    return recovery_objectives.act({**given, "account": probe_account.account([], None), **params})


def test_nothing_seen_is_unknown_and_changes_nothing() -> None:
    answer = ask(objectives={"rto_seconds": 5}, required=["t9"])
    assert (answer["changed"], answer["verdict"], answer["rto_seconds"]) == (False, "unknown", None)
    assert {"rto", "phase_redundancy_back", "rows_compared"} <= {check["name"] for check in answer["checks"]}


def test_a_result_of_another_task_is_no_account() -> None:
    with pytest.raises(InputError, match="not the result of recovery_probe"):
        ask(account={"changed": False})


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"objectives": {"speed": 9}}, "speed is no objective"),
        ({"required": ["t99"]}, "t99 is no phase"),
        ({"marks": {"fenced": {}}}, "has no monotonic_ns"),
        ({"checks": [{"name": "x"}]}, "a check needs"),
    ],
)
def test_nonsense_is_named(params: dict[str, t.Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        ask(**params)
