# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert fires when it is to, is silent when it is not, clears, and somebody notices when its data are missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from alert_cases import ALERTS, ALWAYS, CASES, KINDS, RECORDED, RULES, TOP, always, cases_of, rules_of

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import operation_metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.archived import Archived, Position
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_metrics import Facts, Seen, metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import Fault, Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading, Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.metrics import metrics as of_health
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Judged, Status
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.promql import metrics as named

SAMPLES = TOP / "tests" / "unit" / "samples" / "scrapes"
SEVERITIES = ("sev1", "sev2", "sev3")
AT_STAKE = {"service", "data", "member", "host", "monitoring"}
#: What no exporter of the samples could show where they were made, and who exports it.
NOT_SAMPLED = {"node_systemd_unit_state": "the node exporter's collector systemd, where systemd runs"}
#: What Prometheus itself says of a scrape.
OF_SCRAPES = {"up", "scrape_duration_seconds", "ALERTS"}

with_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is missing: Debian's package prometheus"
)


def promtool(folder: Path, *argv: str) -> str:
    answer = subprocess.run(["promtool", *argv], cwd=folder, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@with_promtool
def test_promtool_takes_the_rules() -> None:
    assert "SUCCESS" in promtool(RULES.parent, "check", "rules", RULES.name)


def test_each_alert_has_its_four_tests() -> None:
    assert set(CASES["alerts"]) == set(ALERTS) - {ALWAYS}
    for name in CASES["alerts"]:
        assert [test["name"].split()[1] for test in cases_of(name)["tests"]] == list(KINDS)


@with_promtool
@pytest.mark.parametrize("name", CASES["alerts"])
def test_alert_fires_is_silent_clears_and_is_missed(name: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules_of(name)), encoding="utf-8")
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(cases_of(name)), encoding="utf-8")
    promtool(tmp_path, "test", "rules", "tests.yml")


READ_ONLY = 'node_filesystem_readonly{fstype="ext4",mountpoint="/media",job="node",instance="pg-1",cluster="orders"}'
#: What looks like the fault of an alert for a while, and is none: its series, and when it must not fire.
CALLS_NOBODY = {
    "a file system that was always read-only": (
        "DiskReadOnly",
        {READ_ONLY: "1x240"},
        "50m",
    ),
    "alerts dropped while Prometheus starts": (
        "AlertsDropped",
        {'prometheus_notifications_dropped_total{job="prometheus",instance="observer",cluster="orders"}': "0 20x60"},
        "5m",
    ),
    "the same, a while later": (
        "AlertsDropped",
        {'prometheus_notifications_dropped_total{job="prometheus",instance="observer",cluster="orders"}': "0 20x60"},
        "8m",
    ),
}


@with_promtool
@pytest.mark.parametrize(("name", "series", "at"), CALLS_NOBODY.values(), ids=CALLS_NOBODY)
def test_what_calls_nobody(name: str, series: dict[str, str], at: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules_of(name)), encoding="utf-8")
    case = {
        "interval": "15s",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []}],
    }
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [case]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    promtool(tmp_path, "test", "rules", "tests.yml")


@with_promtool
def test_the_watchdog_always_fires(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules_of(ALWAYS)), encoding="utf-8")
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(always()), encoding="utf-8")
    promtool(tmp_path, "test", "rules", "tests.yml")


