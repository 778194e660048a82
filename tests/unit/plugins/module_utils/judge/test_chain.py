# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain: what clients felt is found in the ledger, marks are placed beside it, and contradictions are named."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import chain, ledger
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

SECOND = 1_000_000_000
STEP = SECOND // 20


def line(client: int, seq: int, end: float, outcome: str = "acked", begin: float | None = None) -> dict[str, t.Any]:
    acked = outcome.startswith("acked")
    return {
        "client": client, "seq": seq, "end_ns": round(end * SECOND), "outcome": outcome, "error": None,
        "begin_ns": round((end - 0.001 if begin is None else begin) * SECOND),
        "server": "a" if acked else None, "timeline": 1 if acked else None, "lsn": "0/1" if acked else None,
    }  # fmt: skip


def book(attempts: list[dict[str, t.Any]], *more: dict[str, t.Any], clients: int = 2, end: float = 0) -> ledger.Ledger:
    header = {
        "type": "header", "version": 1, "run": "r", "clients": clients, "interval_seconds": 0.05, "begin_ns": 0,
        "boot_id": "b", "realtime_minus_monotonic_ns": 5,
    }  # fmt: skip
    last = max([round(end * SECOND), *(one["end_ns"] for one in attempts)])
    footer = {
        "type": "footer", "reason": "asked", "attempts": len(attempts), "end_ns": last,
        "realtime_minus_monotonic_ns": 5,
    }  # fmt: skip
    return ledger.parse(json.dumps(record) for record in [header, *attempts, *more, footer])


def outage_book() -> ledger.Ledger:
    """Two clients write 20 times a second up to 10 s; then errors; client 0 is back at 14 s and client 1 at 14.4 s."""
    attempts = []
    for seq in range(1, 201):
        attempts += [line(0, seq, seq * 0.05), line(1, seq, seq * 0.05 - 0.02)]
    attempts += [line(0, 201, 10.3, "unknown", begin=10.05), line(1, 201, 13.1, "unknown", begin=10.06)]
    attempts += [line(0, 202, 10.6, "failed"), line(0, 203, 14.0, begin=10.65), line(1, 202, 14.4, begin=13.15)]
    attempts += [line(0, 203 + n, 14.0 + n * 0.05) for n in range(1, 20)]
    attempts += [line(1, 202 + n, 14.4 + n * 0.05) for n in range(1, 12)]
    outage = {"type": "outage", "t1_ns": 10 * SECOND, "t2_ns": None, "t3_ns": round(11.1 * SECOND), "rule": "silence"}
    return book(attempts, outage)


def mark(seconds: float, error: float = 0.0) -> dict[str, t.Any]:
    return {"monotonic_ns": round(seconds * SECOND), "error_seconds": error, "source": "test"}


MARKS = {
    "fault": mark(10.01, 0.002), "t4": mark(12.0), "promote_asked": mark(12.1), "t6": mark(13.5),
    "redundancy_back": mark(20), "archiving_back": mark(22), "new_backup": mark(30), "decided": mark(11.2),
}  # fmt: skip


def built(marks: t.Any = None, of: ledger.Ledger | None = None) -> chain.Chain:
    return chain.build(
        chain.gaps(of or outage_book()), chain.read_marks(MARKS if marks is None else marks), at_least_seconds=0.25
    )


def verdicts(found: chain.Chain, **options: t.Any) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in chain.checks(found, **{"outage_expected": True, **options})}


def test_the_whole_chain_in_seconds_since_the_fault() -> None:
    assert outage_book().problems == []
    found = built()
    expected = {
        "t0": 0.0, "t1": -0.01, "t2": 0.29, "t3": 1.09, "t4": 1.99, "t5": 2.09, "t6": 3.49, "t7": 3.99, "t8": 4.39,
        "t9": 9.99, "t10": 11.99, "t11": 19.99,
    }  # fmt: skip
    assert found.seconds == pytest.approx(expected)
    assert found.rto_seconds == pytest.approx(4.0)
    assert found.decided == pytest.approx(1.19)
    assert found.decided_to_first_ack_seconds == pytest.approx(2.8)
    assert found.errors["t0"] == 0.002
    assert set(verdicts(found, required=tuple(chain.PHASES)).values()) == {Verdict.PASSED}


def test_without_a_fault_the_chain_begins_at_the_last_ack() -> None:
    found = built({})
    assert found.origin == "t1"
    assert found.seconds["t0"] is None
    assert (found.seconds["t1"], found.seconds["t7"]) == (0.0, pytest.approx(4.0))


