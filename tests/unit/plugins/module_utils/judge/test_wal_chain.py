# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL walked by name: gaps, forks, lost histories, and two servers on one timeline."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import wal_chain
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import Fork, Span

MB16 = wal_chain.SEGMENT_SIZE
SUM = "4aab138abd2f182264da36923313e20b95c4658c"


def archived(timeline: int, *segments: int, checksum: str = SUM) -> dict[str, int]:
    """Files as repo-ls lists them, each a second after the one before."""
    files = {}
    for segment in segments:
        name = wal_chain.segment_name(timeline, segment)
        files[f"{name[:16]}/{name}-{checksum}.zst"] = 1000 + segment
    return files


def test_a_segments_name_and_number_are_the_same_thing() -> None:
    assert wal_chain.parse_segment("00000001000000020000000A") == (1, 2 * 256 + 10)
    assert wal_chain.segment_name(1, 2 * 256 + 10) == "00000001000000020000000A"
    assert wal_chain.segment_name(1, 256) == "000000010000000100000000"
    assert wal_chain.parse_segment("000000010000000100000000", 64 * 1024 * 1024) == (1, 64)


def test_a_whole_archive_has_one_span_and_no_gap() -> None:
    chain = wal_chain.walk(1, archived(1, *range(1, 300)), {})
    assert chain.timelines[1].spans == (Span(1, 299),)
    assert chain.timelines[1].gaps == ()
    reach = chain.reach(1, 1, 5 * MB16 + 40)
    assert (reach.lsn, reach.missing, reach.reason) == (300 * MB16, chain.name(1, 300), "")


def test_a_gap_ends_the_reach_and_is_named() -> None:
    chain = wal_chain.walk(1, archived(1, 1, 2, 3, 5, 6), {})
    assert chain.timelines[1].gaps == (Span(4, 4),)
    reach = chain.reach(1, 1, 1 * MB16)
    assert (reach.lsn, reach.missing) == (4 * MB16, "000000010000000000000004")
    assert reach.reason, "a gap must never look like the end of the archive"
    assert not chain.reach(1, 1, 5 * MB16).reason


def test_a_gap_at_the_begin_is_a_gap() -> None:
    reach = wal_chain.walk(1, archived(1, 4, 5), {}).reach(1, 1, 3 * MB16)
    assert (reach.missing, bool(reach.reason)) == ("000000010000000000000003", True)


def test_the_fork_is_read_from_the_child() -> None:
    history = f"1\t{wal_chain.lsn_text(5 * MB16 + 100)}\tno recovery target specified\n"
    files = archived(1, 1, 2, 3, 4, 5, 6, 7) | archived(2, 5, 6) | {"00000002.history": 2000}
    chain = wal_chain.walk(1, files, {2: history})
    assert chain.timelines[2].forks == (Fork(1, 5 * MB16 + 100),)
    assert chain.lineage(2) == [(1, 5 * MB16 + 100), (2, None)]
    assert chain.reach(2, 1, 2 * MB16).lsn == 7 * MB16
    del files["0000000200000000/" + chain.name(2, 5) + f"-{SUM}.zst"]
    reach = wal_chain.walk(1, files, {2: history}).reach(2, 1, 2 * MB16)
    assert (reach.missing, bool(reach.reason)) == (chain.name(2, 5), True)


def test_what_the_parent_wrote_after_the_fork_is_not_on_the_way() -> None:
    history = f"1\t{wal_chain.lsn_text(3 * MB16)}\tbefore LSN\n"
    files = archived(1, 1, 2, 3, 4, 5) | archived(2, 3) | {"00000002.history": 1}
    chain = wal_chain.walk(1, files, {2: history})
    assert chain.reach(2, 1, 4 * MB16).reason == "timeline 2 left timeline 1 before, at 0/3000000"
    assert chain.reach(1, 2, 3 * MB16).reason == "timeline 2 is no ancestor of timeline 1"


def test_a_timeline_without_its_history_is_told() -> None:
    chain = wal_chain.walk(1, archived(1, 1, 2) | archived(2, 2, 3), {})
    assert chain.lost_histories == (2,)


def test_two_contents_of_one_segment_are_a_contradiction() -> None:
    files = archived(1, 1, 2) | archived(1, 2, checksum="b" * 40)
    assert wal_chain.walk(1, files, {}).timelines[1].contradictions == (2,)


def test_partial_segments_backup_files_and_strangers_are_no_wal() -> None:
    name = wal_chain.segment_name(1, 2)
    files = archived(1, 1) | {f"x/{name}.partial-{SUM}.zst": 5, f"x/{name}.00000028.backup": 5, "x/readme": 5}
    chain = wal_chain.walk(1, files, {})
    assert chain.timelines[1].spans == (Span(1, 1),)
    assert chain.timelines[1].partials == (2,)
    assert chain.unknown_files == ("x/readme",)


def test_the_newest_timeline_is_the_one_archived_last_not_the_highest() -> None:
    """A drill that was promoted into the repository leaves a higher timeline; production goes on below it."""
    files = archived(1, *range(1, 10)) | archived(2, 4) | {"00000002.history": 1}
    assert wal_chain.walk(1, files, {2: "1\t0/4000100\tx\n"}).newest() == 1


@pytest.mark.parametrize("missing", [None, 25_000])
def test_fifty_thousand_segments_take_no_time(missing: int | None) -> None:
    files = archived(1, *(n for n in range(1, 50_001) if n != missing))
    begin = time.process_time()
    chain = wal_chain.walk(1, files, {})
    reach = chain.reach(1, 1, MB16)
    assert time.process_time() - begin < 2
    assert bool(reach.reason) is (missing is not None)


@given(st.sets(st.integers(0, 40)), st.integers(-2, 42))
def test_the_span_of_a_segment_is_the_one_that_holds_it(numbers: set[int], segment: int) -> None:
    line = wal_chain.Timeline(1, tuple(wal_chain.spans(numbers)), (), history=False)
    found = line.span_of(segment)
    assert (found is not None) == (segment in numbers)
    assert found is None or found.first <= segment <= found.last
