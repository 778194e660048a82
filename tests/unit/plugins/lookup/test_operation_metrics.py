# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup operation_metrics: the newest operations of one cluster; what cannot be read is left out."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from evidence_folders import seal

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import operation_metrics

REPORT = {
    "operation": "drill", "scenario": "data_loss", "cluster": "orders", "verdict": "failed",
    "ended_utc": "2026-11-26T18:00:00Z", "rto_seconds": 4.5, "rpo": {"seconds": None, "transactions": 3},
}  # fmt: skip


def looked_up(control: t.Any, folder: Path, evidence: str) -> str:
    found = f"{{{{ lookup('fraiseql.resilience.operation_metrics', '{folder}/{evidence}', cluster='orders') }}}}"
    answer = control.play([{"ansible.builtin.copy": {"content": found, "dest": f"{folder}/told.prom", "mode": "0644"}}])
    assert answer.rc == 0, answer.stdout
    return (folder / "told.prom").read_text()


def test_operations_of_the_cluster_are_told(control: t.Any, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    seal(evidence / "a-drill-orders", REPORT)
    seal(evidence / "b-drill-billing", {**REPORT, "cluster": "billing"})
    seal(evidence / "c-drill-orders", {**REPORT, "ended_utc": None})
    (seal(evidence / "d-drill-orders", REPORT) / "report.json").write_text(json.dumps({**REPORT, "rto_seconds": 0.1}))
    text = looked_up(control, tmp_path, "evidence")
    labels = 'operation="drill",scenario="data_loss",evidence="a-drill-orders"'
    assert f"resilience_operation_ended_timestamp_seconds{{{labels}}} 1795716000\n" in text
    assert f'resilience_operation_verdict{{{labels},verdict="failed"}} 1\n' in text
    assert f'resilience_operation_verdict{{{labels},verdict="passed"}} 0\n' in text
    assert f"resilience_operation_lost_transactions{{{labels}}} 3\n" in text
    # What is not known is no zero.
    assert "rpo_seconds" not in text
    assert set(re.findall('evidence="(.)', text)) == {"a"}
    assert looked_up(control, tmp_path, "none") == ""


def test_the_newest_are_told() -> None:
    reports = {f"e{n}": {**REPORT, "ended_utc": f"2026-11-{1 + n // 24:02}T{n % 24:02}:00:00Z"} for n in range(60)}
    told = operation_metrics.metrics(reports)[0]
    assert len(told.samples) == operation_metrics.MOST
    assert {labels["evidence"] for labels, _value in told.samples} == {f"e{n}" for n in range(10, 60)}
