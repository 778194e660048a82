# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One recovery as a whole: from the probe's account to the report's figures."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.probe_rows import ProbeRows
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import probe_account, recovery

SECOND = 1_000_000_000
OBJECTIVES = {"rto_seconds": 10, "rpo_seconds": 300, "rpo_transactions": 0, "availability_percent": 99.95}


def ledger_lines(*, gap: float = 4.0, failed: bool = True, footer: bool = True, promoted: int = 1) -> list[str]:
    """One client: a row a tenth of a second for 2 s, a gap with one failed attempt (or none), then 2 s more, on the
    timeline ``promoted``.
    """
    records: list[dict[str, t.Any]] = [
        {"type": "header", "version": 1, "run": "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0001", "name": "t", "clients": 1,
         "interval_seconds": 0.1, "begin_ns": 0, "boot_id": "b", "utc": "x", "realtime_minus_monotonic_ns": 1},
    ]  # fmt: skip
    seq, moment, timeline = 0, 0.0, 1

    def add(outcome: str, seconds: float) -> None:
        nonlocal seq, moment
        seq += 1
        begin, moment = moment, moment + seconds
        acked = outcome == "acked"
        records.append(
            {"client": 0, "seq": seq, "begin_ns": round(begin * SECOND) + 1, "end_ns": round(moment * SECOND),
             "outcome": outcome, "server": "a" if acked else None, "timeline": timeline if acked else None,
             "lsn": f"0/{seq * 16:X}" if acked else None, "error": None}
        )  # fmt: skip

    for _try in range(20):
        add("acked", 0.1)
    if failed:
        add("failed", gap / 2)
        gap /= 2
    timeline = promoted
    add("acked", gap)
    for _try in range(20):
        add("acked", 0.1)
    if footer:
        records.append(
            {"type": "footer", "reason": "asked", "attempts": seq, "end_ns": round(moment * SECOND), "utc": "y",
             "realtime_minus_monotonic_ns": 1}
        )  # fmt: skip
    return [json.dumps(record) for record in records]


def account(lines: list[str], *, missing: t.Collection[int] = ()) -> dict[str, t.Any]:
    acked = [json.loads(line) for line in lines if '"acked"' in line]
    rows = tuple((0, one["seq"]) for one in acked if one["seq"] not in missing)
    answer = probe_account.account(lines, ProbeRows(rows, "a", 1, "0/500"))
    return t.cast("dict[str, t.Any]", json.loads(json.dumps(answer)))


def judged(of: dict[str, t.Any], **request: t.Any) -> dict[str, t.Any]:
    return recovery.judge(of, recovery.Request(**{"marks": {}, "objectives": OBJECTIVES, **request}))


def test_a_good_recovery_passes_with_its_figures() -> None:
    report = judged(account(ledger_lines()), marks={"fault": {"monotonic_ns": 2 * SECOND, "error_seconds": 0.1}})
    assert report["verdict"] == "passed", report["checks"]
    assert report["rto_seconds"] == pytest.approx(4.0)
    assert report["rpo"] == {"transactions": 0, "seconds": 0.0, "wal_bytes": 0}
    assert report["probe_interval_seconds"] == 0.1
    assert set(report["chain"]) == {f"t{number}" for number in range(12)}
    assert report["chain"]["t0"] == 0.0
    json.dumps(report)


def test_a_lost_row_fails_and_is_counted_in_three_units() -> None:
    report = judged(account(ledger_lines(), missing={19, 20}))
    assert report["verdict"] == "failed"
    assert report["rpo"] == {"transactions": 2, "seconds": pytest.approx(0.2), "wal_bytes": 32}
    failed = {check["name"] for check in report["checks"] if check["verdict"] == "failed"}
    assert {"acknowledged_is_there", "rpo_transactions"} <= failed


@pytest.mark.parametrize(
    ("objectives", "verdict"),
    [
        ({"rto_seconds": 10, "rpo_seconds": 300}, "passed"),
        ({"rto_seconds": 10, "rpo_seconds": 0.05}, "failed"),
        ({"rto_seconds": 10, "rpo_seconds": 300, "rpo_transactions": 0}, "failed"),
        ({"rto_seconds": 10}, "failed"),
    ],
)
def test_a_loss_that_was_taken_on_is_judged_by_the_rpo(objectives: dict[str, float], verdict: str) -> None:
    report = judged(
        account(ledger_lines(promoted=2), missing=[20]), objectives=objectives, accepted_loss="region a is gone"
    )
    assert report["verdict"] == verdict
    assert report["rpo"]["transactions"] == 1


