# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scraper reads, by the scraper's own parser: what is not known is absent, and no zero stands for it."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.fraiseql.resilience.plugins.module_utils import prometheus
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.archived import Archived, Position
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_metrics import Facts, Seen, metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import Metric

PAGE = Path(__file__).resolve().parents[5] / "docs/backups.md"


def run(utc: str, verdict: str, **more: t.Any) -> dict[str, t.Any]:
    known = {"repo": 1, "wanted": "incr", "size": 100, "repository_size": 5, "seconds": 2.5}
    return {"utc": f"2026-11-26T{utc}:00Z", "verdict": verdict, **known, **more}


def verification(utc: str, verdict: str) -> dict[str, t.Any]:
    return {**run(utc, verdict, level="standard"), "seconds": {"total": 61.5, "restore": None}}


REACH = Archived(((1, None),), 7, 2, 1000.0, 500.0, 990.0)
FACTS = Facts(
    stanza="lab",
    now=2000.0,
    backups=[
        run("10:00", "passed"), run("11:00", "failed", size=None, repository_size=None, seconds=None),
        run("11:30", "unknown", wanted="full", repo=2),
    ],
    verifications=[verification("09:00", "passed"), verification("10:00", "unknown")],
    forecast={
        "utc": "2026-11-26T08:00:00Z", "recoveries": [{"kind": "restore", "seconds": 30.5, "low": 20, "high": None}],
    },
    repositories={1: Seen(1900.0, REACH, Position(1880.0, 1, 7, "9:9:"), 1000, 250, 1700.0), 2: Seen()},
)  # fmt: skip


def read(facts: Facts) -> dict[str, float]:
    """Samples by name and labels, as a scraper understands them."""
    found = {}
    for family in text_string_to_metric_families(prometheus.exposition(metrics(facts))):
        assert family.documentation and family.type == "gauge"
        for sample in family.samples:
            told = " ".join(f"{key}={value}" for key, value in sample.labels.items() if key != "stanza")
            assert sample.labels["stanza"] == "lab"
            found[f"{sample.name.removeprefix('resilience_')} {told}".strip()] = sample.value
    return found


def test_the_last_run_and_the_last_good_one_are_told_apart() -> None:
    found = read(FACTS)
    assert found["backup_last_run_timestamp_seconds repo=1 type=incr"] == 1795690800
    assert found["backup_last_good_timestamp_seconds repo=1 type=incr"] == 1795687200
    assert found["backup_last_verdict repo=1 type=incr verdict=failed"] == 1
    assert found["backup_last_verdict repo=1 type=incr verdict=passed"] == 0
    assert found["backup_duration_seconds repo=1 type=incr"] == 2.5
    assert found["backup_size_bytes repo=1 type=incr"] == 100
    assert found["verification_last_verdict repo=1 level=standard verdict=unknown"] == 1
    assert found["verification_duration_seconds repo=1 level=standard"] == 61.5


def test_archive_room_and_forecast_are_told() -> None:
    found = read(FACTS)
    assert found["archive_gaps repo=1"] == 2
    assert found["archive_safe_timestamp_seconds repo=1"] == 1880
    assert found["recovery_window_start_timestamp_seconds repo=1"] == 500
    assert (found["repository_size_bytes repo=1"], found["repository_free_bytes repo=1"]) == (1000, 250)
    assert found["forecast_seconds kind=restore"] == 30.5 and found["forecast_low_seconds kind=restore"] == 20


def test_absent_is_not_zero() -> None:
    found = read(FACTS)
    assert not [
        name for name in found if "repo=2" in name and not name.startswith(("backup_last_run", "backup_last_v"))
    ]
    assert "forecast_high_seconds kind=restore" not in found
    # A type that never passed has no age; alerts on absence find it.
    assert "backup_last_good_timestamp_seconds repo=2 type=full" not in found
    assert set(read(Facts(stanza="lab", now=1.0))) == {"backup_metrics_timestamp_seconds"}


def test_the_text_survives_every_character_of_a_name() -> None:
    metric = Metric("m", 'a "quoted"\nline')
    metric.add({"name": 'ä"\\\n'}, 1.5)
    metric.add({"name": "nan"}, float("nan"))
    metric.add({"name": "none"}, None)
    [family] = text_string_to_metric_families(prometheus.exposition([metric]))
    [sample] = family.samples
    assert (sample.labels["name"], sample.value) == ('ä"\\\n', 1.5)


@pytest.mark.parametrize("name", sorted({metric.name for metric in metrics(FACTS)}))
def test_each_metric_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
