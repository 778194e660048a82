# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cluster_info: what it returns is what playbooks and the judge of candidates read."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import candidate
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.patroni import Engine
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing
from ansible_collections.fraiseql.resilience.plugins.modules import cluster_info

PRIMARY = Member("pg-a1", "a", Standing.PRIMARY, timeline=3, system_id="77", written_lsn="0/5000148")
STANDBY = PRIMARY._replace(
    name="pg-a2", standing=Standing.STANDBY, written_lsn="0/5000100", replay_paused=False, receiving_from="pg-a1"
)


ENGINE = Engine(
    seen=True,
    members={
        "pg-a1": {"role": "leader", "state": "running", "tags": {}},
        "pg-a2": {"role": "replica", "state": "streaming", "tags": {"nofailover": True}},
    },
)


def seen(members: list[Member], engine: Engine | None = None, tolerated: t.Sequence[str] = ()) -> dict[str, t.Any]:
    return cluster_info.as_result({"cluster": "orders"}, members, engine, tolerated)


def test_the_result_names_the_primary_and_each_lag() -> None:
    result = seen([PRIMARY, STANDBY])
    assert (result["cluster"], result["primary"], result["timeline"]) == ("orders", "pg-a1", 3)
    assert (result["verdict"], result["hazards"]) == ("passed", [])
    assert [(one["standing"], one["lag_bytes"]) for one in result["members"]] == [("primary", 0), ("standby", 0x48)]


def test_without_a_primary_there_is_no_lag() -> None:
    result = seen([STANDBY])
    assert (result["primary"], result["timeline"], result["verdict"]) == (None, None, "failed")
    assert result["members"][0]["lag_bytes"] is None
    assert result["hazards"][0]["code"] == "no_primary"


def test_a_candidate_is_chosen_from_the_result_as_it_is() -> None:
    result = seen([PRIMARY, STANDBY])
    assert candidate.switchover(result).candidate == "pg-a2"


def test_who_fails_over_is_said_and_what_patroni_lacks_counts() -> None:
    assert (seen([PRIMARY, STANDBY])["engine"], seen([PRIMARY, STANDBY])["patroni"]) == ("manual", None)
    result = seen([PRIMARY, STANDBY], ENGINE)
    assert (result["engine"], result["patroni"]["leader"], result["verdict"]) == ("patroni", "pg-a1", "passed")
    paused = replace(ENGINE, paused=True)
    assert seen([PRIMARY, STANDBY], paused)["verdict"] == "failed"
    assert seen([PRIMARY, STANDBY], paused, ["patroni_paused"])["verdict"] == "passed"


def test_whom_patroni_would_refuse_is_no_candidate() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.switchover(seen([PRIMARY, STANDBY], ENGINE))
    assert "nofailover" in error.value.as_result()["msg"]


def test_only_members_can_be_left_out() -> None:
    members = [{"name": "pg-a1"}, {"name": "pg-a2"}]
    assert cluster_info.left_over(members, ["pg-a2"]) == [{"name": "pg-a1"}]
    assert cluster_info.left_over(members, []) == members
    with pytest.raises(InputError) as error:
        cluster_info.left_over(members, ["pg-a9"])
    assert (error.value.given, error.value.possible) == ("pg-a9", "pg-a1, pg-a2")
