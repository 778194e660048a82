# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import report, signature
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import summary
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.report import Circumstances
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict


@pytest.fixture
def sealed(about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any], ledger: bytes) -> Bundle:
    bundle.add("ledger.jsonl", ledger)
    bundle.timeline.append("sealed")
    found = report.assemble(about, report.of_judged(host_lost), bundle.timeline.read(), "2026-11-23T09:40:00Z")
    bundle.seal({"report.json": report.as_text(found)}, None, run)
    return bundle


def test_a_drill_is_a_row(sealed: Bundle) -> None:
    row = summary.row(sealed.path)
    assert (row.scenario, row.verdict, row.reason) == ("primary_host_lost", Verdict.PASSED, "")
    assert summary.cells(row) == [
        "primary_host_lost",
        "1.04 s",
        "3.22 s",
        "4.31 s",
        "0",
        "0 s",
        "31.6 s",
        "21.2 s",
        "passed",
    ]


def test_columns_are_aligned(sealed: Bundle) -> None:
    lines = summary.table([summary.row(sealed.path), summary.Row("data_loss", Verdict.FAILED, "", "x")])
    ends = [line.index(word) + len(word) for line, word in zip(lines[::2], ("RTO", "4.31 s"), strict=False)]
    assert ends[0] == ends[1]
    assert len({line.rindex("  ") for line in (lines[0], lines[2], lines[3])}) == 1
    assert lines[1].replace("─", "").strip() == ""


def test_an_aborted_drill_has_failed_and_says_by_which_task(bundle: Bundle) -> None:
    bundle.timeline.append("failure", task="Fence the old primary", host="pg-a1", reason="no answer within 5 s")
    row = summary.row(bundle.path)
    assert row.verdict is Verdict.FAILED
    assert row.reason == "aborted by the task 'Fence the old primary' on pg-a1: no answer within 5 s"


def test_a_drill_that_was_killed_has_failed(bundle: Bundle) -> None:
    assert summary.row(bundle.path).reason == "cut off before its end; no task had failed"


def test_a_drill_that_was_changed_has_failed(sealed: Bundle) -> None:
    (sealed.path / "report.json").chmod(0o644)
    (sealed.path / "report.json").write_text("{}")
    row = summary.row(sealed.path)
    assert row.verdict is Verdict.FAILED
    assert "report.json was changed" in row.reason


def test_a_folder_that_is_no_evidence_has_failed(tmp_path: Path) -> None:
    assert summary.row(tmp_path / "nothing").verdict is Verdict.FAILED


def test_no_drill_at_all_is_unknown() -> None:
    assert summary.verdict([]) is Verdict.UNKNOWN


def test_one_failure_fails_all(sealed: Bundle, bundle: Bundle) -> None:
    good = summary.row(sealed.path)
    assert summary.verdict([good]) is Verdict.PASSED
    assert summary.verdict([good, summary.Row("x", Verdict.UNKNOWN, "", "x")]) is Verdict.UNKNOWN
    assert summary.verdict([good, summary.Row("x", Verdict.FAILED, "", "x")]) is Verdict.FAILED


def test_the_summary_is_a_folder_of_its_own(sealed: Bundle) -> None:
    aborted = summary.Row("data_loss", Verdict.FAILED, "aborted by the task 'Restore <now>'", "elsewhere")
    path = summary.write(sealed.path.parent, "lab", [summary.row(sealed.path), aborted], None, run)
    assert path.name.endswith("-drills-lab")
    found = json.loads((path / "summary.json").read_text())
    assert (found["verdict"], len(found["drills"])) == ("failed", 2)
    page = (path / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "Restore &lt;now&gt;" in page
    assert f"../{sealed.path.name}/report.html" in page
    assert signature.differences(path) == []
    named = [event for event in Bundle(path).events() if event["kind"] == "summarised"]
    assert named[0]["manifest"] == signature.digest(sealed.path / signature.MANIFEST)


def test_a_drill_that_was_repeated_has_its_spread_in_text_data_and_page(sealed: Bundle, tmp_path: Path) -> None:
    rows = [summary.row(sealed.path)] * 3
    lines = summary.table(rows)
    assert lines[-1].split()[:7] == ["primary_host_lost", "3", "4.31", "s", "4.31", "s", "4.31"]
    assert lines[-1].endswith("0  below 100% (95 % sure)")
    path = summary.write(tmp_path, "lab", rows, None, run)
    [again] = json.loads((path / "summary.json").read_text(encoding="utf-8"))["repetitions"]
    assert (again["n"], again["lost"], again["loss_bound"]) == (3, 0, 1.0)
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "The same again" in page and page.count("<circle") == 3
    assert "The same again" not in (summary.write(tmp_path / "one", "lab", rows[:1], None, run) / "report.html").read_text(
        encoding="utf-8"
    )


def test_every_repetition_that_left_nothing_has_failed(sealed: Bundle) -> None:
    rows = summary.rows([sealed.path], ["primary_host_lost", "data_loss"], repeat=2)
    assert [(row.scenario, row.verdict) for row in rows] == [
        ("primary_host_lost", Verdict.PASSED),
        ("primary_host_lost", Verdict.FAILED),
        ("data_loss", Verdict.FAILED),
        ("data_loss", Verdict.FAILED),
    ]