def test_who_notices_missing_data_is_an_alert_itself() -> None:
    assert {one["alert"] for one in CASES["unseen"].values()} <= set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_how_bad_it_is_what_it_means_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule["labels"]) == {"severity", "class"}
    assert rule["labels"]["severity"] in (("none",) if name == ALWAYS else SEVERITIES)
    assert rule["labels"]["class"] in AT_STAKE
    assert set(rule["annotations"]) == {"summary", "description", "next", "runbook_url"}
    assert "{{" not in rule["annotations"]["description"] + rule["annotations"]["next"]


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_of_an_alert_is_there(name: str) -> None:
    page, anchor = ALERTS[name]["annotations"]["runbook_url"].split("#")
    headings = re.findall(r"^## (.+)$", (TOP / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert anchor in [heading.lower() for heading in headings]


def test_a_number_in_an_alert_is_told_with_it() -> None:
    """A limit says how much too much it is: only what is yes or no goes without a value."""
    silent = [
        name
        for name, rule in ALERTS.items()
        if re.search(r"[<>] (?!0|1$|bool)", rule["expr"]) and "$value" not in rule["annotations"]["summary"]
    ]
    assert silent == []


def of_role_backup() -> set[str]:
    """What role backup writes where everything is known."""
    when = {"utc": "2026-01-01T00:00:00Z"}
    run = {**when, "repo": 1, "verdict": "passed", "seconds": 1.0, "size": 1, "repository_size": 1}
    archived = Archived((), None, gaps=0, last_time=1.0, window_start=1.0, window_end=1.0)
    forecast = {**when, "recoveries": [{"kind": "restore", "seconds": 1, "low": 1, "high": 1}]}
    seen = Seen(1.0, archived, Position(1.0, 1, 0, "1:1:"), 1, 1, 1.0)
    facts = Facts("orders", 1.0, [{**run, "wanted": "full"}], [{**run, "level": "full"}], forecast, {1: seen})
    return {metric.name for metric in metrics(facts) if metric.samples}


def sampled(release: str) -> dict[str, set[str]]:
    """By target, the names of a release's samples."""
    return {
        path.stem: set(re.findall(r"^[\w:]+", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
        for path in (SAMPLES / release).glob("*.prom")
    }


@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
def test_alerts_read_only_what_somebody_exports(release: str) -> None:
    by_target = {**sampled("debian-12"), **sampled("debian-13"), **sampled(release)}
    exported = set().union(*by_target.values()) | of_role_backup() | OF_SCRAPES | set(NOT_SAMPLED)
    exported |= of_agents_and_playbooks()
    recorded = {rule["record"] for rule in RECORDED} | {re.sub(r"\{.*", "", name) for name in CASES["objectives"]}
    read = set().union(*(named(rule["expr"]) for rule in [*ALERTS.values(), *RECORDED]))
    assert sorted(read - exported - recorded) == []


def of_agents_and_playbooks() -> set[str]:
    """What the health agent and the end of an operation export."""
    report = {
        "operation": "drill", "scenario": "s", "cluster": "orders", "verdict": "passed",
        "ended_utc": "2026-01-01T00:00:00Z", "rto_seconds": 1, "rpo": {"seconds": 0, "transactions": 0},
    }  # fmt: skip
    operations = operation_metrics.metrics({"e": report})
    reading = Reading(False, 1, None, None, None, False, 0, "77", False)
    standing = Standing(Status.FAIL, Judged(Status.FAIL, "full"), Fault.OWN, ("disk",))
    health = of_health({"disk": standing, "/readyz": standing}, {}, Result(0.0, "now", reading, None))
    return {metric.name for metric in [*operations, *health] if metric.samples}


def asked_by_the_page() -> list[str]:
    page = (RULES.parent / "dashboard.html").read_text(encoding="utf-8")
    quoted = re.findall(r'(?:query|printf) "((?:[^"\\]|\\.)*)"', page)
    return [one.replace(r"\"", '"').replace("%q", '""') for one in quoted]


def asked_by_grafana() -> list[str]:
    dashboard = json.loads((RULES.parent / "grafana_dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
@pytest.mark.parametrize("queries", [asked_by_the_page, asked_by_grafana])
def test_dashboards_read_only_what_somebody_exports(release: str, queries: t.Callable[[], list[str]]) -> None:
    asked = queries()
    assert len(asked) > 15
    by_target = {**sampled("debian-12"), **sampled("debian-13"), **sampled(release)}
    exported = set().union(*by_target.values()) | of_role_backup() | OF_SCRAPES | of_agents_and_playbooks()
    recorded = {rule["record"] for rule in RECORDED} | {re.sub(r"\{.*", "", name) for name in CASES["objectives"]}
    read = set().union(*(named(one) for one in asked))
    assert sorted(read - exported - recorded) == []


def test_what_is_read_of_members_is_what_our_queries_export() -> None:
    queries = t.cast(
        dict[str, t.Any], yaml.safe_load((RULES.parent / "member_queries.yml").read_text(encoding="utf-8"))
    )
    ours = {
        f"{prefix}_{column}"
        for prefix, query in queries.items()
        for entry in query["metrics"]
        for column, told in entry.items()
        if told["usage"] != "LABEL"
    }
    assert ours == {name for name in sampled("debian-12")["postgresql"] if name.startswith("resilience_")}
