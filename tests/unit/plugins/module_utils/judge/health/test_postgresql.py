# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of PostgreSQL and PgBouncer: what is well, what warns, what fails."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.postgresql import (
    Archiver,
    Pool,
    Replication,
    Sessions,
    Slot,
    archiving,
    checksums,
    configuration,
    heartbeat_seen,
    latency,
    percentile,
    pools,
    replication,
    sequences,
    sessions,
    slots,
    storage,
    transaction_ids,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, worst

QUIET = Sessions(
    slots=97, used=10, locked=0, locked_seconds=None, sync_seconds=None, storage_seconds=None, idle_seconds=None
)
STANDBY = Replication(in_recovery=True, streaming=True, lag_bytes=0, silent_seconds=0.2)
PRIMARY = Replication(in_recovery=False, lag_bytes=0, standbys=2, synchronous=1, waits_for="ANY 1 (a, b)")
ARCHIVER = Archiver(enabled=True, in_recovery=False, failing=False, waiting=0, oldest_seconds=None)


def wrong(findings: t.Sequence[Finding]) -> tuple[str, str]:
    """The status of all, and what is not well about them."""
    said = "; ".join(f"{one.measure}: {one.reason}" for one in findings if one.status != "pass")
    return worst(one.status for one in findings).value, said


@pytest.mark.parametrize(("part", "expected"), [(0.5, 5), (0.95, 10), (0.1, 1), (1.0, 10)])
def test_a_percentile_is_one_of_the_samples(part: float, expected: int) -> None:
    assert percentile([float(n) for n in range(10, 0, -1)], part) == expected
    assert percentile([7.0], part) == 7.0


def test_one_slow_answer_of_many_is_none() -> None:
    assert wrong(latency([0.001] * 59 + [3.0], (0.05, 0.5)))[0] == "pass"
    assert wrong(latency([0.001] * 50 + [0.1] * 10, (0.05, 0.5)))[0] == "warn"
    assert wrong(latency([3.0], (0.05, 0.5)))[0] == "fail"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({}, "pass", ""),
        ({"used": 78}, "warn", "78 of 97"),
        ({"used": 97}, "fail", "97 of 97"),
        ({"locked": 3, "locked_seconds": 12.0}, "warn", "locked: 3 wait for a lock"),
        ({"locked": 30, "locked_seconds": 40.0}, "fail", "locked: 30"),
        ({"sync_seconds": 31.0}, "fail", "sync: the longest wait of a commit for a standby: 31 s"),
        ({"storage_seconds": 31.0}, "fail", "storage"),
        ({"idle_seconds": 400.0}, "warn", "idle"),
    ],
)
def test_sessions(change: dict[str, t.Any], status: str, said: str) -> None:
    found = wrong(sessions(dataclasses.replace(QUIET, **change), (80, 95), (5, 30), (300, 3600)))
    assert found[0] == status and said in found[1]


@pytest.mark.parametrize(
    ("seen", "status", "said"),
    [
        (STANDBY, "pass", ""),
        (dataclasses.replace(STANDBY, lag_bytes=100), "warn", "lag"),
        # A cut network: the usual lag reads 0, and nobody has said a word.
        (dataclasses.replace(STANDBY, silent_seconds=40.0), "fail", "silent"),
        (dataclasses.replace(STANDBY, silent_seconds=None), "unknown", "silent"),
        (dataclasses.replace(STANDBY, lag_bytes=None), "unknown", "lag"),
        (dataclasses.replace(STANDBY, streaming=False), "fail", "no stream"),
        (dataclasses.replace(STANDBY, paused=True), "warn", "paused"),
        (PRIMARY, "pass", ""),
        (dataclasses.replace(PRIMARY, standbys=1), "warn", "1 standbys stream of 2"),
        (dataclasses.replace(PRIMARY, standbys=0, synchronous=0, lag_bytes=None), "fail", "nobody of them is there"),
        (dataclasses.replace(PRIMARY, synchronous=0), "fail", "commits wait for ANY 1 (a, b)"),
        (dataclasses.replace(PRIMARY, synchronous=0, waits_for=""), "pass", ""),
    ],
)
def test_replication(seen: Replication, status: str, said: str) -> None:
    found = wrong(replication(seen, (64, 1024), (5, 30), standbys=2))
    assert found[0] == status and said in found[1]


