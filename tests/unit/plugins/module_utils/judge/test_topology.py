# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that can be wrong with a cluster is put into a healthy one, and has to be found, alone."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import topology
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

SETTINGS = {"max_connections": "200", "max_wal_senders": "16"}


def sender(name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, "state": "streaming", "sync_state": "quorum", **more}


PRIMARY = Member(
    name="pg-a1",
    region="a",
    standing=Standing.PRIMARY,
    system_id="77",
    timeline=3,
    written_lsn="0/5000148",
    synchronous_standby_names='ANY 1 ("pg-a2")',
    settings=SETTINGS,
    senders=[sender("pg-a2"), sender("pg-b1", sync_state="async")],
    slots=[{"name": "pg_a2", "active": True, "wal_status": "reserved"}],
    archiver={"failing": False, "last_failed": None, "command": "/usr/bin/pgbackrest --stanza=orders archive-push %p"},
)
STANDBY = Member(
    name="pg-a2",
    region="a",
    standing=Standing.STANDBY,
    system_id="77",
    timeline=3,
    written_lsn="0/5000100",
    replay_paused=False,
    receiving_from="pg-a1",
    settings=SETTINGS,
)
REMOTE = STANDBY._replace(name="pg-b1", region="b")
HEALTHY = [PRIMARY, STANDBY, REMOTE]


def codes(members: t.Sequence[Member]) -> list[str]:
    return [hazard.code for hazard in topology.hazards(members)]


def test_a_healthy_cluster_has_no_hazard() -> None:
    assert codes(HEALTHY) == []
    assert topology.verdict(HEALTHY) is Verdict.PASSED


FAULTS: dict[str, tuple[Member, Member]] = {
    "system_id_mismatch": (PRIMARY, STANDBY._replace(system_id="78")),
    "standby_not_streaming": (PRIMARY, STANDBY._replace(receiving_from=None)),
    "timeline_mismatch": (PRIMARY, STANDBY._replace(timeline=2)),
    "replay_paused": (PRIMARY, STANDBY._replace(replay_paused=True)),
    "setting_below_primary": (PRIMARY, STANDBY._replace(settings={**SETTINGS, "max_connections": "100"})),
    "duplicate_name": (PRIMARY._replace(senders=[*PRIMARY.senders, sender("pg-a2")]), STANDBY),
    "no_synchronous_standby": (PRIMARY._replace(senders=[sender("pg-a2", sync_state="async")]), STANDBY),
    "slot_lost": (PRIMARY._replace(slots=[{"name": "pg_a2", "active": False, "wal_status": "lost"}]), STANDBY),
    "archiver_failing": (PRIMARY._replace(archiver={"failing": True, "last_failed": "0" * 24}), STANDBY),
    "archive_command_foreign": (PRIMARY._replace(archiver={"failing": False, "command": "false"}), STANDBY),
    "member_starting": (PRIMARY, STANDBY._replace(standing=Standing.STARTING)),
    "member_refused": (PRIMARY, STANDBY._replace(standing=Standing.REFUSED)),
}


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_a_fault_is_found_alone_and_fails(code: str) -> None:
    primary, standby = FAULTS[code]
    assert codes([primary, standby, REMOTE]) == [code]
    assert topology.verdict([primary, standby, REMOTE]) is Verdict.FAILED
    assert topology.verdict([primary, standby, REMOTE], tolerated=[code]) is Verdict.PASSED
    assert topology.verdict([primary, standby, REMOTE], tolerated=["no_primary"]) is Verdict.FAILED


def test_a_receiver_that_receives_nothing_is_a_hazard() -> None:
    receivers = {"repo_a_receiver": "repo-a-receiver"}
    slot = {"name": "repo_a_receiver", "active": True, "wal_status": "reserved"}
    there, away = [{**PRIMARY._asdict(), "slots": [*PRIMARY.slots, {**slot, "active": on}]} for on in (True, False)]
    assert topology.verdict([Member(**there), STANDBY, REMOTE], receivers=receivers) is Verdict.PASSED
    for gone in (Member(**away), PRIMARY):
        [hazard] = topology.hazards([gone, STANDBY, REMOTE], receivers)
        assert (hazard.code, hazard.detail) == ("receiver_away", "repo-a-receiver receives nothing from pg-a1")


def test_two_primaries_have_no_primary_among_them() -> None:
    members = [PRIMARY, STANDBY._replace(standing=Standing.PRIMARY), REMOTE]
    assert codes(members) == ["two_primaries"]
    assert topology.sole_primary(members) is None
    assert "pg-a1 and pg-a2" in topology.hazards(members)[0].detail


def test_a_standby_that_was_not_seen_is_unknown() -> None:
    members = [PRIMARY, STANDBY._replace(standing=Standing.UNSEEN), REMOTE]
    assert codes(members) == ["member_unseen"]
    assert topology.verdict(members) is Verdict.UNKNOWN


def test_no_primary_fails_where_everybody_was_seen_and_is_unknown_otherwise() -> None:
    assert codes([STANDBY, REMOTE]) == ["no_primary"]
    assert topology.verdict([STANDBY, REMOTE]) is Verdict.FAILED
    hidden = [PRIMARY._replace(standing=Standing.UNSEEN), STANDBY, REMOTE]
    assert sorted(codes(hidden)) == ["member_unseen", "no_primary"]
    assert topology.verdict(hidden) is Verdict.UNKNOWN


def test_failures_stand_before_what_is_unknown() -> None:
    members = [PRIMARY, STANDBY._replace(standing=Standing.UNSEEN), REMOTE._replace(receiving_from=None)]
    assert codes(members) == ["standby_not_streaming", "member_unseen"]


def test_a_synchronous_standby_that_only_catches_up_does_not_count() -> None:
    primary = PRIMARY._replace(senders=[sender("pg-a2", state="catchup")])
    assert codes([primary, STANDBY, REMOTE]) == ["no_synchronous_standby"]


def test_nobody_is_missed_where_commits_wait_for_nobody() -> None:
    assert codes([PRIMARY._replace(synchronous_standby_names="", senders=[]), STANDBY, REMOTE]) == []


def test_a_base_backup_is_no_duplicate() -> None:
    backup = [sender("pg_basebackup", state="backup"), sender("pg_basebackup")]
    assert codes([PRIMARY._replace(senders=[*PRIMARY.senders, *backup]), STANDBY, REMOTE]) == []


def test_a_higher_setting_on_a_standby_is_fine() -> None:
    assert codes([PRIMARY, STANDBY._replace(settings={**SETTINGS, "max_connections": "300"}), REMOTE]) == []


@pytest.mark.parametrize(
    ("standby", "primary", "lag"),
    [("0/5000100", "0/5000148", 0x48), ("0/FFFFFFFF", "1/0", 1), ("1/8", "1/0", 0), (None, "1/0", None)],
)
def test_lag_is_what_the_standby_has_not_received(standby: str | None, primary: str, lag: int | None) -> None:
    found = topology.lag_bytes(STANDBY._replace(written_lsn=standby), PRIMARY._replace(written_lsn=primary))
    assert found == lag
