# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members together: one history, streamed to everyone, acknowledged where the protection level says."""

from __future__ import annotations

import typing as t
import uuid

from lab_hosts import Lab

#: Bytes of WAL that a slot may be behind on a standby, where Patroni moves it every few seconds.
MOVED_BYTES = 32 * 2**20


def test_one_primary(lab: Lab) -> None:
    assert len(lab.primaries()) == 1


def test_one_history(lab: Lab) -> None:
    systems = {lab.value(name, "SELECT system_identifier FROM pg_control_system()") for name in lab.members}
    assert len(systems) == 1
    timelines = {name: lab.value(name, timeline_statement(lab, name)) for name in lab.members}
    assert len(set(timelines.values())) == 1, timelines


def timeline_statement(lab: Lab, name: str) -> str:
    if name == lab.primary:
        return "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
    return "SELECT received_tli FROM pg_stat_wal_receiver"


def streams(lab: Lab) -> dict[str, dict[str, str]]:
    """What the primary sends to whom, by application name."""
    rows = lab.sql(
        lab.primary,
        "SELECT application_name, state, sync_state, ssl::text FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)",
    )
    assert len({row[0] for row in rows}) == len(rows), f"names are not unique: {rows}"
    return {name: {"state": state, "sync": sync, "ssl": ssl} for name, state, sync, ssl in rows}


def test_everyone_streams_over_tls(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    expected = {*lab.standbys, *(f"{name}-receiver" for name in lab.group("repositories"))}
    found = wait(lambda: (seen := streams(lab)).keys() >= expected and seen, seconds=30) or streams(lab)
    assert set(found) == expected
    assert {name: (row["state"], row["ssl"]) for name, row in found.items()} == dict.fromkeys(
        expected, ("streaming", "true")
    )


def test_acknowledgement_comes_from_the_primarys_own_region(lab: Lab) -> None:
    """Patroni has one member confirm, and the receiver never does."""
    region, patroni = lab.variable(lab.primary, "resilience_region"), lab.engine == "patroni"
    for name, row in streams(lab).items():
        near = lab.variable(name.removesuffix("-receiver"), "resilience_region") == region
        confirms = near and not (patroni and name.endswith("-receiver"))
        assert row["sync"] == (("sync" if patroni else "quorum") if confirms else "async"), (name, row)


def test_slots_are_used_and_bounded(lab: Lab) -> None:
    rows = lab.sql(lab.primary, "SELECT slot_name, active::text, wal_status FROM pg_replication_slots")
    assert {row[1] for row in rows} == {"true"}, rows
    assert {row[2] for row in rows} <= {"reserved", "extended"}, rows
    for name in lab.members:
        bound = lab.value(name, "SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'")
        assert int(bound) > 0, f"{name}: a slot nobody reads would fill the disk"


def test_standbys_hold_no_leftover_slots(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    """Patroni has each slot on a member that may take over, too, and moves it there."""
    behind = MOVED_BYTES if lab.engine == "patroni" else 0
    idle = (
        "SELECT slot_name, restart_lsn FROM pg_replication_slots WHERE restart_lsn IS NOT NULL AND NOT active"
        f" AND pg_wal_lsn_diff(pg_last_wal_replay_lsn(), restart_lsn) >= {behind}"
    )
    for name in lab.standbys:
        left = wait(lambda name=name: lab.sql(name, idle) == [], seconds=30) or lab.sql(name, idle)
        assert left is True, f"{name} keeps WAL for nobody: {left}"


def test_a_committed_row_is_soon_everywhere(
    lab: Lab, application: dict[str, t.Any], wait: t.Callable[..., t.Any]
) -> None:
    run = str(uuid.uuid4())
    written = lab.client(
        f"INSERT INTO resilience.probe (run, client, seq) VALUES ('{run}', 0, 1) RETURNING seq", **application
    )
    assert written.rows == [["1"]], written.error
    for name in lab.members:
        look = f"SELECT count(*) FROM resilience.probe WHERE run = '{run}'"
        assert wait(lambda name=name, look=look: lab.value(name, look, "resilience") == "1", seconds=10), name


def test_standbys_take_no_writes(lab: Lab, monitor: dict[str, t.Any]) -> None:
    for name in lab.standbys:
        answer = lab.client("CREATE TEMPORARY TABLE t ()", host=name, **monitor)
        assert "read-only transaction" in answer.error, name


def test_every_standby_knows_whom_it_may_have_to_follow(lab: Lab) -> None:
    """It follows a new primary by itself: wherever that is, the standby tries it, or Patroni tells it."""
    known = [lab.primary] if lab.engine == "patroni" else lab.members
    for name in lab.standbys:
        words = lab.value(name, "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'")
        assert all(member in words for member in known), words
        assert "sslmode=verify-full" in words.replace("'", ""), words
        assert "password=" not in words
