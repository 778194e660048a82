# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The four sets and the cut: each fault that they exist for is put in, and must be found; nothing else may be."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import ledger
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict, worst

RUN = "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0001"
STEP = 50_000_000


def lsn(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


def header(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "type": "header", "version": 1, "run": RUN, "name": "t", "clients": 2, "interval_seconds": 0.05,
        "attempt_deadline_seconds": 3.0, "begin_ns": 0, "boot_id": "b", "utc": "2026-01-01T00:00:00.000000Z",
        "realtime_minus_monotonic_ns": 7, "versions": {}, "gateway": {}, **changes,
    }  # fmt: skip


def footer(attempts: int, **changes: t.Any) -> dict[str, t.Any]:
    return {
        "type": "footer", "reason": "asked", "attempts": attempts, "end_ns": 10**15, "utc": "2026-01-01T01:00:00Z",
        "realtime_minus_monotonic_ns": 7, **changes,
    }  # fmt: skip


def attempt(client: int, seq: int, outcome: str = "acked", **changes: t.Any) -> dict[str, t.Any]:
    acked = outcome.startswith("acked")
    return {
        "client": client, "seq": seq, "begin_ns": seq * STEP, "end_ns": seq * STEP + 1000, "outcome": outcome,
        "server": "198.18.1.11" if acked else None, "timeline": 1 if acked else None,
        "lsn": lsn(1000 * seq + client) if acked else None, "error": None if outcome == "acked" else "why", **changes,
    }  # fmt: skip


def lines(*attempts: dict[str, t.Any], head: t.Any = None, foot: t.Any = "asked") -> list[str]:
    records = [head or header(), *attempts]
    if foot == "asked":
        records.append(footer(len(attempts)))
    elif foot:
        records.append(foot)
    return [json.dumps(record) for record in records]


def both(count: int) -> list[dict[str, t.Any]]:
    return [attempt(client, seq) for seq in range(1, count + 1) for client in (0, 1)]


def keys(*attempts: dict[str, t.Any]) -> list[tuple[int, int]]:
    return [(one["client"], one["seq"]) for one in attempts]


def verdicts(book: ledger.Ledger, sets: ledger.Sets | None) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in ledger.checks(book, sets)}


def test_a_whole_ledger_whose_rows_are_all_there_passes() -> None:
    book = ledger.parse(lines(*both(5)))
    sets = ledger.compare(book, keys(*both(5)))
    assert book.problems == []
    assert sets.kept == 10
    assert worst(ledger.checks(book, sets)) is Verdict.PASSED
    assert (sets.rpo_seconds, sets.rpo_wal_bytes) == (0.0, 0)


def test_an_acknowledged_row_that_is_not_there_is_lost() -> None:
    book = ledger.parse(lines(*both(5)))
    sets = ledger.compare(book, keys(*both(5))[:-1])
    assert [one.key for one in sets.lost] == [(1, 5)]
    assert sets.hole == []
    assert verdicts(book, sets)["acknowledged_is_there"] is Verdict.FAILED
    assert sets.rpo_seconds == pytest.approx(1000 / 1e9)
    # The other client's row of that round survived one byte before it.
    assert sets.rpo_wal_bytes == 1


def test_a_row_missing_before_one_of_its_timeline_that_is_there_is_a_hole() -> None:
    book = ledger.parse(lines(*both(5)))
    sets = ledger.compare(book, [key for key in keys(*both(5)) if key != (0, 3)])
    assert [one.key for one in sets.hole] == [(0, 3)]
    assert [one.key for one in sets.lost] == [(0, 3)]
    assert verdicts(book, sets)["no_holes"] is Verdict.FAILED


def test_the_end_of_a_timeline_that_was_lost_is_no_hole() -> None:
    after = attempt(0, 3, timeline=2, lsn=lsn(2500))
    book = ledger.parse(lines(attempt(0, 1), attempt(0, 2), after, head=header(clients=1)))
    sets = ledger.compare(book, [(0, 1), (0, 3)])
    assert [one.key for one in sets.lost] == [(0, 2)]
    assert sets.hole == []
    # From the newest row that survived on timeline 1 to the newest lost one there.
    assert sets.rpo_wal_bytes == 1000


def test_a_row_that_nobody_tried_is_a_phantom() -> None:
    book = ledger.parse(lines(*both(5)))
    sets = ledger.compare(book, [*keys(*both(5)), (0, 6), (7, 1)])
    assert [key for key, _row in sets.phantom] == [(0, 6), (7, 1)]
    assert verdicts(book, sets)["nothing_invented"] is Verdict.FAILED


