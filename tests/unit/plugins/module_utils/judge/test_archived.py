# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when everything is in the archive: never later than it is, however quiet the database."""

from __future__ import annotations

import dataclasses

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.archived import (
    Archived,
    Position,
    archived,
    safe_until,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import Holdings

REACH = Archived(
    path=((1, 500), (2, None)), lsn=1000, gaps=0, last_time=None, window_start=None, window_end=None
)  # fmt: skip


def at(moment: float, lsn: int, snapshot: str = "9:9:", timeline: int = 2) -> Position:
    return Position(moment, timeline, lsn, snapshot)


def moment(*positions: Position, reach: Archived = REACH, before: Position | None = None) -> float | None:
    safe = safe_until(positions, reach, before)
    return None if safe is None else safe.at


def test_the_newest_position_that_the_archive_covers_is_safe() -> None:
    assert moment(at(1, 900, "7:7:"), at(2, 1000, "8:8:"), at(3, 1001, "9:9:")) == 2
    assert moment(at(3, 1001)) is None
    assert moment() is None


def test_an_idle_database_stays_safe_although_checkpoints_move_it() -> None:
    assert moment(at(1, 1000), at(2, 1100), at(3, 1200)) == 3
    # One transaction later it is not: that one is nowhere but on the primary.
    assert moment(at(1, 1000), at(2, 1100), at(3, 1200, "10:10:")) == 2


def test_a_transaction_under_way_may_have_ended_since() -> None:
    assert moment(at(1, 1000, "8:9:8"), at(2, 1100, "8:9:8")) == 1


def test_a_position_that_the_newest_timeline_left_behind_is_not_safe() -> None:
    assert moment(at(1, 500, timeline=1)) == 1
    assert moment(at(1, 501, timeline=1)) is None
    assert moment(at(1, 900, timeline=3)) is None
    # The same transactions on another timeline are others.
    assert moment(at(1, 500, timeline=1), at(2, 1100)) == 1


def test_what_was_safe_counts_while_the_archive_reaches_as_far() -> None:
    before = at(5, 950)
    assert moment(at(6, 1001, "12:12:"), before=before) == 5
    assert moment(before=before, reach=dataclasses.replace(REACH, lsn=900)) is None
    assert moment(before=before, reach=dataclasses.replace(REACH, lsn=None)) is None


def test_quiet_minutes_are_remembered_by_what_was_archived() -> None:
    safe = safe_until([at(1, 1000), at(2, 1100)], REACH, None)
    assert safe is not None and (safe.at, safe.lsn) == (2, 1000)
    assert moment(at(3, 1200), before=safe) == 3


def holdings(*segments: int) -> Holdings:
    backup = Backup(
        label="B", type="full", repo=1, database=1, start_segment="000000010000000000000003",
        stop_segment="000000010000000000000003", start_lsn=0x3000028, stop_lsn=0x3000158, started=90, stopped=100,
        size=1, repository_size=1, error=False,
    )  # fmt: skip
    files = {f"0000000100000000/00000001000000000000{n:04X}-{n:040x}.zst": 1000 + n for n in segments}
    return Holdings(walk(1, files, {}), (backup,), frozenset({"B"}))


def test_an_archive_reaches_as_far_as_its_first_hole() -> None:
    whole = archived(holdings(3, 4, 5))
    assert (whole.lsn, whole.gaps, whole.last_time) == (0x6000000, 0, 1005)
    assert (whole.window_start, whole.window_end) == (100.0, 1005)
    torn = archived(holdings(3, 5))
    assert (torn.lsn, torn.gaps, torn.last_time, torn.window_end) == (0x4000000, 1, 1005, 1003)


def test_what_no_backup_can_use_is_no_window() -> None:
    assert archived(holdings(4, 5)).window_start is None
    empty = archived(holdings())
    assert (empty.lsn, empty.gaps, empty.last_time, empty.path) == (None, 0, None, ())
