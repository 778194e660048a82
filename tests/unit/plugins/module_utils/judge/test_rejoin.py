# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a member comes back, for each thing that its data may have gone through."""

from __future__ import annotations

import random
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import TimelineSwitch, lsn_to_int
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.rejoin import (
    Ancestor,
    Method,
    Remains,
    Source,
    common_ancestor,
    decide,
    diverged,
)


def left(*switches: tuple[int, str]) -> list[TimelineSwitch]:
    return [TimelineSwitch(parent, lsn, "no recovery target specified") for parent, lsn in switches]


#: The primary left timeline 1 at 0/5000148, and writes timeline 2.
PRIMARY = Source("pg-a2", "77", 2, left((1, "0/5000148")))


def remains(**more: t.Any) -> Remains:
    """An old primary that was shut down just where its successor went on."""
    given = {
        "name": "pg-a1", "has_data": True, "system_id": "77", "shut_down": True, "timeline": 1,
        "end_lsn": "0/50000D0", "ended_as_primary": True,
    }  # fmt: skip
    return Remains(**{**given, **more})


def test_an_old_primary_that_was_shut_down_in_time_is_started() -> None:
    decision = decide(remains(), PRIMARY)
    assert decision.method is Method.START
    assert decision.fork_lsn is None


@pytest.mark.parametrize("end", ["0/5000148", "0/6000028", "1/0"])
def test_an_old_primary_that_went_on_is_rewound_and_its_own_wal_begins_at_the_fork(end: str) -> None:
    decision = decide(remains(end_lsn=end), PRIMARY)
    assert decision.method is Method.REWIND
    assert decision.fork_lsn == "0/5000148"
    assert end in decision.reason


def test_an_old_primary_that_crashed_is_rewound_for_nobody_knows_how_far_it_wrote() -> None:
    decision = decide(remains(shut_down=False), PRIMARY)
    assert decision.method is Method.REWIND
    assert decision.fork_lsn == "0/5000148"


@pytest.mark.parametrize("shut_down", [True, False])
def test_a_standby_that_was_away_is_started_also_after_a_crash(shut_down: bool) -> None:
    held = remains(ended_as_primary=False, shut_down=shut_down, end_lsn="0/5000148")
    assert decide(held, PRIMARY).method is Method.START


def test_a_standby_that_replayed_more_than_its_new_primary_kept_is_rewound() -> None:
    assert decide(remains(ended_as_primary=False, end_lsn="0/5000149"), PRIMARY).method is Method.REWIND


def test_a_standby_that_streams_is_left_alone() -> None:
    streaming = remains(in_recovery=True, streams=True, timeline=2, end_lsn="0/7000000", history=PRIMARY.history)
    assert decide(streaming, PRIMARY).method is Method.NONE


def test_a_standby_that_streams_another_timeline_is_not_taken_for_well() -> None:
    streaming = remains(in_recovery=True, streams=True, end_lsn="0/7000000", ended_as_primary=False)
    assert decide(streaming, PRIMARY).method is Method.REWIND


def test_a_standby_that_only_lost_its_stream_is_waited_for() -> None:
    waiting = remains(in_recovery=True, ended_as_primary=False, end_lsn="0/5000000")
    assert decide(waiting, PRIMARY).method is Method.WAIT


def test_a_second_primary_is_never_touched() -> None:
    with pytest.raises(RefusedError) as error:
        decide(remains(in_recovery=False), PRIMARY)
    assert "runs as a primary" in error.value.message
    assert "fence pg-a1" in (error.value.next_step or "")


@pytest.mark.parametrize("more", [{}, {"unfinished": "rewind"}, {"streams": True, "in_recovery": True}])
def test_data_of_another_cluster_are_never_touched(more: dict[str, t.Any]) -> None:
    with pytest.raises(RefusedError, match="another cluster"):
        decide(remains(system_id="78", **more), PRIMARY)


def test_no_data_are_built_by_the_role() -> None:
    assert decide(Remains("pg-a1", False), PRIMARY).method is Method.BUILD