def test_a_refused_row_that_is_there_is_a_phantom() -> None:
    book = ledger.parse(lines(attempt(0, 1), attempt(0, 2, "failed"), attempt(0, 3)))
    sets = ledger.compare(book, [(0, 1), (0, 2), (0, 3)])
    assert sets.phantom == [((0, 2), "the server had refused it")]


def test_a_row_that_is_there_twice_is_a_phantom() -> None:
    book = ledger.parse(lines(attempt(0, 1)))
    sets = ledger.compare(book, [(0, 1), (0, 1)])
    assert sets.phantom == [((0, 1), "it is there 2 times")]


@pytest.mark.parametrize("present", [True, False])
def test_an_unanswered_attempt_is_in_doubt_and_accepted_either_way(present: bool) -> None:
    book = ledger.parse(lines(attempt(0, 1), attempt(0, 2, "unknown"), attempt(0, 3)))
    sets = ledger.compare(book, [(0, 1), (0, 3), *([(0, 2)] if present else [])])
    assert (sets.doubt_present, sets.doubt_absent) == (int(present), int(not present))
    assert worst(ledger.checks(book, sets)) is Verdict.PASSED


def test_a_refused_row_that_is_not_there_says_nothing() -> None:
    book = ledger.parse(lines(attempt(0, 1), attempt(0, 2, "failed"), attempt(0, 3)))
    assert worst(ledger.checks(book, ledger.compare(book, [(0, 1), (0, 3)]))) is Verdict.PASSED


def test_an_unsafe_acknowledgement_is_unknown_and_when_lost_failed() -> None:
    book = ledger.parse(lines(attempt(0, 1), attempt(0, 2, "acked_unsafe")))
    kept = ledger.compare(book, [(0, 1), (0, 2)])
    assert verdicts(book, kept)["acknowledged_safely"] is Verdict.UNKNOWN
    lost = ledger.compare(book, [(0, 1)])
    assert verdicts(book, lost)["acknowledged_safely"] is Verdict.FAILED
    assert lost.as_dict()["lost"]["acked_unsafe"] == 1


def test_without_rows_nothing_is_known() -> None:
    book = ledger.parse(lines(*both(2)))
    found = ledger.checks(book, None, why_unread="no route to host")
    assert [(check.verdict, check.reason) for check in found] == [(Verdict.UNKNOWN, "no route to host")]


def test_nothing_acknowledged_proves_nothing() -> None:
    book = ledger.parse(lines(attempt(0, 1, "failed")))
    assert worst(ledger.checks(book, ledger.compare(book, []))) is Verdict.UNKNOWN


# --- a ledger that cannot be trusted ----------------------------------------------------------------------------------


def backwards() -> list[str]:
    return lines(attempt(0, 1), attempt(0, 2, begin_ns=3 * STEP, end_ns=2 * STEP))


def overlapping() -> list[str]:
    return lines(attempt(0, 1, end_ns=9 * STEP), attempt(0, 2))


DAMAGED = {
    "nothing at all": ([], "no header"),
    "no header": (lines(*both(2))[1:], "no header"),
    "two headers": (lines(*both(2))[:1] + lines(*both(2)), "cannot be read"),
    "a header without its run": (lines(*both(2), head={"type": "header", "version": 1}), "header lacks"),
    "another version": (lines(*both(2), head=header(version=2)), "version 2"),
    "cut off after a line": (lines(*both(2), foot=None), "stopped early"),
    "cut off within a line": ([*lines(*both(2))[:-2], lines(*both(2))[-2][:20]], "cannot be read"),
    "a line lost in the middle": ([line for i, line in enumerate(lines(*both(3))) if i != 3], "the file holds 5"),
    "a line repeated": (lines(attempt(0, 1), attempt(0, 2), attempt(0, 2)), "sequence numbers of client 0"),
    "a line corrupted": ([*lines(*both(2))[:2], "\x00\x00\x00", *lines(*both(2))[3:]], "line 3 cannot be read"),
    "a list for a line": ([*lines(*both(2))[:2], "[]", *lines(*both(2))[3:]], "line 3 cannot be read"),
    "an unknown outcome": (lines(attempt(0, 1, outcome="splendid")), "cannot be read"),
    "an acknowledgement without LSN": (lines(attempt(0, 1, lsn=None)), "cannot be read"),
    "a number as text": (lines(attempt(0, 1, begin_ns="5")), "cannot be read"),
    "an unknown kind of line": (lines({"type": "remark"}), "cannot be read"),
    "a line after the footer": ([*lines(*both(1)), json.dumps(attempt(0, 2))], "cannot be read"),
    "a client beyond the run's": (lines(attempt(5, 1)), "client 5"),
    "a clock that went backwards": (backwards(), "clock of client 0"),
    "attempts that overlap": (overlapping(), "clock of client 0"),
    "an attempt before the run": (lines(attempt(0, 1), head=header(begin_ns=10**12)), "clock of client 0"),
    "a probe that expired": (lines(attempt(0, 1), foot=footer(1, reason="expired")), "by itself (expired)"),
    "a footer that counts otherwise": (lines(attempt(0, 1), foot=footer(2)), "footer counts 2"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_ledger_is_unknown_and_says_why(name: str) -> None:
    text, why = DAMAGED[name]
    book = ledger.parse(text)
    sets = ledger.compare(book, {one.key for one in book.attempts if one.acked})
    found = ledger.checks(book, sets)
    assert why in "; ".join(book.problems)
    assert worst(found) is Verdict.UNKNOWN
    assert Verdict.PASSED not in {check.verdict for check in found}


def test_a_loss_is_a_loss_even_in_a_damaged_ledger() -> None:
    book = ledger.parse(lines(*both(2), foot=None))
    sets = ledger.compare(book, [(0, 1), (1, 1)])
    assert worst(ledger.checks(book, sets)) is Verdict.FAILED


def test_the_attempt_under_way_when_a_probe_was_killed_is_in_doubt() -> None:
    book = ledger.parse(lines(attempt(0, 1), attempt(0, 2), foot=None))
    sets = ledger.compare(book, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)])
    assert sets.doubt_present == 2
    assert [key for key, _row in sets.phantom] == [(1, 2)]