def test_a_heartbeat_that_was_never_seen_is_unknown() -> None:
    assert [wrong(heartbeat_seen(age, (5, 30)))[0] for age in (0.0, 5.0, 30.0, None)] == [
        "pass",
        "warn",
        "fail",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("slot", "in_recovery", "status"),
    [
        (Slot("a", True, "reserved", 10.0), False, "pass"),
        (Slot("a", True, "extended", 10.0), False, "warn"),
        (Slot("a", True, "unreserved", 10.0), False, "fail"),
        (Slot("a", False, "lost", None), False, "fail"),
        (Slot("a", False, "reserved", 10.0), False, "warn"),
        (Slot("a", False, None, None), True, "pass"),  # a standby keeps slots for the day it is promoted
        (Slot("a", True, "reserved", 1000.0), False, "warn"),
        (Slot("a", True, "reserved", 9000.0), False, "fail"),
    ],
)
def test_slots(slot: Slot, in_recovery: bool, status: str) -> None:
    assert wrong(slots([slot], in_recovery, (1000, 9000)))[0] == status


def test_an_unused_slot_says_whether_a_member_or_receiver_should_use_it() -> None:
    said = [
        wrong(slots([Slot(name, False, "reserved", 10.0)], False, (1000, 9000), expected))[1]
        for name, expected in (("pg_b1", ["pg_b1"]), ("forgotten", ["pg_b1"]), ("forgotten", None))
    ]
    assert said == [
        "active: nobody uses pg_b1: a member's or receiver's",
        "active: nobody uses forgotten: no member or receiver is called so",
        "active: nobody uses forgotten",
    ]


def test_no_slot_holds_nothing_back() -> None:
    assert wrong(slots([], False, (1, 2))) == ("pass", "")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "pass"),
        ({"waiting": 10, "oldest_seconds": 1.0}, "warn"),
        ({"waiting": 100, "oldest_seconds": 1.0}, "fail"),
        ({"waiting": 1, "oldest_seconds": 300.0}, "fail"),
        ({"failing": True}, "warn"),
        ({"enabled": False}, "fail"),
        ({"in_recovery": True}, "pass"),
        ({"in_recovery": True, "waiting": 1, "oldest_seconds": 400.0}, "fail"),
    ],
)
def test_archiving(change: dict[str, t.Any], status: str) -> None:
    assert wrong(archiving(dataclasses.replace(ARCHIVER, **change), (10, 100), (120, 300)))[0] == status


def test_numbers_that_run_out() -> None:
    assert wrong(transaction_ids(10**8, 10, None, (30, 70)))[0] == "pass"
    assert wrong(transaction_ids(10**9, 10, None, (30, 70)))[0] == "warn"
    assert wrong(transaction_ids(10, 2 * 10**9, None, (30, 70)))[0] == "fail"
    assert wrong(transaction_ids(10, 10, 4000.0, (30, 70)))[0] == "fail"
    assert wrong(sequences({"db.public.a": 10.0, "db.public.b": 91.0}, (75, 90))) == (
        "fail",
        "used: db.public.b is used up: 91 % (limit 90 %)",
    )
    assert wrong(sequences({}, (75, 90)))[0] == "pass"


def test_checksums() -> None:
    assert wrong(checksums(True, {"a": 0, "shared": 0})) == ("pass", "")
    assert wrong(checksums(True, {"a": 2, "b": 0})) == ("fail", "failures: pages with a wrong checksum: 2 in a")
    assert wrong(checksums(False, {}))[0] == "warn"


def test_a_tablespace_that_cannot_be_read_fails_by_its_name() -> None:
    assert wrong(storage(8, {})) == ("pass", "")
    assert wrong(storage(3, {"slow": "could not read file"})) == ("fail", "unreadable: slow: could not read file")


def test_a_file_that_waits_for_a_restart_to_fail() -> None:
    assert wrong(configuration([], [])) == ("pass", "")
    assert wrong(configuration(["pg_hba.conf, line 3: invalid IP mask"], []))[0] == "fail"
    assert wrong(configuration([], ["shared_buffers"])) == ("warn", "pending: a restart would change shared_buffers")


def test_a_pool_in_full_use_is_well_as_long_as_nobody_waits() -> None:
    busy = Pool("orders/app", waiting=0, longest_wait=0.0, used=20, size=20)
    assert wrong(pools([busy], 100, 1000, (80, 95), (1, 5)))[0] == "pass"
    assert wrong(pools([busy], 960, 1000, (80, 95), (1, 5)))[0] == "fail"
    waiting = dataclasses.replace(busy, waiting=7, longest_wait=6.0)
    status, said = wrong(pools([waiting], 100, 1000, (80, 95), (1, 5)))
    assert status == "fail" and "7 wait for orders/app, with 20 of 20 in use" in said