def test_where_no_client_felt_anything_the_chain_begins_at_the_first_phase_that_was_seen() -> None:
    found = chain.build([], chain.read_marks({"t10": mark(22.0), "t4": mark(12.0)}), at_least_seconds=0.25)
    assert (found.origin, found.seconds["t4"], found.seconds["t10"]) == ("t4", 0.0, pytest.approx(10.0))
    assert verdicts(found, required=("t4", "t10"), outage_expected=False)["service_recovered"] is Verdict.PASSED


def test_marks_never_overrule_what_clients_felt() -> None:
    found = built({**MARKS, "first_ack": mark(11.0), "last_ack": mark(10.9), "load_back": mark(11.5)})
    assert found.rto_seconds == pytest.approx(4.0)
    assert found.seconds["t8"] == pytest.approx(4.39)


def test_marks_come_as_a_list_too_and_what_could_not_be_placed_is_unseen() -> None:
    marks = chain.read_marks([{"name": "t4", **mark(1)}, {"name": "coffee", **mark(2)}])
    assert list(marks) == ["t4"]
    found = built({**MARKS, "fenced": None, "t4": None})
    assert found.seconds["t4"] is None
    assert verdicts(found, required=("t4",))["phase_fenced"] is Verdict.UNKNOWN


def test_a_mark_without_a_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no monotonic_ns"):
        chain.read_marks({"fenced": {"utc": "2026-01-01T00:00:00Z"}})


def test_the_gap_counts_what_clients_saw_in_it() -> None:
    gap = built().outage
    assert gap is not None
    assert (gap.failed, gap.unknown) == (1, 2)
    assert chain.Gap.of(json.loads(json.dumps(gap.as_dict()))) == gap


def test_no_outage_is_unknown_where_one_was_expected_and_fine_where_not() -> None:
    steady = book([line(client, seq, seq * 0.05 + client * 0.02) for seq in range(1, 50) for client in (0, 1)])
    found = built({"fault": mark(1.0)}, steady)
    assert (found.outage, found.rto_seconds) == (None, None)
    assert verdicts(found)["service_recovered"] is Verdict.UNKNOWN
    assert verdicts(found, outage_expected=False)["service_recovered"] is Verdict.PASSED


def test_an_outage_before_the_fault_is_not_the_faults() -> None:
    early = book([line(0, 1, 1.0), line(0, 2, 9.0), line(0, 3, 9.1), line(0, 4, 10.2), line(0, 5, 10.3)], clients=1)
    found = built({"fault": mark(9.5)}, early)
    assert found.outage is not None
    assert found.rto_seconds == pytest.approx(1.1)


def test_an_outage_that_was_under_way_at_the_fault_is_named() -> None:
    found = built({"fault": mark(12.5)})
    assert verdicts(found)["chain_consistent"] is Verdict.UNKNOWN


def test_a_service_that_never_came_back_is_failed() -> None:
    dead = book([line(0, 1, 1.0), line(0, 2, 2.0), line(0, 3, 5.0, "failed")], clients=1, end=30)
    found = built({"fault": mark(2.0)}, dead)
    assert found.outage is not None
    assert (found.outage.t7_ns, found.rto_seconds, found.outage.seconds) == (None, None, pytest.approx(28.0))
    assert verdicts(found)["service_recovered"] is Verdict.FAILED


def test_a_client_that_never_came_back_is_failed() -> None:
    half = book([line(0, 1, 1.0), line(1, 1, 1.1), line(0, 2, 6.0), line(1, 2, 6.0, "failed")], end=20)
    assert verdicts(built({}, half))["service_recovered"] is Verdict.FAILED


def twice_book(again: str = "unknown") -> ledger.Ledger:
    """Gone from 1 s to 3 s, and again from 3.2 s to 8 s, or to 5 s if that attempt was acknowledged."""
    moments = [(0.5, "acked"), (1.0, "acked"), (3.0, "acked"), (3.1, "acked"), (3.2, "acked"), (5.0, again)]
    moments += [(8.0, "acked"), (8.1, "acked")]
    attempts = [line(0, seq, end, how, begin=end - 0.05) for seq, (end, how) in enumerate(moments, start=1)]
    outages = [
        {"type": "outage", "t1_ns": 0, "t2_ns": None, "t3_ns": round(moment * SECOND), "rule": "silence"}
        for moment in (2.0, 4.2)
    ]
    return book(attempts, *outages, clients=1)


def test_the_recovery_is_the_first_detected_outages_and_a_later_one_shows_that_it_did_not_hold() -> None:
    found = built({"fault": mark(1.0)}, twice_book())
    assert found.rto_seconds == pytest.approx(2.0)
    assert [gap.seconds for gap in found.later] == [pytest.approx(4.8)]
    assert verdicts(found)["recovery_held"] is Verdict.FAILED
    assert "recovery_held" not in verdicts(built())


