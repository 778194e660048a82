# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence that a status rests on, and the screen that it is shown on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.action import readiness
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_forecast
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence.screen import screen

EXAMPLES = Path(__file__).resolve().parents[4] / "docs" / "examples"


def test_drills_are_read_from_sealed_evidence(tmp_path: Path) -> None:
    folders = sorted(EXAMPLES.glob("*-drill-lab"))
    for folder in folders:
        shutil.copytree(folder, tmp_path / folder.name)
    found = readiness.drills(tmp_path, "lab")
    assert {one.scenario for one in found} >= {"planned_switchover", "primary_host_lost", "data_loss"}
    assert all(one.verdict == "passed" and one.rto_seconds is not None for one in found)
    # Where a region is lost, so is what only it had.
    assert all(one.lost_transactions == 0 for one in found if "region" not in one.scenario)
    assert readiness.drills(tmp_path, "orders") == []


def test_evidence_that_was_changed_proves_nothing(tmp_path: Path) -> None:
    folder = next(EXAMPLES.glob("*-drill-lab"))
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    report = json.loads((copy / "report.json").read_text(encoding="utf-8"))
    (copy / "report.json").write_text(json.dumps({**report, "rto_seconds": 0.1}), encoding="utf-8")
    assert readiness.drills(tmp_path, "lab") == []


def test_an_answer_that_failed_is_nobodys_answer() -> None:
    assert readiness.seen({"failed": True, "msg": "no route"}, "members") is None
    assert readiness.seen(None, "members") is None
    assert readiness.seen({"members": []}, "members") == {"members": []}


def test_the_screen_begins_with_the_answer_and_ends_with_what_is_wrong() -> None:
    status = readiness.readiness.judge(
        None, None, [], {"rto_seconds": 3600}, readiness.datetime.now(readiness.timezone.utc), 30
    )
    lines = screen({"cluster": "orders", **status})
    assert lines[0].startswith("orders: it is not known whether it can be recovered (unknown, ")
    assert lines[1] == "Who fails over: not known"
    assert "unknown  cluster: the observer could not look at it" in lines
    assert any(line.startswith("members_lost") and line.endswith("unknown") for line in lines)


def test_the_screen_shows_what_was_verified_and_what_is_expected(tmp_path: Path) -> None:
    records = {
        "directory": str(tmp_path), "stanza": "orders", "objectives": {"rto_seconds": 3600}, "windows": [],
        "repos": [1],
        "catalogue": [], "forecasts": None, "record": False, "verifications": [
            {
                "utc": "2026-11-20T03:00:00Z", "repo": 1, "level": "standard", "label": "20261120-020000F",
                "verdict": "passed", "seconds": {"restore": 20, "replay": 5, "total": 50}, "checks": [],
            }
        ],
    }  # fmt: skip
    now = readiness.datetime(2026, 11, 23, 3, tzinfo=readiness.timezone.utc)
    forecast = recovery_forecast.act(records, now.timestamp())
    status = readiness.readiness.judge(None, None, [], {"rto_seconds": 3600}, now, 30, forecast)
    lines = [" ".join(line.split()) for line in screen({"cluster": "orders", **status})]
    assert "repository 1 standard 20261120-020000F 3.0 passed" in lines
    assert "restore_newest unknown – 25.0 s 0 0 restores from repository 1 were measured, of at least 3" in lines
    past = {"n": 3, "median_percent": 4.0, "max_percent": 11.5, "within_interval": 2}
    told = screen(
        {"cluster": "orders", **status, "forecast_errors": past, "warnings": [{"code": "growth", "detail": "it grows"}]}
    )
    assert "3 forecasts were tested: 4 % off in the median, 11.5 % at most, 2 within their interval" in told
    assert told[-1] == "warning  growth: it grows"
