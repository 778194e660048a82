# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of all runbooks is counted by."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import runbooks
from rounds import RoundFailed


def mark(name: str, seconds: float, detail: str = "") -> str:
    return json.dumps({"kind": "mark", "mark": name, "monotonic_ns": int(seconds * 1e9), "detail": detail})


def test_what_it_was_taken_for_counts_from_the_fault(tmp_path: Path) -> None:
    lines = [
        json.dumps({"kind": "opened"}),
        mark("fault", 10),
        mark("recognised", 13.5, "gateway_down"),
        mark("fault", 12),
    ]
    (tmp_path / "timeline.jsonl").write_text("\n".join(lines))
    assert runbooks.recognised(tmp_path) == {"recognised": "gateway_down", "recognised_seconds": 3.5}


def test_a_fault_that_only_people_notice_was_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "timeline.jsonl").write_text(mark("fault", 10))
    assert runbooks.recognised(tmp_path) == {"recognised": None, "recognised_seconds": None}


def line(name: str, **other: t.Any) -> dict[str, t.Any]:
    return {"runbook": name, "verdict": "passed", "recognised": name, "recognised_seconds": 4.0, **other}


def round_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: dict[str, t.Any]) -> dict[str, float]:
    waiting = list(lines)
    monkeypatch.setattr(runbooks, "FILE", tmp_path / "drilled.json")
    monkeypatch.setattr(runbooks, "scenarios", lambda: [one["runbook"] for one in lines])
    monkeypatch.setattr(runbooks, "one", lambda _bench, _name: waiting.pop(0))
    return runbooks.drilled(t.cast("t.Any", None))


def test_only_what_passed_was_drilled_and_only_its_own_name_is_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = [
        line("a"),
        line("b", recognised="a", recognised_seconds=6.0),
        line("c", verdict="unknown"),
        line("d", recognised=None, recognised_seconds=None),
    ]
    found = round_of(monkeypatch, tmp_path, *lines)
    assert (found["runbooks_drilled"], found["runbooks_detect_first"]) == (3, 2)
    assert found["runbook_detection_median_seconds"] == 4.0
    assert len(json.loads((tmp_path / "drilled.json").read_text())["runbooks"]) == 4


def test_where_nothing_was_recognised_there_is_no_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RoundFailed):
        round_of(monkeypatch, tmp_path, line("a", recognised=None, recognised_seconds=None))


def test_each_with_a_fault_is_drilled_and_what_takes_most_comes_last() -> None:
    found = runbooks.scenarios()
    assert {"replay_paused", "primary_crash", "backup_corrupt"} <= set(found)
    assert [name for name in found if name in runbooks.LAST] == found[-len(runbooks.LAST) :]


def test_what_nobody_does_by_hand_is_not_followed_by_hand(tmp_path: Path) -> None:
    for name, text in (("whole", "command: x"), ("half", "no_command: y"), ("none", "command: x")):
        folder = tmp_path / "playbooks/runbooks" / name
        folder.mkdir(parents=True)
        (folder / "runbook.yml").write_text(text)
        if name != "none":
            (folder / "respond.yml").write_text("")
    assert runbooks.followed_by_hand(tmp_path) == ["whole"]
