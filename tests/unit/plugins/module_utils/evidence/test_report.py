# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import types
import typing as t

import jsonschema
import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks, report
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.report import Circumstances
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import probe_account, recovery

ENDED = "2026-11-23T09:40:00.000000Z"
PASSED = {"name": "no_row_lost", "verdict": "passed", "reason": "12 of 12"}
FAILED = {"name": "rto", "verdict": "failed", "reason": "12 of at most 10 s"}
UNKNOWN = {"name": "archiving", "verdict": "unknown", "reason": "nobody looked"}
NONE_LOST = {"transactions": 0, "seconds": 0.0, "wal_bytes": 0}


def assemble(about: Circumstances, bundle: Bundle, given: dict[str, t.Any]) -> dict[str, t.Any]:
    report.check_given(given)
    found = report.assemble(about, given, bundle.timeline.read(), ENDED)
    jsonschema.Draft202012Validator(report.report_schema()).validate(found)
    return found


def test_the_first_fields_are_those_that_were_promised(about: Circumstances, bundle: Bundle) -> None:
    promised = [
        "schema", "operation", "scenario", "cluster", "verdict", "rto_seconds", "rpo", "probe_interval_seconds",
        "chain", "checks", "objectives", "versions", "approvals", "not_tested",
    ]  # fmt: skip
    found = assemble(about, bundle, {"checks": [PASSED]})
    assert [name for name in found if name in promised] == promised
    assert list(found["chain"]) == [f"t{number}" for number in range(12)]
    assert list(found["rpo"]) == ["transactions", "seconds", "wal_bytes"]


def test_a_judged_recovery_is_the_report(about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any]) -> None:
    found = assemble(about, bundle, report.merge(report.of_judged(host_lost), {}))
    assert found["verdict"] == "passed"
    assert found["rto_seconds"] == 4.312
    assert found["chain"] == host_lost["chain"]
    assert found["objectives"] == {"retention_days": 30, **host_lost["objectives"]}
    assert found["transactions"] == host_lost["outcomes"]
    assert found["zero"] == {"clock": "observer", "monotonic_ns": 5_000_000_000_000, "mark": "fault"}
    assert found["summary"] == {
        "detected_seconds": 1.04,
        "decided_to_first_ack_seconds": 3.223,
        "rto_seconds": 4.312,
        "lost_transactions": 0,
        "rpo_seconds": 0.0,
        "redundancy_back_seconds": 31.6,
        "archiving_back_seconds": 21.2,
    }


def test_marks_stand_on_the_scale_of_the_chain(
    about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any]
) -> None:
    found = assemble(about, bundle, report.of_judged(host_lost))
    marks = {mark["mark"]: mark for mark in found["marks"]}
    assert marks["fenced"]["seconds"] == 2.31
    assert marks["fenced"]["error_seconds"] == pytest.approx(0.02 + 3.31 * 0.0005, abs=1e-6)
    assert marks["fenced"]["detail"] == "pg-a1: the fence agent says off"
    assert found["clocks"][0]["error_seconds"] == 0.02


def judged(ledger: bytes, bundle: Bundle, *, outage_expected: bool = True) -> dict[str, t.Any]:
    """What the judge really answers about a ledger and the marks of a timeline."""
    lines = ledger.decode().splitlines()
    rows = [json.loads(line) for line in lines if '"acked"' in line]
    read = types.SimpleNamespace(
        rows=tuple((row["client"], row["seq"]) for row in rows), server="198.18.1.12", timeline=2, lsn="0/5000148"
    )
    request = recovery.Request(
        marks=clocks.as_marks(bundle.events()), objectives={"rto_seconds": 10}, outage_expected=outage_expected
    )
    return recovery.judge(probe_account.account(lines, read), request)


