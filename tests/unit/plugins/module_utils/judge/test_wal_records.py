# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_waldump of PostgreSQL 15 and 17 says of the same statements."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_records import Written

HEAP = (
    "rmgr: Heap        len (rec/tot):     61/    61, tx:        {xid}, lsn: {lsn}, prev 0/00, desc: {what}, "
    "blkref #0: rel 1663/5/{node} blk 0"
)
ENDED = "rmgr: Transaction len (rec/tot):     34/    34, tx:        {xid}, lsn: {lsn}, prev 0/00, desc: {what}"
WHEN = "2026-11-23 15:37:27.703151 UTC"


LSN = map("0/{:X}".format, itertools.count(1))


def heap(xid: int, what: str, node: int = 16384) -> str:
    return HEAP.format(xid=xid, what=what, node=node, lsn=next(LSN))


def ended(xid: int, what: str) -> str:
    return ENDED.format(xid=xid, what=what, lsn=next(LSN))


def written(*lines: str) -> Written:
    found = Written()
    for line in lines:
        found.take([line])
    return found


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("INSERT+INIT off: 1, flags: 0x00", "inserted"),
        ("INSERT off 2 flags 0x00", "inserted"),
        ("HOT_UPDATE old_xmax: 743, old_off: 1, old_infobits: [], flags: 0x20, new_xmax: 0, new_off: 5", "updated"),
        ("HOT_UPDATE off 1 xmax 729 flags 0x20 ; new off 5 xmax 0", "updated"),
        ("UPDATE off 5 xmax 735 flags 0x60 ; new off 7 xmax 0", "updated"),
        ("DELETE xmax: 744, off: 2, infobits: [KEYS_UPDATED], flags: 0x00", "deleted"),
        ("DELETE off 2 flags 0x00 KEYS_UPDATED ", "deleted"),
    ],
)
def test_what_a_committed_transaction_changed(what: str, kind: str) -> None:
    found = written(heap(740, what), ended(740, f"COMMIT {WHEN}"))
    assert found.by_relation() == {(5, 16384): {kind: 1}}
    assert (found.committed, found.transactions) == ({740: WHEN}, 1)


@pytest.mark.parametrize(
    "what", ["MULTI_INSERT ntuples: 2, flags: 0x02, offsets: [12, 13]", "MULTI_INSERT 2 tuples flags 0x02"]
)
def test_copied_rows_count_by_record(what: str) -> None:
    record = heap(748, what).replace("rmgr: Heap ", "rmgr: Heap2")
    assert written(record, ended(748, f"COMMIT {WHEN}")).by_relation() == {(5, 16384): {"inserted": 1}}


def test_subtransactions_commit_with_their_transaction() -> None:
    found = written(
        heap(741, "INSERT off: 3"), ended(740, f"COMMIT {WHEN}; subxacts: 741 742; inval msgs: catcache 55")
    )
    assert found.committed == dict.fromkeys((740, 741, 742), WHEN)
    assert (found.transactions, found.by_relation()) == (1, {(5, 16384): {"inserted": 1}})


def test_a_prepared_transaction_commits_under_its_own_number() -> None:
    lines = heap(746, "INSERT off: 7"), ended(746, f"PREPARE gid p1: {WHEN}")
    assert written(*lines).committed == {}
    assert sorted(written(*lines, ended(0, f"COMMIT_PREPARED 746: {WHEN}")).committed) == [746]


@pytest.mark.parametrize("end", [[], [ended(745, f"ABORT {WHEN}")]])
def test_what_did_not_commit_does_not_count(end: list[str]) -> None:
    found = written(heap(745, "INSERT off: 6"), *end)
    assert (found.by_relation(), found.transactions) == ({}, 0)


def test_other_words_are_passed_over() -> None:
    other = ended(0, "RUNNING_XACTS nextXid 750").replace("Transaction", "Standby")
    found = written(
        other,
        "pg_waldump: first record is after 0/1, at 0/2",
        "",
        heap(740, "LOCK xmax: 740, off: 1"),
        heap(740, "INPLACE off: 1"),
    )
    assert found.by_relation() == {}


def test_relations_and_databases_are_told_apart() -> None:
    found = written(
        heap(740, "INSERT off: 1"),
        heap(740, "INSERT off: 2", node=16390),
        heap(740, "INSERT off: 1").replace("1663/5/", "1663/6/"),
        ended(740, f"COMMIT {WHEN}"),
    )
    assert sorted(found.by_relation()) == [(5, 16384), (5, 16390), (6, 16384)]


def test_a_record_that_is_told_again_counts_once() -> None:
    lines = [heap(740, "INSERT off: 1"), ended(740, f"COMMIT {WHEN}")]
    found = written(*lines, lines[1], heap(741, "INSERT off: 2"), ended(741, f"COMMIT {WHEN}"))
    assert (found.transactions, found.by_relation()) == (2, {(5, 16384): {"inserted": 2}})
