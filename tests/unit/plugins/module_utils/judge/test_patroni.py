# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Patroni can do what it is there for, and whom it would let take over."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import patroni
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.patroni import Engine

NAMES = ["pg-a1", "pg-a2", "pg-b1"]


def member(role: str, **tags: bool) -> dict[str, t.Any]:
    return {"role": role, "state": "running" if role == "leader" else "streaming", "tags": tags}


HEALTHY = Engine(
    seen=True,
    version="4.0.7",
    synchronous=True,
    members={
        "pg-a1": member("leader"),
        "pg-a2": member("sync_standby"),
        "pg-b1": member("replica", nofailover=True, nosync=True),
    },
)


def without(*names: str) -> Engine:
    return replace(HEALTHY, members={name: one for name, one in HEALTHY.members.items() if name not in names})


def test_a_healthy_one_has_no_hazard_and_names_its_leader() -> None:
    assert patroni.hazards(HEALTHY, "pg-a1", NAMES) == []
    assert HEALTHY.as_dict()["leader"] == "pg-a1"


def test_where_it_is_not_in_charge_there_is_nothing_to_say() -> None:
    assert patroni.hazards(None, None, NAMES) == []
    assert patroni.ineligible(None, NAMES) == {}


@pytest.mark.parametrize(
    ("engine", "primary", "code", "verdict"),
    [
        (Engine(seen=False), "pg-a1", "patroni_unseen", "unknown"),
        (replace(HEALTHY, paused=True), "pg-a1", "patroni_paused", "failed"),
        (HEALTHY, "pg-a2", "patroni_leader_differs", "failed"),
        (without("pg-a1"), None, "patroni_no_leader", "failed"),
        (without("pg-b1"), "pg-a1", "patroni_member_missing", "failed"),
        (without("pg-a2"), "pg-a1", "patroni_unconfirmed", "failed"),
    ],
)
def test_each_hazard_is_found(engine: Engine, primary: str | None, code: str, verdict: str) -> None:
    found = {hazard.code: hazard.verdict.value for hazard in patroni.hazards(engine, primary, NAMES)}
    assert found[code] == verdict


def test_without_synchronous_mode_nobody_has_to_confirm() -> None:
    engine = replace(without("pg-a2"), synchronous=False)
    assert [hazard.code for hazard in patroni.hazards(engine, "pg-a1", ["pg-a1", "pg-b1"])] == []


def test_only_whom_patroni_would_accept_is_eligible() -> None:
    found = patroni.ineligible(HEALTHY.as_dict(), ["pg-a2", "pg-b1", "pg-b2"])
    assert set(found) == {"pg-b1", "pg-b2"}
    assert "nofailover" in found["pg-b1"] and "does not know" in found["pg-b2"]


def test_a_replica_that_confirms_nothing_is_not_eligible_unless_nobody_has_to() -> None:
    members = {"pg-a1": member("leader"), "pg-a2": member("replica")}
    engine = replace(HEALTHY, members=members)
    assert "synchronous" in patroni.ineligible(engine.as_dict(), ["pg-a2"])["pg-a2"]
    assert patroni.ineligible(replace(engine, synchronous=False).as_dict(), ["pg-a2"]) == {}
