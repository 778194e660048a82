# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The availability record: commits each second, an outage as long as the fault was, and the page that tells of both."""

from __future__ import annotations

import json
import re
import time
import typing as t
from datetime import datetime
from pathlib import Path

from lab_hosts import Lab

RECORD = "/var/lib/fraiseql-resilience/availability"
FAULT_SECONDS = 6.0


def test_standbys_see_the_row_that_the_observer_writes(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    beats = "SELECT beat FROM resilience.heartbeat WHERE name = 'gateway'"
    before = int(lab.value(lab.primary, beats, "resilience"))
    for member in lab.members:
        assert wait(lambda member=member: int(lab.value(member, beats, "resilience")) > before, seconds=30), member
        own = wait(lambda member=member: seen_well(lab, member, "heartbeat_seen"), seconds=15)
        assert own, component(lab, member, "heartbeat_seen")


def component(lab: Lab, member: str, name: str) -> t.Any:
    """Details are for the member itself."""
    return json.loads(lab.said(member, "curl -s http://127.0.0.1:8008/healthz"))["components"][name]


def seen_well(lab: Lab, member: str, name: str) -> bool:
    """It looks each second, and sees nothing where a busy host lets a look end too late."""
    return component(lab, member, name)["own"] in {"pass", "warn"}


def test_an_outage_is_recorded_as_long_as_it_was_and_reported(lab: Lab, tmp_path: Path) -> None:
    primary = lab.primary
    begin = time.time()
    with lab.frozen(primary):
        time.sleep(FAULT_SECONDS)
    time.sleep(5)
    played = lab.play("availability_report", tmp_path / "evidence", report_directory=str(tmp_path), confirm=None)
    assert played.rc == 0, played.said
    [told] = tmp_path.glob("availability-lab-*.json")
    report = json.loads(told.read_text(encoding="utf-8"))
    assert report["problems"] == [] and report["transactions"]["committed"] > 10
    # Its clock may differ from this host's.
    [outage] = [one for one in report["outages"] if abs(seconds(one["begin_utc"]) - begin) < 5]
    assert FAULT_SECONDS - 1.5 <= outage["seconds"] <= FAULT_SECONDS + 5
    assert outage["transactions_failed"] >= 1 and outage["operation"] is None
    assert told.with_suffix(".html").read_text(encoding="utf-8").count(outage["begin_utc"]) == 1


def seconds(utc: str) -> float:
    return datetime.fromisoformat(utc).timestamp()


def test_an_agent_that_is_killed_loses_nothing_that_it_saw(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    def lines() -> list[dict[str, t.Any]]:
        return [
            json.loads(line) for line in lab.said("observer", f"cat {RECORD}/*.jsonl {RECORD}/open.json").splitlines()
        ]

    seen = json.loads(lab.said("observer", f"cat {RECORD}/open.json"))
    lab.said("observer", "systemctl kill --signal=KILL resilience-health.service")
    wait(lambda: lines()[-1]["utc"] > seen["utc"], seconds=15)
    [kept] = [line for line in lines() if line["utc"] == seen["utc"]]
    assert kept["transactions"] >= seen["transactions"]
    assert kept["outcome"] == "committed"


def test_a_baseline_is_made_of_what_was_counted_and_incidents_are_apart(lab: Lab, tmp_path: Path) -> None:
    """A lab is too young for all hours of a week, and a test before this one was an incident."""
    few = {"baseline_least_samples": 20, "baseline_least_hours": 1}
    refused = lab.play("baseline", tmp_path, "--check", **{**few, "baseline_least_hours": 168})
    assert refused.rc != 0 and "too few samples for a baseline" in refused.said
    assert re.search(r"[1-9]\d* more in incidents", refused.said), refused.said
    played = lab.play("baseline", tmp_path, "--check", "--diff", incidents=[], **few)
    assert played.rc == 0, played.said
    assert re.search(r"hour \d+: p95 0\.\d+ s of \d+", played.said), played.said
    assert "baseline" not in lab.said(lab.primary, "ls /var/lib/fraiseql-resilience/latencies/latency")
