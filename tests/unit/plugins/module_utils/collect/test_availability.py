# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The availability record: nothing that was seen is lost, whoever is killed and whatever the disk says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import journal, records
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Recorder, Transactions
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import availability
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.period import Period

#: 2026-11-26T18:00:00Z
T0 = 1795716000.0
DAY = Period("day", T0 - 86400, T0 + 86400)


def told(folder: Path, *given: tuple[float, str], recorder: Recorder | None = None) -> Recorder:
    recorder = recorder or Recorder(folder)
    for at, outcome in given:
        recorder.add(
            Transactions(outcome, T0 + at, T0 + at, slowest=0.01, reason="" if outcome == "committed" else "no")
        )
    return recorder


def read(folder: Path) -> list[tuple[float, float, str, int]]:
    """Begin, seconds, outcome, count."""
    return [
        (round(span.begin - T0, 3), round(span.end - span.begin, 3), span.state.name, span.transactions)
        for span in availability.spans(journal.read(folder).records, DAY)[0]
    ]


def test_transactions_of_one_outcome_are_one_line(tmp_path: Path) -> None:
    told(tmp_path, (0, "committed"), (1, "committed"), (2, "committed"), (3, "failed"), (4, "failed"), (5, "committed"))
    assert read(tmp_path) == [(0, 2, "UP", 3), (3, 1, "DOWN", 2), (5, 0, "UP", 1)]
    assert len((tmp_path / "2026-11.jsonl").read_text().splitlines()) == 2


def test_a_recorder_that_was_killed_has_lost_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    told(tmp_path, (0, "committed"), (1, "committed"))
    told(tmp_path, (60, "committed"))
    assert read(tmp_path) == [(0, 1, "UP", 2), (60, 0, "UP", 1)]


def test_a_line_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    """Killed after the line, and before the file beside it was replaced."""
    told(tmp_path, (0, "committed"), (1, "committed"))
    kept = (tmp_path / journal.OPEN).read_bytes()
    told(tmp_path, (2, "failed"))
    (tmp_path / journal.OPEN).write_bytes(kept)
    told(tmp_path, (5, "failed"))
    assert read(tmp_path) == [(0, 1, "UP", 2), (5, 0, "DOWN", 1)]


def test_what_becomes_a_line_while_it_is_read_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = told(tmp_path, (0, "committed"), (1, "committed"), (2, "failed"))
    read_of_one, waits = records.read, [(3.0, "committed")]

    def meanwhile(path: Path) -> records.Lines:
        """Who writes goes on between the first file and the second."""
        lines = read_of_one(path)
        told(tmp_path, *waits, recorder=recorder)
        waits.clear()
        return lines

    monkeypatch.setattr(records, "read", meanwhile)
    assert read(tmp_path)[:2] == [(0, 1, "UP", 2), (2, 0, "DOWN", 1)]


def test_a_silence_begins_a_new_line(tmp_path: Path) -> None:
    told(tmp_path, (0, "committed"), (30, "committed"))
    assert read(tmp_path) == [(0, 0, "UP", 1), (30, 0, "UP", 1)]


def test_a_clock_that_was_set_back_begins_a_new_line(tmp_path: Path) -> None:
    told(tmp_path, (100, "committed"), (0, "committed"))
    assert [begin for begin, *_more in read(tmp_path)] == [0, 100]


def test_a_line_speaks_of_an_hour_at_most_and_lies_with_its_month(tmp_path: Path) -> None:
    told(tmp_path, *((at, "committed") for at in range(0, 8000, 5)))
    assert [seconds for _begin, seconds, *_more in read(tmp_path)] == [3600, 3600, 785]
    month_end = 1796083200.0 - T0  # 2026-12-01T00:00:00Z
    told(tmp_path, (month_end, "failed"), (month_end + 1, "committed"))
    assert (tmp_path / "2026-12.jsonl").exists()


def test_a_disk_that_cannot_be_written_delays_lines_and_loses_none(tmp_path: Path) -> None:
    folder = tmp_path / "record"
    folder.write_text("in the way")
    recorder = Recorder(folder)
    for at, outcome in ((0, "committed"), (1, "failed"), (2, "committed")):
        with pytest.raises(UnknownError, match="cannot be written"):
            told(folder, (at, outcome), recorder=recorder)
    folder.unlink()
    told(folder, (3, "committed"), recorder=recorder)
    assert read(folder) == [(0, 0, "UP", 1), (1, 0, "DOWN", 1), (2, 1, "UP", 2)]


def test_what_is_torn_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    told(tmp_path, (0, "committed"), (1, "failed"))
    (tmp_path / journal.OPEN).write_text('{"schema": "fraise')
    (tmp_path / "notes.txt").write_text("not ours")
    assert read(tmp_path) == [(0, 0, "UP", 1)]
    assert "torn" in journal.read(tmp_path).problems[0]
    told(tmp_path, (5, "committed"))
    assert json.loads((tmp_path / journal.OPEN).read_text())["outcome"] == "committed"


def test_where_nothing_was_recorded_nothing_is_read(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none").records == ()