def test_what_the_judge_really_answers_is_a_report(about: Circumstances, bundle: Bundle, ledger: bytes) -> None:
    answer = judged(ledger, bundle)
    found = assemble(about, bundle, report.of_judged(answer))
    assert found["zero"]["mark"] == "fault"
    assert abs(found["zero"]["monotonic_ns"] - 5_000_000_000_000) < 1000
    assert found["rto_seconds"] == pytest.approx(4.312, abs=0.06)
    assert found["chain"]["t4"] == pytest.approx(2.31)
    assert found["rpo"]["transactions"] == 0
    assert {mark["mark"]: mark["seconds"] for mark in found["marks"]}["decided"] == pytest.approx(1.11)


def test_a_judge_who_found_no_outage_leaves_the_marks(about: Circumstances, bundle: Bundle, ledger: bytes) -> None:
    calm = b"".join(line + b"\n" for line in ledger.splitlines() if b'"acked"' in line or b'"header"' in line)
    answer = {**judged(calm, bundle, outage_expected=False), "chain": dict.fromkeys(report.TOP), "outage": None}
    found = assemble(about, bundle, report.of_judged({**answer, "decided_seconds": None}))
    assert found["chain"]["t4"] == 2.31
    assert found["decided_seconds"] == 1.11


def test_without_a_judge_the_chain_is_what_was_marked(about: Circumstances, bundle: Bundle) -> None:
    found = assemble(about, bundle, {"checks": [PASSED], "rpo": NONE_LOST})
    assert found["chain"]["t0"] == 0
    assert found["chain"]["t4"] == 2.31
    assert found["chain"]["t7"] is None
    assert found["rto_seconds"] is None
    assert found["decided_seconds"] == 1.11
    assert "what clients felt: no probe ran" in found["not_tested"]


def test_the_scale_of_a_given_chain_is_found_by_a_mark(about: Circumstances, bundle: Bundle) -> None:
    """A chain that begins at t1, as that of a switchover: t4 was marked 2.31 s after the fault and says 2.21."""
    found = assemble(about, bundle, {"checks": [PASSED], "rpo": NONE_LOST, "chain": {"t1": 0.0, "t4": 2.21, "t7": 0.9}})
    assert found["zero"] == {"clock": "observer", "monotonic_ns": 5_000_100_000_000, "mark": "last_ack"}
    assert found["rto_seconds"] == 0.9


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([PASSED], "passed"),
        ([PASSED, UNKNOWN], "unknown"),
        ([UNKNOWN, FAILED, PASSED], "failed"),
        ([], "unknown"),
    ],
)
def test_the_verdict_is_the_worst_check(
    about: Circumstances, bundle: Bundle, checks: list[dict[str, str]], verdict: str
) -> None:
    assert assemble(about, bundle, {"checks": checks, "rpo": NONE_LOST})["verdict"] == verdict


@pytest.mark.parametrize(("checks", "verdict"), [([FAILED], "passed"), ([], "passed"), ([PASSED], "failed")])
def test_a_verdict_that_contradicts_its_checks_is_refused(checks: list[dict[str, str]], verdict: str) -> None:
    with pytest.raises(InputError, match="contradicts the checks"):
        report.check_given({"checks": checks, "verdict": verdict})


def test_a_verdict_that_agrees_is_accepted() -> None:
    report.check_given({"checks": [PASSED, FAILED], "verdict": "failed"})


def test_a_drill_that_compared_no_rows_proves_nothing(about: Circumstances, bundle: Bundle) -> None:
    found = assemble(about, bundle, {"checks": [PASSED]})
    assert found["verdict"] == "unknown"
    assert "rows_compared" in [check["name"] for check in found["checks"] if check["verdict"] == "unknown"]


def test_an_unsigned_drill_proves_nothing_and_says_so(about: Circumstances, bundle: Bundle) -> None:
    unsigned = dataclasses.replace(about, key_fingerprint=None)
    found = assemble(unsigned, bundle, {"checks": [PASSED], "rpo": NONE_LOST})
    assert found["verdict"] == "unknown"
    assert found["evidence"]["signed"] is False
    assert any("NOT SIGNED" in item for item in found["not_tested"])


