# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may get wrong is refused before anything is changed, with what is possible and what to do next.

Every run is a confirmed one, never ``--check``. A disk that is too small is left to the unit tests: a
container's disk is its machine's.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from lab_hosts import Lab

#: The recovery window of a repository, with its LSNs and times.
WINDOW = r"repository 1, timeline \d+: [0-9A-F]+/[0-9A-F]+ \([-0-9: .+]+\) to [0-9A-F]+/[0-9A-F]+ \([-0-9: .+]+\)"
NO_LOSS = {"rto_seconds": 3600, "rpo_seconds": 0, "availability_percent": 99, "availability_window_days": 365}
CONFIGURATION = "/etc/pgbackrest.conf"


@pytest.fixture
def refused(lab: Lab, tmp_path: Path) -> t.Iterator[t.Callable[..., None]]:
    """Runs a playbook that must be refused with these words; afterwards the cluster is what it was."""
    before = lab.standings()

    def run(playbook: str, *words: str, **variables: t.Any) -> None:
        played = lab.play(playbook, tmp_path / "evidence", **variables)
        assert played.rc != 0, played.said
        for word in (*words, r"Next: \S", "Nothing was changed"):
            assert re.search(word, played.said), (word, played.said)

    yield run
    assert lab.untouched(before), (before, lab.standings())
    assert lab.at_work() == []


# What is asked for ---------------------------------------------------------------------------------------------------


def test_an_unknown_scenario(refused: t.Callable[..., None]) -> None:
    refused("drill", 'no scenario named "flood"', "Possible: planned_switchover, .*data_loss", scenario="flood")


def test_an_unknown_cluster(refused: t.Callable[..., None]) -> None:
    refused("switchover", "no cluster named 'orders'", "Possible: lab", cluster="orders", confirm="orders")


@pytest.mark.parametrize(
    ("given", "reason"), [(None, "it was not confirmed"), ("orders", "the confirmation is for 'orders'")]
)
def test_a_confirmation_that_is_none(refused: t.Callable[..., None], given: str | None, reason: str) -> None:
    refused("switchover", reason, "Possible: resilience_confirm=lab", confirm=given)


def test_objectives_that_contradict_each_other(refused: t.Callable[..., None]) -> None:
    contradicting = {"rto_seconds": 3600, "rpo_seconds": 300, "availability_percent": 99.999,
                     "availability_window_days": 365, "retention_days": 30}  # fmt: skip
    refused("site", "99.999 % of 365 days leave .* = 315 s", "allows 3600 s", objectives=contradicting)


# Targets that cannot be restored -------------------------------------------------------------------------------------


def test_a_target_time_outside_the_window(refused: t.Callable[..., None]) -> None:
    later = f"{datetime.now(timezone.utc) + timedelta(days=1):%Y-%m-%d %H:%M:%S}+00"
    outside = re.escape(f"time {later} is outside the recovery window")
    refused("restore", f"{outside} .*{WINDOW}", restore_type="time", restore_target=later)


def test_a_target_past_the_last_archived_record(lab: Lab, refused: t.Callable[..., None]) -> None:
    past = lab.value(lab.primary, "SELECT pg_current_wal_lsn() + 1073741824::numeric")
    refused("restore", f"lsn {past} is outside the recovery window .*{WINDOW}", "nothing archived lies at or after it",
            restore_type="lsn", restore_target=past)  # fmt: skip


def test_a_target_time_that_means_another_moment_elsewhere(refused: t.Callable[..., None]) -> None:
    refused("restore", "offset", r"Given: 2026-11-23 09:41:00\.", r"Possible: .*2026-11-23 09:41:00\+00",
            restore_type="time", restore_target="2026-11-23 09:41:00")  # fmt: skip


def test_a_restore_without_a_region_that_does_not_exist(refused: t.Callable[..., None]) -> None:
    refused("restore", "Nothing can be restored without region z", "Possible: a, b", lost_region="z")


def test_a_restore_without_a_region_that_answers(refused: t.Callable[..., None]) -> None:
    refused("restore", "Region a is not lost: pg-a1, pg-a2 answer", lost_region="a", accept_loss="a flood")


def test_a_repository_that_cannot_be_decrypted(lab: Lab, refused: t.Callable[..., None]) -> None:
    member = lab.standbys[0]
    with other_key(lab, member):
        refused("restore", "repository 2", "cipher|decrypt|key", restore_type="immediate",
                restore_member=member, restore_repo=2)  # fmt: skip


@contextlib.contextmanager
def other_key(lab: Lab, member: str) -> t.Iterator[None]:
    """The member's pgBackRest has another passphrase than the object store's repository was made with."""
    lab.said(member, "cp -p %s %s.kept", CONFIGURATION, CONFIGURATION)
    try:
        lab.said(member, "sed -i 's/^repo2-cipher-pass=.*/repo2-cipher-pass=another/' %s", CONFIGURATION)
        yield
    finally:
        lab.said(member, "mv %s.kept %s", CONFIGURATION, CONFIGURATION)


# Nobody to take over -------------------------------------------------------------------------------------------------


def test_a_failover_from_a_healthy_primary(lab: Lab, refused: t.Callable[..., None]) -> None:
    primary = lab.primary
    refused("failover", f"{primary} is primary and accepts writes: nothing is lost", "Given: .* standby",
            "Next: .*switchover")  # fmt: skip


def test_a_switchover_to_a_host_that_does_not_answer(lab: Lab, refused: t.Callable[..., None]) -> None:
    away, other = lab.standbys
    with lab.frozen(away):
        refused("switchover", f"{away} cannot take over: unseen: ", f"Possible: {other}", candidate=away)


def test_a_restore_while_a_host_does_not_answer(lab: Lab, refused: t.Callable[..., None]) -> None:
    away = lab.standbys[-1]
    with lab.frozen(away):
        refused("restore", f"{away} cannot be reached", restore_type="immediate")


def test_a_failover_that_nobody_can_take_over(lab: Lab, refused: t.Callable[..., None]) -> None:
    primary, standbys = lab.primary, lab.standbys
    try:
        for name in standbys:
            lab.sql(name, "SELECT pg_wal_replay_pause()")
        with lab.frozen(primary):
            refused("failover", f"no member can take over from {primary}",
                    *(f"{name}: its replay is paused" for name in standbys))  # fmt: skip
    finally:
        for name in standbys:
            lab.sql(name, "SELECT pg_wal_replay_resume()")


def test_a_failover_that_would_lose_more_than_promised(lab: Lab, refused: t.Callable[..., None]) -> None:
    primary, (behind, other) = lab.primary, sorted(lab.standbys, key=lambda name: name in synchronous(lab))
    receiver = lab.value(behind, "SELECT pid FROM pg_stat_wal_receiver")
    lab.said(behind, "kill -STOP %s", receiver)
    try:
        for _once in range(2):
            lab.sql(primary, "SELECT pg_logical_emit_message(true, 'resilience', 'held by one standby')")
            time.sleep(1.5)
        with lab.frozen(primary):
            refused("failover", rf"{behind} would lose \d+ bytes of WAL that {other} holds, the transactions of [1-9]",
                    "Given: an objective of 0 s", f"resilience_candidate={other}",
                    candidate=behind, objectives=NO_LOSS)  # fmt: skip
    finally:
        lab.said(behind, "kill -CONT %s", receiver)


def synchronous(lab: Lab) -> list[str]:
    asked = "SELECT application_name FROM pg_stat_replication WHERE sync_state <> 'async'"
    return [name for [name] in lab.sql(lab.primary, asked)]