@given(st.lists(st.one_of(st.text(), st.sampled_from(lines(*both(3))))))
def test_no_text_breaks_the_reader(text: list[str]) -> None:
    book = ledger.parse(text)
    ledger.checks(book, ledger.compare(book, [(0, 1)]))


@given(st.data())
def test_exactly_what_was_taken_away_is_lost_and_exactly_what_was_added_is_phantom(data: st.DataObject) -> None:
    clients = data.draw(st.integers(1, 4))
    outcomes = data.draw(
        st.lists(st.lists(st.sampled_from(ledger.OUTCOMES), max_size=12), min_size=1, max_size=clients)
    )
    attempts = [attempt(c, s, outcome) for c, row in enumerate(outcomes) for s, outcome in enumerate(row, start=1)]
    acked = {(one["client"], one["seq"]) for one in attempts if one["outcome"] in ledger.ACKED}
    open_ones = {(one["client"], one["seq"]) for one in attempts if one["outcome"] == "unknown"}
    lost = data.draw(st.sets(st.sampled_from(sorted(acked)))) if acked else set()
    happened = data.draw(st.sets(st.sampled_from(sorted(open_ones)))) if open_ones else set()
    strangers = data.draw(st.sets(st.tuples(st.integers(0, 5), st.integers(100, 110))))
    book = ledger.parse(lines(*attempts, head=header(clients=clients)))
    assert book.problems == []
    sets = ledger.compare(book, (acked - lost) | happened | strangers)
    assert {one.key for one in sets.lost} == lost
    assert {key for key, _row in sets.phantom} == strangers
    assert (sets.doubt_present, sets.doubt_absent) == (len(happened), len(open_ones - happened))
    assert {one.key for one in sets.hole} == {
        (client, seq) for client, seq in lost if any(c == client and s > seq for c, s in acked - lost)
    }
    assert sets.kept == len(acked - lost)


# --- the cut of a restore to a point in time --------------------------------------------------------------------------


def simulated(order: t.Sequence[int], slack: t.Sequence[int]) -> tuple[list[dict[str, t.Any]], list[t.Any], list[int]]:
    """A WAL that clients 0 to 2 write: each turn a client writes its row's record, and the next turn its commit record.

    A client sees the end of the WAL some records after its own row's record, but before its commit.
    Returns the attempts, the records as (begin, end, committed key or None), and the boundaries.
    """
    end, seqs, open_rows = 1000, [0, 0, 0], {}
    attempts, records, moment = [], [], 1
    for client, grow in zip(order, slack, strict=False):
        begin, end = end, end + 40 + grow
        moment += 1
        if client not in open_rows:
            seqs[client] += 1
            records.append((begin, end, None))
            open_rows[client] = (end, moment)
        else:
            seen, began = open_rows.pop(client)
            seen = max(seen, begin - grow) if begin - grow in {record[1] for record in records} else seen
            records.append((begin, end, (client, seqs[client])))
            attempts.append(attempt(client, seqs[client], lsn=lsn(seen), begin_ns=began, end_ns=moment, timeline=3))
    return attempts, records, [records[0][0], *(record[1] for record in records)] if records else [1000]