def test_a_later_stall_in_which_no_attempt_failed_is_no_second_outage() -> None:
    found = built({"fault": mark(1.0)}, twice_book("acked"))
    assert found.rto_seconds == pytest.approx(2.0)
    assert found.later == ()


def test_a_detected_outage_is_kept_however_many_gaps_are_longer() -> None:
    attempts = [line(0, seq, seq * 2.0) for seq in range(1, 60)]
    attempts.append(line(0, 60, 59 * 2.0 + 1.1))
    outage = {"type": "outage", "t1_ns": 0, "t2_ns": None, "t3_ns": round(119.05 * SECOND), "rule": "silence"}
    found = chain.gaps(book(attempts, outage, clients=1))
    assert len(found) == chain.GAPS
    assert [gap.seconds for gap in found if gap.t3_ns is not None] == [pytest.approx(1.1)]


def test_promotion_before_the_fence_is_failed_unless_the_error_bound_covers_it() -> None:
    assert verdicts(built({**MARKS, "fenced": mark(12.3)}))["fenced_before_promotion"] is Verdict.FAILED
    assert verdicts(built({**MARKS, "fenced": mark(12.3, 0.3)}))["fenced_before_promotion"] is Verdict.PASSED


def test_a_first_ack_before_anything_was_writable_cannot_be() -> None:
    assert verdicts(built({**MARKS, "writable": mark(14.2)}))["chain_consistent"] is Verdict.UNKNOWN
    assert verdicts(built({**MARKS, "writable": mark(14.2, 0.25)}))["chain_consistent"] is Verdict.PASSED


def test_the_longest_stall_is_one_clients() -> None:
    assert chain.longest_stall_seconds(outage_book()) == pytest.approx(14.4 - 9.98)
    assert chain.longest_stall_seconds(book([line(0, 1, 1.0, "failed")])) is None


def test_nothing_acknowledged_has_no_gaps() -> None:
    assert chain.gaps(book([line(0, 1, 1.0, "failed")])) == []


def probe_verdicts(of: ledger.Ledger) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in chain.probe_checks(of)}


def test_a_probe_that_stood_still_is_unknown() -> None:
    assert probe_verdicts(outage_book())["probe_kept_trying"] is Verdict.PASSED
    idle = book([line(0, 1, 0.5), line(0, 2, 2.0), line(0, 3, 2.1)], clients=1)
    assert chain.blind_seconds(idle) == pytest.approx(1.499)
    assert probe_verdicts(idle)["probe_kept_trying"] is Verdict.UNKNOWN


def test_a_supervisor_that_was_not_run_is_unknown_even_if_attempts_were_under_way() -> None:
    stall = {"type": "stall", "begin_ns": 1 * SECOND, "end_ns": 4 * SECOND}
    stalled = book([line(0, 1, 0.5), line(0, 2, 4.0, begin=0.55)], stall, clients=1)
    assert probe_verdicts(stalled)["probe_kept_trying"] is Verdict.UNKNOWN


def test_a_wall_clock_that_was_set_is_unknown() -> None:
    of = outage_book()
    assert probe_verdicts(of)["observer_clock"] is Verdict.PASSED
    assert of.footer is not None
    of.footer["realtime_minus_monotonic_ns"] += 2 * SECOND
    assert probe_verdicts(of)["observer_clock"] is Verdict.UNKNOWN
    of.footer = None
    assert probe_verdicts(of)["observer_clock"] is Verdict.UNKNOWN


@given(st.lists(st.tuples(st.integers(1, 5 * SECOND), st.sampled_from(["acked", "failed", "unknown"])), max_size=60))
def test_the_longest_gap_is_never_missed_and_never_made_up(steps: list[tuple[int, str]]) -> None:
    moment, attempts = 0, []
    for seq, (step, outcome) in enumerate(steps, start=1):
        moment += step
        attempts.append({**line(0, seq, 0, outcome), "begin_ns": moment - 1, "end_ns": moment})
    acks = [one["end_ns"] for one in attempts if one["outcome"] == "acked"]
    ends = [*acks[1:], moment] if acks else []
    expected = max((b - a for a, b in zip(acks, ends, strict=True)), default=None)
    found = chain.gaps(book(attempts, clients=1))
    assert max((gap.seconds for gap in found), default=None) == (None if expected is None else expected / SECOND)
    assert all(gap.t1_ns in acks and (gap.t7_ns is None or gap.t7_ns in acks) for gap in found)
    assert found == sorted(found, key=lambda gap: gap.t1_ns)


def test_clients_may_notice_late_what_was_decided_before_they_felt_anything() -> None:
    early = {**MARKS, "promote_asked": mark(11.0)}
    assert verdicts(built(early))["chain_consistent"] is Verdict.UNKNOWN
    assert verdicts(built({**early, "decided": mark(10.5)}))["chain_consistent"] is Verdict.PASSED
