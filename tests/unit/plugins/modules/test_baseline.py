# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module baseline: made of what was counted, kept until it is asked to give way, and never of too little."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.filter.incidents import incidents
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Transactions
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.latencies import Latencies
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.modules import baseline

#: 2026-11-26T18:00:00Z
NOW = 1795716000.0
HOUR = 3600.0


def counts(folder: Path, seconds: float = 0.001, hours: int = 2) -> None:
    latencies = Latencies(folder / "latency")
    for minute in range(hours * 60):
        latencies.add(seconds, NOW - hours * HOUR + minute * 60)


def act(folder: Path, *, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in baseline.argument_spec().items()}
    few = {"least_samples": 30, "least_hours": 1, "check": "latency", "directory": str(folder)}
    return baseline.act({**defaults, **few, **given}, check_mode=check_mode, now=NOW)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "latency").glob("baseline*"))


def test_a_baseline_is_made_once(tmp_path: Path) -> None:
    counts(tmp_path)
    first = act(tmp_path)
    assert (first["changed"], first["version"], sorted(first["hours"])) == (True, 1, ["88", "89"])
    assert first["diff"]["before"] == "" and "hour 88: p95 0.001" in first["diff"]["after"]
    again = act(tmp_path)
    assert again == {
        **{name: first[name] for name in ("version", "hours", "masked_samples")},
        "changed": False,
        "problems": [],
    }


def test_check_mode_says_what_it_would_be_and_writes_nothing(tmp_path: Path) -> None:
    counts(tmp_path)
    assert act(tmp_path, check_mode=True)["changed"] is True
    assert files(tmp_path) == []


def test_a_rebase_is_a_new_version_and_the_old_one_stays(tmp_path: Path) -> None:
    counts(tmp_path)
    before = act(tmp_path)
    counts(tmp_path, 0.1)
    after = act(tmp_path, rebase=True)
    assert after["version"] == 2 and after["hours"]["88"]["p99"] > 50 * before["hours"]["88"]["p99"]
    assert files(tmp_path) == ["baseline-1.json", "baseline.json"]
    assert json.loads((tmp_path / "latency/baseline-1.json").read_text())["version"] == 1


def test_too_few_samples_change_nothing(tmp_path: Path) -> None:
    counts(tmp_path)
    act(tmp_path)
    with pytest.raises(RefusedError, match="too few samples"):
        act(tmp_path, rebase=True, least_samples=1000)
    assert json.loads((tmp_path / "latency/baseline.json").read_text())["version"] == 1


def test_incidents_are_left_out(tmp_path: Path) -> None:
    counts(tmp_path)
    failed = Transactions("failed", NOW - HOUR + 10, NOW - HOUR + 20, reason="refused").as_record()
    committed = Transactions("committed", NOW - 3 * HOUR, NOW).as_record()
    masked = incidents([committed, failed], margin=60)
    assert masked == [{"begin_utc": "2026-11-26T16:59:10.000Z", "end_utc": "2026-11-26T17:01:20.000Z"}]
    answer = act(tmp_path, masked=masked)
    # The line of 17:00 to 17:10, an answer a minute.
    assert answer["masked_samples"] == 11


@pytest.mark.parametrize(
    "wrong",
    [{"begin_utc": "x", "end_utc": "y"}, {}, {"begin_utc": "2026-11-26T18:00:00Z", "end_utc": "2026-11-26T17:00:00Z"}],
)
def test_an_incident_without_times_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    counts(tmp_path)
    with pytest.raises(InputError, match="an incident needs"):
        act(tmp_path, masked=[wrong])


def test_an_unknown_check_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    counts(tmp_path)
    with pytest.raises(RefusedError) as refused:
        act(tmp_path, check="latencies")
    assert "possible: latency" in str(refused.value.as_result()["msg"]).lower()
    with pytest.raises(RefusedError, match="no check of this name"):
        act(tmp_path / "none")