@pytest.mark.parametrize("has_data", [True, False])
def test_what_was_cut_off_is_restored_even_if_it_looks_well(has_data: bool) -> None:
    cut_off = remains(has_data=has_data, unfinished="rewind", in_recovery=True if has_data else None, streams=True)
    decision = decide(cut_off._replace(timeline=2), PRIMARY)
    assert decision.method is Method.RESTORE
    assert "rewind was cut off" in decision.reason


@pytest.mark.parametrize("unknown", [{"timeline": None}, {"end_lsn": None}])
def test_data_that_do_not_say_how_far_they_reach_are_restored(unknown: dict[str, t.Any]) -> None:
    assert decide(remains(**unknown), PRIMARY).method is Method.RESTORE


def test_a_member_that_was_promoted_by_mistake_leaves_where_both_parted() -> None:
    """Both left timeline 1: the primary at 0/5000148 for 2, this one later for 3."""
    stray = remains(timeline=3, end_lsn="0/9000028", history=left((1, "0/6000000")))
    decision = decide(stray, PRIMARY)
    assert decision.method is Method.REWIND
    assert decision.fork_lsn == "0/5000148"


def test_the_same_number_for_two_timelines_is_no_common_one() -> None:
    """Two standbys promoted apart both call their timeline 2; they entered it at different places."""
    mine, theirs = left((1, "0/6000000")), left((1, "0/5000148"))
    assert common_ancestor(2, mine, 2, theirs) == Ancestor(1, "0/5000148")


def test_histories_that_share_nothing_lead_to_a_restore() -> None:
    assert common_ancestor(7, [], 9, []) is None
    assert decide(remains(timeline=7), PRIMARY._replace(timeline=9, history=())).method is Method.RESTORE


def test_two_writers_of_one_timeline_cannot_be_told_apart_so_it_is_restored() -> None:
    twin = remains(timeline=2, history=PRIMARY.history, end_lsn="0/5000200")
    assert decide(twin, PRIMARY).method is Method.RESTORE
    assert decide(twin._replace(ended_as_primary=False), PRIMARY).method is Method.START


def test_on_the_primarys_own_timeline_nothing_has_parted() -> None:
    ancestor = common_ancestor(2, PRIMARY.history, 2, PRIMARY.history)
    assert ancestor == Ancestor(2, None)
    assert not diverged(remains(timeline=2, end_lsn="9/0"), ancestor)


def lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def test_any_two_branches_part_where_they_were_made_to(seed: int = 20261123) -> None:
    """A shared trunk, then each goes its own way: the ancestor is the end of the trunk, seen from either side."""
    random_ = random.Random(seed)
    for _attempt in range(500):
        positions = sorted(random_.sample(range(1, 10_000), 8))
        trunk = [(number + 1, lsn(positions[number] << 20)) for number in range(random_.randint(0, 3))]
        last = len(trunk) + 1
        fork, later = positions[4] << 20, positions[5] << 20
        mine = left(*trunk, (last, lsn(fork)))
        other_number = last + random_.randint(1, 3)
        theirs = left(*trunk, (last, lsn(later)))
        expected = Ancestor(last, lsn(fork))
        assert common_ancestor(last + 1, mine, other_number, theirs) == expected
        assert common_ancestor(other_number, theirs, last + 1, mine) == expected
        # Whoever stayed on the trunk parted from a branch where that was made.
        assert common_ancestor(last, left(*trunk), last + 1, mine) == expected


def test_more_wal_of_ones_own_never_makes_a_member_look_in_line(seed: int = 7) -> None:
    """Growing end: once diverged, always diverged; and a primary is never believed where a standby is not."""
    random_ = random.Random(seed)
    fork = lsn_to_int("0/5000148")
    for _attempt in range(200):
        ends = sorted(fork + random_.randint(-(1 << 24), 1 << 24) for _end in range(6))
        ancestor = Ancestor(1, "0/5000148")
        as_primary = [diverged(remains(end_lsn=lsn(end)), ancestor) for end in ends]
        as_standby = [diverged(remains(end_lsn=lsn(end), ended_as_primary=False), ancestor) for end in ends]
        assert as_primary == sorted(as_primary)
        assert as_standby == sorted(as_standby)
        assert all(primary or not standby for primary, standby in zip(as_primary, as_standby, strict=True))