@given(st.lists(st.integers(0, 2), max_size=60), st.data(), st.booleans())
def test_a_right_restore_is_never_accused_and_its_rows_are_placed(
    order: list[int], data: st.DataObject, inclusive: bool
) -> None:
    slack = data.draw(st.lists(st.sampled_from([0, 8]), min_size=len(order), max_size=len(order)))
    attempts, records, boundaries = simulated(order, slack)
    target = data.draw(st.sampled_from(boundaries))
    applied = [record for record in records if record[0] < target]
    if inclusive:
        applied += [record for record in records if record[0] >= target][:1]
    present = {record[2] for record in applied if record[2]}
    after = attempt(2, max((a["seq"] for a in attempts if a["client"] == 2), default=0) + 1, timeline=4, begin_ns=10**6)
    attempts.append({**after, "end_ns": 10**6 + 1})
    present.add((2, after["seq"]))
    known = {(one["client"], one["seq"]) for one in attempts}
    book = ledger.parse(lines(*attempts, head=header(clients=3)))
    assert book.problems == []
    cut = ledger.Cut(target, 3, inclusive)
    sets = ledger.compare(book, present & known, cut)
    assert (sets.lost, sets.undead, sets.phantom, sets.hole) == ([], [], [], [])
    # At most one commit of each client can be so near the target that it cannot be placed.
    assert sets.at_cut_present + sets.at_cut_absent <= 3
    assert sets.kept + len(sets.discarded) + sets.at_cut_present + sets.at_cut_absent == len(attempts)


CUT = ledger.Cut(3500, 1)


def test_rows_before_the_cut_must_be_there() -> None:
    book = ledger.parse(lines(*both(6)))
    sets = ledger.compare(book, [(0, 1), (1, 1), (1, 2)], CUT)
    assert [one.key for one in sets.lost] == [(0, 2)]
    assert [one.key for one in sets.discarded] == [(0, 4), (1, 4), (0, 5), (1, 5), (0, 6), (1, 6)]
    assert (sets.at_cut_present, sets.at_cut_absent) == (0, 2)
    assert sets.discarded_seconds == pytest.approx(0.100001)


def test_a_row_from_after_the_cut_must_not_be_there() -> None:
    book = ledger.parse(lines(*both(6)))
    sets = ledger.compare(book, [(c, s) for c in (0, 1) for s in (1, 2, 3)] + [(0, 5)], CUT)
    assert [one.key for one in sets.undead] == [(0, 5)]
    assert verdicts(book, sets)["restore_stopped_at_its_target"] is Verdict.FAILED


def test_a_right_cut_passes_and_says_so() -> None:
    book = ledger.parse(lines(*both(6)))
    sets = ledger.compare(book, [(c, s) for c in (0, 1) for s in (1, 2)], CUT)
    assert verdicts(book, sets)["restore_stopped_at_its_target"] is Verdict.PASSED
    assert worst(ledger.checks(book, sets)) is Verdict.PASSED


def test_rows_of_the_timeline_after_the_restore_are_not_discarded() -> None:
    later = [attempt(0, 7, timeline=2, lsn=lsn(9000)), attempt(1, 7, timeline=2, lsn=lsn(9001))]
    book = ledger.parse(lines(*both(6), *later))
    sets = ledger.compare(book, [(c, s) for c in (0, 1) for s in (1, 2)] + [(0, 7)], CUT)
    assert [one.key for one in sets.lost] == [(1, 7)]


def test_an_exclusive_target_at_a_rows_own_position_discards_it() -> None:
    book = ledger.parse(lines(*both(6)))
    rows = [(c, s) for c in (0, 1) for s in (1, 2, 3)]
    exclusive = ledger.compare(book, rows, ledger.Cut(4000, 1, inclusive=False))
    assert (0, 4) in [one.key for one in exclusive.discarded]
    inclusive = ledger.compare(book, rows, ledger.Cut(4000, 1))
    assert (inclusive.at_cut_present, inclusive.at_cut_absent) == (1, 1)
    assert (0, 4) not in [one.key for one in inclusive.discarded]


@pytest.mark.parametrize("given_cut", [{"lsn": "0/5"}, {"timeline": 3}, {"lsn": "5", "timeline": 3}])
def test_a_cut_with_a_part_missing_is_refused(given_cut: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match=r"a cut needs|not an LSN"):
        ledger.Cut.of(given_cut)


@pytest.mark.parametrize(("text", "value"), [("0/0", 0), ("1/0", 1 << 32), ("A/FF", (10 << 32) + 255)])
def test_an_lsn_is_read(text: str, value: int) -> None:
    assert ledger.parse_lsn(text) == value


@pytest.mark.parametrize("text", ["", "0", "/", "x/y", "0/123456789", "0/"])
def test_what_is_no_lsn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"LSN|invalid literal"):
        ledger.parse_lsn(text)