def test_a_hole_is_never_taken_on() -> None:
    report = judged(
        account(ledger_lines(), missing=[19]),
        objectives={"rto_seconds": 10, "rpo_seconds": 300},
        accepted_loss="region a is gone",
    )
    checks = {check["name"]: check for check in report["checks"]}
    assert (report["verdict"], checks["no_holes"]["verdict"]) == ("failed", "failed")
    assert checks["acknowledged_is_there"]["reason"].endswith("accepted beforehand (region a is gone)")


def test_a_slow_recovery_fails() -> None:
    assert judged(account(ledger_lines(gap=11)))["verdict"] == "failed"


def test_a_ledger_cut_short_is_unknown_and_says_no_zero() -> None:
    report = judged(account(ledger_lines(footer=False)))
    assert report["verdict"] == "unknown"
    assert report["rpo"] == {"transactions": None, "seconds": None, "wal_bytes": None}


def test_rows_that_could_not_be_read_are_unknown() -> None:
    of = probe_account.account(ledger_lines(), None, why_unread="the rows could not be read: no route")
    report = judged(of)
    assert report["verdict"] == "unknown"
    assert report["rpo"]["transactions"] is None
    assert "no route" in json.dumps(report["checks"])


def test_a_recovery_without_outage_is_unknown() -> None:
    assert judged(account(ledger_lines(gap=0.1, failed=False)))["verdict"] == "unknown"


def test_a_switchover_is_judged_by_its_longest_gap_and_allows_no_error() -> None:
    calm = account(ledger_lines(gap=0.2, failed=False))
    report = judged(calm, outage_expected=False, failures_allowed=False)
    assert report["verdict"] == "passed", report["checks"]
    assert report["rto_seconds"] == pytest.approx(0.2)
    harmed = account(ledger_lines(gap=0.2))
    assert judged(harmed, outage_expected=False, failures_allowed=False)["verdict"] == "failed"


def test_a_required_phase_that_was_not_seen_is_unknown() -> None:
    report = judged(account(ledger_lines()), required=("t9",))
    assert report["verdict"] == "unknown"
    assert report["checks"][-5]["name"] == "phase_redundancy_back"


@pytest.mark.parametrize(("verdict", "outcome"), [("failed", "failed"), ("unknown", "unknown"), ("passed", "passed")])
def test_checks_of_others_count(verdict: str, outcome: str) -> None:
    more = ({"name": "marker_n", "verdict": verdict, "reason": "looked"},)
    assert judged(account(ledger_lines()), more_checks=more)["verdict"] == outcome


@pytest.mark.parametrize(
    "request_part",
    [
        {"objectives": {"rto": 5}},
        {"required": ("t12",)},
        {"marks": {"fenced": {}}},
        {"more_checks": ({"name": "x"},)},
        {"more_checks": ({"name": "x", "verdict": "splendid", "reason": ""},)},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_part: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        judged(account(ledger_lines()), **request_part)


def test_the_run_is_read_off_the_header_alone() -> None:
    assert probe_account.run_of(ledger_lines()) == "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0001"
    assert [probe_account.run_of(lines) for lines in ([], ["{"], ["[]"], ["{}"], ledger_lines()[1:])] == [None] * 5


def test_an_empty_ledger_still_gives_an_account() -> None:
    of = probe_account.account([], None)
    assert of["verdict"] == "unknown"
    assert judged(of)["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("blind", "objective", "verdict"), [(3.0, 10, "passed"), (7.0, 10, "unknown"), (3.0, None, "unknown")]
)
def test_a_probe_that_stood_still_decides_what_its_figures_have_room_for(
    blind: float, objective: float | None, verdict: str
) -> None:
    stalled = ledger_lines()
    stalled.insert(1, json.dumps({"type": "stall", "begin_ns": 0, "end_ns": round(blind * SECOND)}))
    objectives = {name: value for name, value in {**OBJECTIVES, "rto_seconds": objective}.items() if value is not None}
    report = judged(account(stalled), objectives=objectives)
    assert report["rto_seconds"] == pytest.approx(4.0)
    checks = {check["name"]: check for check in report["checks"]}
    assert (checks["probe_kept_trying"]["verdict"], report["verdict"]) == (verdict, verdict)
    if verdict == "passed":
        assert "no outage was longer than 7.000 s, and the objective is 10 s" in checks["probe_kept_trying"]["reason"]