def test_an_unsigned_failover_keeps_its_verdict_but_says_so(about: Circumstances, bundle: Bundle) -> None:
    unsigned = dataclasses.replace(about, operation="failover", key_fingerprint=None)
    found = assemble(unsigned, bundle, {"checks": [PASSED]})
    assert found["verdict"] == "passed"
    assert any("NOT SIGNED" in item for item in found["not_tested"])


def test_a_broken_timeline_fails(about: Circumstances, bundle: Bundle) -> None:
    lines = bundle.timeline.path.read_bytes().splitlines(keepends=True)
    bundle.timeline.path.write_bytes(b"".join([lines[0], *lines[2:]]))
    found = assemble(about, bundle, {"checks": [PASSED], "rpo": NONE_LOST})
    assert found["verdict"] == "failed"
    assert [check["name"] for check in found["checks"] if check["verdict"] == "failed"] == ["timeline_whole"]


def test_the_duration_is_the_control_nodes(about: Circumstances, bundle: Bundle) -> None:
    assert assemble(about, bundle, {"checks": [PASSED]})["duration_seconds"] == 78.9
    bundle.timeline.append("mark", mark="writable", detail=None, host="a", clock="observer", monotonic_ns=1, error_ns=0)
    assert assemble(about, bundle, {"checks": [PASSED]})["duration_seconds"] == 78.9


def test_failed_tasks_are_told(about: Circumstances, bundle: Bundle) -> None:
    bundle.timeline.append("failure", task="Fence", host="pg-a1", reason="no answer")
    [failure] = assemble(about, bundle, {"checks": [PASSED]})["failures"]
    assert (failure["task"], failure["host"], failure["reason"]) == ("Fence", "pg-a1", "no answer")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rto": 3}, "Given: rto."),
        ({"checks": [{"name": "a", "verdict": "ok", "reason": "b"}]}, "checks.0.verdict: 'ok' is none of"),
        ({"checks": [{"name": "a", "verdict": "passed"}]}, "checks.0.reason: it is missing"),
        ({"checks": "passed"}, "checks: 'passed' is not array"),
        ({"rto_seconds": "4.3"}, "rto_seconds: '4.3' is not number or null"),
        ({"rto_seconds": -1}, "rto_seconds: -1 is below 0"),
        ({"rpo": {"rows": 1}}, "rpo.rows: it is unknown here"),
        ({"chain": {"t12": 1}}, "chain.t12: it is unknown here"),
        ({"not_tested": [""]}, "not_tested.0: it is empty"),
    ],
)
def test_a_wrong_report_is_refused_by_name(given: dict[str, t.Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        report.check_given(given)
    assert said in caught.value.as_result()["msg"]


def test_what_is_not_known_may_be_left_out() -> None:
    report.check_given({"rpo": {"transactions": 0}, "chain": {"t7": 1.5}})
    report.check_given({})


def test_an_operation_inside_another_one_adds_to_it() -> None:
    inner = {"checks": [PASSED, UNKNOWN], "not_tested": ["a"], "rto_seconds": 3, "objectives": {"rto_seconds": 9}}
    seen = {**UNKNOWN, "verdict": "passed"}
    outer = {"checks": [seen], "not_tested": ["a", "b"], "rto_seconds": None, "objectives": {"rpo_seconds": 1}}
    merged = report.merge(inner, outer)
    assert merged["checks"] == [PASSED, seen]
    assert merged["not_tested"] == ["a", "b"]
    assert merged["rto_seconds"] == 3
    assert merged["objectives"] == {"rto_seconds": 9, "rpo_seconds": 1}


def test_what_is_not_from_the_judge_is_refused() -> None:
    assert report.of_judged({}) == {}
    with pytest.raises(InputError, match="recovery_objectives"):
        report.of_judged({"changed": False})


def test_the_same_report_is_the_same_text(about: Circumstances, bundle: Bundle) -> None:
    found = assemble(about, bundle, {"checks": [PASSED]})
    assert json.loads(report.as_text(found)) == found
    assert report.as_text(found) == report.as_text(json.loads(report.as_text(found)))
