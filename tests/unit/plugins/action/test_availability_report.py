# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action availability_report: records of observers and evidence become two files; what is missing is told."""

from __future__ import annotations

import json
import re
import time
import typing as t
from pathlib import Path

import pytest
from evidence_folders import seal

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Transactions
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import instant

#: When the test began. The moment at which this file was read may be minutes before it, which nobody recorded then.
NOW = 0.0


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "NOW", time.time())


def line(outcome: str, begin: float, end: float, reason: str = "") -> dict[str, t.Any]:
    """``begin`` and ``end``: seconds before now."""
    return Transactions(outcome, NOW - begin, NOW - end, count=7, slowest=0.5, reason=reason).as_record()


def month() -> list[dict[str, t.Any]]:
    """Thirty days and a bit, with two minutes and ten seconds of outages."""
    return [
        line("committed", 2600000, 7200), line("failed", 7199, 7081, "refused <b>"), line("committed", 7080, 3600),
        line("failed", 3599, 3590, "no answer"), line("committed", 3589, 0),
    ]  # fmt: skip


def evidence(folder: Path, cluster: str, began: float, ended: float, operation: str = "drill") -> Path:
    report = {"operation": operation, "scenario": "data_loss", "cluster": cluster, "verdict": "passed",
              "began_utc": instant(NOW - began), "ended_utc": instant(NOW - ended)}  # fmt: skip
    return seal(folder.with_name(f"{folder.name}-{operation}-{cluster}"), report)


def reported(control: t.Any, records: dict[str, t.Any], *options: str, **given: t.Any) -> t.Any:
    task = {"name": "orders", "records": records, "directory": "reports", "evidence": "evidence", **given}
    return control.play([{"fraiseql.resilience.availability_report": task}], *options)


def documents(folder: Path) -> tuple[dict[str, t.Any], str]:
    [told], [shown] = ((folder / "reports").glob(f"availability-orders-*.{suffix}") for suffix in ("json", "html"))
    return json.loads(told.read_text()), shown.read_text()


def test_outages_are_told_with_their_evidence_and_drills_apart(control: t.Any, tmp_path: Path) -> None:
    evidence(tmp_path / "evidence/a", "orders", 7210, 7000)
    evidence(tmp_path / "evidence/b", "billing", 3610, 3500)
    evidence(tmp_path / "evidence/c", "orders", 3598, 3400, "failover")
    answer = reported(control, {"observer": {"lines": month(), "problems": []}})
    assert answer.rc == 0, answer.stdout
    said, page = documents(tmp_path)
    assert [(one["operation"], one["drill_seconds"]) for one in said["outages"]] == [("drill", 120.0), ("failover", 0)]
    assert said["outages"][0]["evidence"] == str(tmp_path / "evidence/a-drill-orders")
    assert (said["verdict"], said["budget"]["drill_seconds"]) == ("passed", 120.0)
    assert 10.5 <= said["budget"]["used_seconds"] <= 11.5
    assert "refused &lt;b&gt;" in page and "<b>" not in page and "data loss" in page and "99.99" in page
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://|\son\w+=", page)


def test_an_observer_that_could_not_be_asked_is_told_and_proves_nothing(control: t.Any, tmp_path: Path) -> None:
    answer = reported(control, {"observer": {"msg": "no route to host"}, "other": {}})
    assert answer.rc == 0, answer.stdout
    said, page = documents(tmp_path)
    assert said["verdict"] == "unknown" and said["availability_percent"] is None
    assert said["problems"] == ["observer: no route to host", "other: it could not be asked"]
    assert "nothing was recorded" in page and "no route to host" in page


def test_a_drill_whose_evidence_was_edited_excuses_no_outage(control: t.Any, tmp_path: Path) -> None:
    folder = evidence(tmp_path / "evidence/a", "orders", 7210, 7000)
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({**report, "began_utc": instant(NOW - 9000)}))
    assert reported(control, {"observer": {"lines": month()}}).rc == 0
    said, _page = documents(tmp_path)
    assert "is not what was sealed: report.json was changed" in said["problems"][0]
    assert said["outages"][0]["operation"] is None and said["budget"]["drill_seconds"] == 0


def test_check_mode_writes_nothing_and_no_month_is_refused(control: t.Any, tmp_path: Path) -> None:
    assert reported(control, {"observer": {"lines": month()}}, "--check").rc == 0
    answer = reported(control, {"observer": {"lines": month()}}, month="Nov")
    assert answer.rc != 0 and "this is no month" in answer.stdout
    assert not (tmp_path / "reports").exists()
