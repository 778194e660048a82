# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery window, and targets judged by it. Each trap is put in, and must be told."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import wal_chain, window
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import End, Holdings, Target

MB16 = wal_chain.SEGMENT_SIZE
#: 2026-11-23 09:00:00 UTC
NOON = 1795424400


def wal(timeline: int, first: int, last: int, *, without: t.Container[int] = ()) -> dict[str, int]:
    """Segments that arrive a minute apart; segment 0 at NOON."""
    names = {n: wal_chain.segment_name(timeline, n) for n in range(first, last + 1) if n not in without}
    return {f"{name[:16]}/{name}-{'a' * 40}.zst": NOON + 60 * n for n, name in names.items()}


def backup(label: str, segment: int, *, timeline: int = 1, **changes: t.Any) -> Backup:
    name = wal_chain.segment_name(timeline, segment)
    made = Backup(
        label=label, type="full", repo=1, database=1, start_segment=name, stop_segment=name,
        start_lsn=segment * MB16 + 40, stop_lsn=segment * MB16 + 400,
        started=NOON + 60 * segment - 5, stopped=NOON + 60 * segment - 1, size=10, repository_size=5, error=False,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def held(files: dict[str, int], *backups: Backup, histories: dict[int, str] | None = None, **more: t.Any) -> Holdings:
    listed = {f"{n:08X}.history": NOON for n in histories or {}}
    chain = wal_chain.walk(more.pop("repo", 1), files | listed, histories or {})
    labels = more.pop("labels", frozenset(b.label for b in backups))
    return Holdings(chain, backups, labels, more.pop("ends", {}))


def judged(holdings: Holdings, kind: str, value: str = "", **more: t.Any) -> window.Answer:
    return window.judge_target(Target(kind, value, **more), [(holdings, window.windows(holdings))])


def failures(holdings: Holdings) -> dict[str, str]:
    checks = window.judge_repository(holdings, window.windows(holdings))
    return {check.name.partition(": ")[2]: check.reason for check in checks if check.verdict is Verdict.FAILED}


LAST = End(last_record=20 * MB16 + 0x500, commit_time=NOON + 1195.5)
WHOLE = held(wal(1, 1, 20), backup("F1", 3), backup("F2", 10), ends={1: LAST})


def test_the_window_reaches_from_the_oldest_backup_to_the_last_commit() -> None:
    [only] = window.windows(WHOLE)
    assert only.as_dict() == {
        "repo": 1, "timeline": 1, "from_lsn": "0/3000190", "from_time": "2026-11-23 09:02:59+00",
        "to_lsn": "0/15000000", "to_time": "2026-11-23 09:19:55.500000+00", "exact": True,
        "first_missing": "000000010000000000000015", "ends_in_gap": False, "backups": ["F1", "F2"],
    }  # fmt: skip
    assert failures(WHOLE) == {}


@pytest.mark.parametrize(
    ("lsn", "inside", "base"),
    [
        ("0/3000190", True, "F1"),
        ("0/300018F", False, None),
        ("0/A00018F", True, "F1"),
        ("0/A000190", True, "F2"),
        ("0/14000500", True, "F2"),
        ("0/14000501", False, None),
        ("1/0", False, None),
    ],
)
def test_an_lsn_is_inside_only_if_a_record_lies_at_or_after_it(lsn: str, inside: bool, base: str | None) -> None:
    answer = judged(WHOLE, "lsn", lsn)
    assert (answer.inside, answer.set) == (inside, base), answer.reason
    assert inside or "0/3000190" in answer.reason, "the message names the window"


@pytest.mark.parametrize(
    ("moment", "inside", "base"),
    [
        ("2026-11-23 09:02:59.9+00", False, None),  # the second in which the backup ended
        ("2026-11-23 09:03:00+00", True, "F1"),
        ("2026-11-23 10:03:00+01", True, "F1"),
        ("2026-11-23T09:09:59.999+00:00", True, "F1"),
        ("2026-11-23 09:10:00Z", True, "F2"),
        ("2026-11-23 09:19:55.4+00", True, "F2"),
        ("2026-11-23 09:19:55.5+00", False, None),  # the last archived commit itself: nothing tells recovery to stop
        ("2026-11-23 11:00:00+00", False, None),
    ],
)
def test_a_time_is_inside_only_before_the_last_archived_commit(moment: str, inside: bool, base: str | None) -> None:
    answer = judged(WHOLE, "time", moment)
    assert (answer.inside, answer.set) == (inside, base), answer.reason


def test_the_last_commits_own_time_can_be_left_out() -> None:
    assert judged(WHOLE, "time", "2026-11-23 09:19:55.5+00", exclusive=True).inside


@pytest.mark.parametrize("moment", ["2026-11-23 09:10:00", "10 o'clock", "2026-02-30 10:00:00+00", ""])
def test_a_time_without_offset_or_sense_is_refused(moment: str) -> None:
    with pytest.raises(InputError):
        judged(WHOLE, "time", moment)


def test_without_a_look_into_the_wal_the_last_commit_is_unknown() -> None:
    blind = dataclasses.replace(WHOLE, ends={})
    assert judged(blind, "time", "2026-11-23 09:12:00+00").verdict is Verdict.UNKNOWN
    assert judged(blind, "time", "2026-11-23 09:20:01+00").verdict is Verdict.FAILED


def test_a_gap_is_an_error_for_the_end_and_for_what_lies_behind_it() -> None:
    gap = held(wal(1, 1, 20, without={14}), backup("F1", 3), ends={1: LAST})
    assert failures(gap) == {"WAL has no gap": "missing: 00000001000000000000000E"}
    name = "00000001000000000000000E"
    assert window.gaps(gap.chain) == [{"repo": 1, "timeline": 1, "first": name, "last": name, "segments": 1}]
    answer = judged(gap, "default")
    assert answer.inside is False and "00000001000000000000000E" in answer.reason
    assert judged(gap, "lsn", "0/F000000").inside is False
    assert judged(gap, "lsn", "0/D000000").set == "F1"


def test_a_backup_behind_the_gap_opens_a_window_of_its_own() -> None:
    both = held(wal(1, 1, 20, without={8}), backup("F1", 3), backup("F2", 10), ends={1: LAST})
    assert [w.as_dict()["backups"] for w in window.windows(both)] == [["F1"], ["F2"]]
    assert judged(both, "default").set == "F2"
    assert judged(both, "lsn", "0/7000000").set == "F1"
    assert judged(both, "lsn", "0/9000000").inside is False


def test_a_backup_without_its_own_wal_is_none() -> None:
    needs = held(wal(1, 1, 20, without={10}), backup("F2", 10))
    assert window.windows(needs) == []
    assert set(failures(needs)) == {"a backup can be restored", "WAL has no gap"}


def test_a_backup_with_broken_pages_or_without_its_folder_is_no_base() -> None:
    broken = held(wal(1, 1, 20), backup("F1", 3), backup("F2", 10, error=True))
    assert [w.as_dict()["backups"] for w in window.windows(broken)] == [["F1"]]
    assert failures(broken) == {"page checksums hold": "broken pages in F2"}
    moved = held(wal(1, 1, 20), backup("F1", 3), backup("I", 10, references=("F1",)), labels=frozenset({"I"}))
    assert window.windows(moved) == []
    assert "F1" in failures(moved)["backups are there"]


HISTORY = f"1\t{wal_chain.lsn_text(12 * MB16 + 0x100)}\tno recovery target specified\n"


def test_a_target_before_the_fork_is_restored_along_the_new_timeline() -> None:
    forked = held(wal(1, 1, 16) | wal(2, 12, 20), backup("F1", 3), backup("F2", 14), histories={2: HISTORY})
    answer = judged(forked, "lsn", "0/5000000", timeline=2)
    assert (answer.inside, answer.set, answer.timeline) == (True, "F1", 2)
    # F2 lies on timeline 1 beyond the fork: no base for timeline 2, but for the abandoned branch.
    assert judged(forked, "default", timeline=2).set == "F1"
    assert judged(forked, "default", timeline=1).set == "F2"
    assert window.strays(forked.chain, 1) == [2]


def test_a_stray_timeline_is_not_followed() -> None:
    """A drill promoted into the repository: the higher timeline is not the one that production writes."""
    stray = held(wal(1, 1, 20) | wal(2, 12, 12), backup("F1", 3), histories={2: HISTORY}, ends={1: LAST})
    assert judged(stray, "default").timeline == 1
    assert window.strays(stray.chain, 1) == [2]


def test_a_lost_history_is_told() -> None:
    lost = held(wal(1, 1, 12) | wal(2, 12, 20), backup("F1", 3))
    assert failures(lost)["each timeline has its history"] == "missing: 00000002.history"
    answer = judged(lost, "default")
    assert answer.inside is False and "can't restore timeline 2; possible: 1" in answer.reason


def test_a_history_that_nobody_ever_wrote_on_is_foreign() -> None:
    foreign = held(wal(1, 1, 20), backup("F1", 3), histories={99: HISTORY})
    assert "00000063.history arrived before WAL of timeline 1" in failures(foreign)["no timeline is foreign"]
    assert judged(foreign, "lsn", "0/5000000").timeline == 1


def test_a_promotion_that_has_archived_only_its_history_yet_is_no_failure() -> None:
    files = {**wal(1, 1, 20), "00000002.history": NOON + 3600}
    holdings = Holdings(wal_chain.walk(1, files, {2: HISTORY}), (backup("F1", 3),), frozenset({"F1"}), {})
    checks = window.judge_repository(holdings, window.windows(holdings))
    [check] = [check for check in checks if check.name.endswith("no timeline is foreign")]
    assert check.verdict is Verdict.UNKNOWN
    assert "right after a promotion" in check.reason


def test_a_history_that_was_left_behind_is_none() -> None:
    """As of a restore that was killed before its first WAL, and begun again."""
    left = held({**wal(1, 1, 12), **wal(3, 12, 20)}, backup("F1", 3), histories={2: HISTORY, 3: HISTORY})
    assert "no timeline is foreign" not in failures(left)


def test_the_second_repository_helps_out() -> None:
    stale = held(wal(1, 1, 12), backup("F1", 3))
    other = held(wal(1, 1, 20), backup("G1", 4), ends={1: LAST}, repo=2)
    answer = window.judge_target(Target("lsn", "0/10000000"), [(h, window.windows(h)) for h in (stale, other)])
    assert (answer.inside, answer.repo, answer.set) == (True, 2, "G1")
    assert window.judge_target(Target("default"), []).inside is False


@pytest.mark.parametrize("kind", ["name", "xid"])
def test_what_only_the_wal_knows_is_unknown(kind: str) -> None:
    assert judged(WHOLE, kind, "4711").verdict is Verdict.UNKNOWN


def test_immediate_is_the_end_of_the_newest_backup() -> None:
    assert judged(WHOLE, "immediate").set == "F2"


@pytest.mark.parametrize(("kind", "value"), [("default", "x"), ("lsn", ""), ("lsn", "12"), ("noon", "x")])
def test_a_target_that_makes_no_sense_is_refused(kind: str, value: str) -> None:
    with pytest.raises(InputError):
        judged(WHOLE, kind, value)


def test_fifty_thousand_segments_are_judged_in_no_time() -> None:
    import time

    many = held(wal(1, 1, 50_000, without={40_000}), *(backup(f"F{n}", n) for n in range(100, 50_000, 700)))
    begin = time.process_time()
    assert judged(many, "lsn", "0/70000000").inside
    assert failures(many)["WAL has no gap"]
    assert time.process_time() - begin < 2
