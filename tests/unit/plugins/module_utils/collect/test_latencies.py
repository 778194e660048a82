# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers are counted in lines of ten minutes; a baseline is seen when it is replaced, and none is none."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import journal
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.latencies import (
    BASELINE,
    BaselineFile,
    Latencies,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import baseline

#: 2026-11-26T18:00:00Z
T0 = 1795716000.0


def counted(folder: Path) -> list[tuple[str, int]]:
    lines = sorted(journal.read(folder).records, key=lambda line: line["utc"])
    return [(line["utc"][11:19], sum(line["buckets"].values())) for line in lines]


def test_lines_are_of_ten_minutes_and_of_one_hour(tmp_path: Path) -> None:
    latencies = Latencies(tmp_path)
    for second in range(1500, 4500):
        latencies.add(0.001, T0 + second)
    found = counted(tmp_path)
    assert [at for at, _count in found] == ["18:25:00", "18:35:01", "18:45:02", "18:55:03", "19:00:00", "19:10:01"]
    # What was counted since it was last written is in memory alone, for half a minute.
    assert 2970 <= sum(count for _at, count in found) <= 3000
    lines = journal.read(tmp_path).records
    assert baseline.summed(lines, 0.0, ()).problems == []


def test_a_clock_that_was_set_back_begins_a_new_line(tmp_path: Path) -> None:
    latencies = Latencies(tmp_path)
    for at in (100, 40):
        latencies.add(0.001, T0 + at)
    assert counted(tmp_path) == [("18:00:40", 1), ("18:01:40", 1)]


def test_the_next_one_keeps_what_the_one_before_had_written(tmp_path: Path) -> None:
    Latencies(tmp_path).add(0.001, T0)
    Latencies(tmp_path).add(0.001, T0 + 5)
    assert counted(tmp_path) == [("18:00:00", 1), ("18:00:05", 1)]


def test_a_baseline_is_seen_when_it_is_replaced_and_gone(tmp_path: Path) -> None:
    kept = BaselineFile(tmp_path)
    assert kept.now() is None
    path = tmp_path / BASELINE
    for version in (1, 2):
        path.with_suffix(".new").write_text(json.dumps({"schema": baseline.SCHEMA, "version": version}))
        path.with_suffix(".new").replace(path)
        assert t.cast("dict[str, t.Any]", kept.now())["version"] == version
    path.with_suffix(".new").write_text('{"schema": "fraise')
    path.with_suffix(".new").replace(path)
    assert kept.now() is None
    path.unlink()
    assert kept.now() is None
