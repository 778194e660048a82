# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_forecast: reads what the host keeps, says what is known of it, keeps it where it is asked to."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_forecast

NOW = 1_795_000_000.0
GIB = 2**30


def verified(size: float) -> dict[str, t.Any]:
    return {
        "utc": "2026-11-20T03:00:00Z", "repo": 1, "level": "standard", "label": "F1", "verdict": "passed",
        "seconds": {"total": 20 * size, "restore": 6 * size, "replay": 2.0, "checks": 12 * size}, "checks": [],
        "restored_bytes": size * GIB, "replayed_bytes": 16 * 2**20,
    }  # fmt: skip


def host(folder: Path, verifications: int = 3) -> Path:
    kept = records.files("orders", folder)
    backup = {
        "utc": "2026-11-20T01:00:00Z", "repo": 1, "label": "F1", "verdict": "passed", "size": GIB,
        "start_lsn": "0/2000028", "stop_lsn": "0/2000158", "system_id": "77", "versions": {"postgresql": "17"},
    }  # fmt: skip
    records.append(kept.catalogue, backup)
    for number in range(verifications):
        records.append(kept.verifications, verified(1.0 + number))
    return folder


def act(folder: Path, *, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in recovery_forecast.argument_spec().items()}
    params |= {"stanza": "orders", "directory": str(folder), "objectives": {"rto_seconds": 60}, "repos": [1]}
    return recovery_forecast.act(params | given, NOW, check_mode=check_mode)


WINDOWS = [
    {"repo": 1, "timeline": 1, "to_lsn": "F/0"},
    {"repo": 1, "timeline": 2, "to_lsn": "0/12000028"},
    {"repo": 2, "timeline": 9, "to_lsn": "0/1"},
]


def test_what_the_host_keeps_is_read_and_judged(tmp_path: Path) -> None:
    said = act(host(tmp_path), windows=WINDOWS)
    newest = said["recoveries"][0]
    assert (newest["kind"], newest["restore_seconds"], newest["wal_bytes"]) == ("restore_newest", 6.0, 0x10000000)
    assert (said["changed"], said["forecast"]["schema"]) == (False, "fraiseql.resilience/forecast/1")
    assert [(one["level"], one["verdict"]) for one in said["verified"]] == [("standard", "passed")]


def test_a_host_without_records_knows_nothing(tmp_path: Path) -> None:
    said = act(tmp_path)
    assert (said["verdict"], said["verified"], said["errors"]["n"]) == ("unknown", [], 0)


def test_a_torn_line_is_told(tmp_path: Path) -> None:
    kept = records.files("orders", host(tmp_path))
    with kept.verifications.open("a") as stream:
        stream.write('{"utc": "2026-')
    assert act(tmp_path)["warnings_told"] == [
        {"code": "line_unread", "detail": "results.jsonl: line 4 is torn: it was being written when the host stopped"}
    ]


def test_lists_that_are_given_are_used_instead(tmp_path: Path) -> None:
    said = act(host(tmp_path), verifications=[], catalogue=[])
    assert said["verdict"] == "unknown" and said["forecast"]["verifications"] == 0


def test_a_forecast_that_is_kept_is_tested_by_the_next_verification(tmp_path: Path) -> None:
    kept = records.files("orders", host(tmp_path))
    assert act(tmp_path, record=True, check_mode=True)["changed"] is True
    assert not kept.forecasts.exists()
    assert act(tmp_path, record=True)["errors"]["n"] == 0
    records.append(kept.verifications, verified(2.0))
    past = act(tmp_path)["errors"]
    assert (past["n"], past["max_percent"], past["within_interval"]) == (1, 0.0, 1)


@pytest.mark.parametrize(("given", "there", "repos"), [(None, True, [1, 2]), ([2], True, [2]), (None, False, [1])])
def test_the_repositories_are_those_of_the_host(
    tmp_path: Path, given: list[int] | None, there: bool, repos: list[int]
) -> None:
    descriptor = tmp_path / "repository.json"
    if there:
        descriptor.write_text(json.dumps({"repos": [1, 2]}))
    assert recovery_forecast.repos_of({"repos": given}, descriptor) == repos
