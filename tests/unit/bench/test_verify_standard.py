# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only a verification that passed, to the LSN that was asked for, is a sample; by hand, only one that found nothing."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
import results
import verify_standard

GOOD: dict[str, t.Any] = {
    "verdict": "passed", "target": {"type": "lsn", "value": "0/5"}, "checks": [{"name": "a", "verdict": "passed"}],
    "seconds": {"total": 9.0},
}  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"verdict": "unknown"},
        {"target": {"type": "lsn", "value": "0/6"}},
        {"checks": [{"name": "a", "verdict": "unknown"}]},
        {"target": None},
    ],
)
def test_what_is_no_sample(other: dict[str, t.Any]) -> None:
    verify_standard.demand_passed(GOOD, "0/5")
    with pytest.raises(AssertionError, match="judged otherwise"):
        verify_standard.demand_passed({**GOOD, **other}, "0/5")


def test_by_hand_its_parts_and_its_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "target").write_text("0/5")
    monkeypatch.setattr(verify_standard, "FOLDER", tmp_path)
    answer = subprocess.CompletedProcess([], 0, "6.1 1.2 3.3 10.9\n", "")
    monkeypatch.setattr(verify_standard.subprocess, "run", lambda *_words, **_more: answer)
    assert verify_standard.by_hand(5)(None) == {"verify_standard_5gb_seconds": 10.9}
    answer.returncode, answer.stderr = 1, "rows differ"
    with pytest.raises(AssertionError, match="rows differ"):
        verify_standard.by_hand(5)(None)


@pytest.mark.parametrize(
    ("name", "factor"), [("verify_standard_1gb_seconds", 1.3), ("verify_standard_5gb_seconds", 1.1)]
)
def test_it_is_held_against_the_one_by_hand(name: str, factor: float) -> None:
    [figure] = [one for one in results.FIGURES if one.id == name]
    for ours, reached in ((99.9 * factor, True), (100.1 * factor, False)):
        assert results.row(figure, [ours], [100.0], "now", "make bench")["reached"] is reached
