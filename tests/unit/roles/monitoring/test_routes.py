# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where alerts go, by the configuration that the role writes; and that it writes none by which a page is lost."""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import loopback
import pytest
import yaml
from alert_cases import ALERTS, ALWAYS, CASES, RULES

WEBHOOK = {"kind": "webhook", "severities": ["sev1", "sev2"], "url": "http://127.0.0.1:1/"}
MAIL = {
    "kind": "mail",
    "severities": ["sev3"],
    "to": "dba@example.org",
    "from": "alerts@example.org",
    "smarthost": "mail.example.org:587",
}
#: One of each kind that every Alertmanager of Debian knows.
RECEIVERS = [
    {**WEBHOOK, "secret": "a token"},
    {**MAIL, "user": "alerts", "secret": "a password"},
    {"kind": "pagerduty", "severities": ["sev1"], "secret": "a routing key"},
    {"kind": "opsgenie", "severities": ["sev1"], "secret": "an API key"},
    {"kind": "slack", "severities": ["sev1", "sev2"], "secret": "https://hooks.example.org/x", "channel": "#database"},
]
TEAMS = {"kind": "teams", "severities": ["sev1"], "secret": "https://teams.example.org/x"}
ROUTE = ("amtool", "config", "routes", "test", "--config.file=alertmanager.yml")
SITE = {
    "resilience_monitoring": True,
    "monitoring_watchdog_url": "http://127.0.0.1:1/watchdog",
    "monitoring_runbooks": "https://git.example.org/site",
    "monitoring_receivers": RECEIVERS,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> loopback.Files:
    return loopback.rendered(tmp_path_factory.mktemp("site"), SITE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, files: loopback.Files) -> Path:
    """The observer's files, with paths that are there."""
    folder = tmp_path_factory.mktemp("observer")
    for name in ("ca.crt", "host.crt", "host.key"):
        (folder / name).touch()
    for place, text in files[loopback.OBSERVER].items():
        here = text.replace("/etc/fraiseql-resilience/tls", str(folder)).replace("/etc/prometheus", str(folder))
        (folder / Path(place).name).write_text(here, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def alertmanager(files: loopback.Files) -> dict[str, t.Any]:
    found: dict[str, t.Any] = yaml.safe_load(files[loopback.OBSERVER]["/etc/prometheus/alertmanager.yml"])
    return found


def run(folder: Path, *argv: str) -> str:
    assert shutil.which(argv[0]), f"{argv[0]} is missing (prometheus, prometheus-alertmanager): make setup"
    answer = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_promtool_and_amtool_take_what_the_role_writes(folder: Path) -> None:
    assert "SUCCESS" in run(folder, "promtool", "check", "config", "prometheus.yml")
    assert "SUCCESS" in run(folder, "amtool", "check-config", "alertmanager.yml")


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_goes_to_the_receivers_of_its_severity(folder: Path, name: str) -> None:
    labels = {**ALERTS[name]["labels"], **CASES["alerts"].get(name, {}).get("labels", {}), "alertname": name}
    receiver = "watchdog" if name == ALWAYS else labels["severity"]
    given = [f"{key}={value}" for key, value in labels.items()]
    run(folder, *ROUTE, f"--verify.receivers={receiver}", *given)


def test_what_no_route_takes_is_loud(folder: Path) -> None:
    run(folder, *ROUTE, "--verify.receivers=sev1", "severity=critical", "alertname=Foreign")


def test_each_kind_of_receiver_is_told(alertmanager: dict[str, t.Any]) -> None:
    told = {receiver["name"]: receiver for receiver in alertmanager["receivers"]}
    assert set(told["sev1"]) - {"name"} == {"webhook_configs", "pagerduty_configs", "opsgenie_configs", "slack_configs"}
    assert set(told["sev2"]) - {"name"} == {"webhook_configs", "slack_configs"}
    assert set(told["sev3"]) - {"name"} == {"email_configs"}
    assert told["sev1"]["webhook_configs"][0]["http_config"]["authorization"]["credentials"] == "a token"
    assert told["sev1"]["pagerduty_configs"][0]["severity"] == "critical"
    assert "{{ .CommonLabels.alertname }}" in told["sev1"]["slack_configs"][0]["title"]
    assert told["watchdog"]["webhook_configs"] == [{"url": SITE["monitoring_watchdog_url"], "send_resolved": False}]


def test_a_page_is_not_held_back(alertmanager: dict[str, t.Any]) -> None:
    assert alertmanager["route"]["group_wait"] == "5s"
    (page,) = [route for route in alertmanager["route"]["routes"] if route["receiver"] == "sev1"]
    assert "group_wait" not in page


# Inhibition ----------------------------------------------------------------------------------------------------------


def takes(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        name, operator, value = t.cast(re.Match[str], re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)).groups()
        actual = labels.get(name, "")
        matched = bool(re.fullmatch(value, actual)) if "~" in operator else actual == value
        if matched == operator.startswith("!"):
            return False
    return True


def labels_of(name: str) -> dict[str, str]:
    labels = {**ALERTS[name]["labels"], **CASES["alerts"].get(name, {}).get("labels", {}), "alertname": name}
    return {**labels, "cluster": "orders"}


def test_nothing_keeps_data_loss_and_backups_still(alertmanager: dict[str, t.Any]) -> None:
    data = [name for name in ALERTS if ALERTS[name]["labels"]["class"] == "data"]
    assert len(data) >= 20
    for rule in alertmanager["inhibit_rules"]:
        assert 'class!="data"' in rule["target_matchers"]
        assert [name for name in data if takes(rule["target_matchers"], labels_of(name))] == []


def test_labels_that_have_to_be_equal_are_there(alertmanager: dict[str, t.Any]) -> None:
    """Where both sides lack a label, Alertmanager takes it for equal, and a rule would keep everything still."""
    for rule in alertmanager["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            found = [labels_of(name) for name in ALERTS if takes(rule[side], labels_of(name))]
            assert found, rule
            assert all(one.get(label) for one in found for label in rule["equal"]), rule


def test_a_cause_keeps_what_follows_from_it_still(alertmanager: dict[str, t.Any]) -> None:
    def still(cause: str) -> set[str]:
        return {
            name
            for rule in alertmanager["inhibit_rules"]
            if takes(rule["source_matchers"], labels_of(cause))
            for name in ALERTS
            if name != cause and takes(rule["target_matchers"], labels_of(name))
        }

    assert {"PostgresDown", "MemberNotReady", "StandbyCutOff", "DiskNearlyFull"} <= still("HostDown")
    assert {"TransactionsFail", "GatewayLeadsNowhere", "BudgetBurnsFast"} <= still("NoPrimary")
    assert "TransactionsFail" in still("CommitsHang")
    assert "CommitsHang" not in still("NoPrimary") | still("TransactionsFail")
    assert still("TransactionsFail") == set()


# What belongs together -----------------------------------------------------------------------------------------------


def test_alerts_and_limits_know_each_other(files: loopback.Files) -> None:
    written = yaml.safe_load(files[loopback.OBSERVER]["/etc/prometheus/resilience-objectives.yml"])
    records = {rule["record"] for rule in written["groups"][0]["rules"]}
    assert records == {re.sub(r"\{.*", "", name) for name in CASES["objectives"]}
    assert records == set(re.findall(r"resilience:objective_\w+", RULES.read_text(encoding="utf-8"))) - {
        "resilience:objective_"
    }


def test_alerts_name_only_jobs_that_are_scraped(files: loopback.Files) -> None:
    jobs = {
        job["job_name"]: job
        for job in yaml.safe_load(files[loopback.OBSERVER]["/etc/prometheus/prometheus.yml"])["scrape_configs"]
    }
    named = set(re.findall(r'job="(\w+)"', RULES.read_text(encoding="utf-8")))
    assert named <= set(jobs)
    # An alert that says 2.5 s of a scrape is of use only below the scrape's deadline.
    assert jobs["transaction"]["scrape_timeout"] == "3s"
    for job in jobs.values():
        assert {target["labels"]["cluster"] for target in job["static_configs"]} == {loopback.CLUSTER}
    assert {target["labels"]["instance"] for target in jobs["node"]["static_configs"]} == {
        loopback.MEMBER, loopback.STANDBY, loopback.REPOSITORY, loopback.OBSERVER,
    }  # fmt: skip


def test_runbooks_are_found_from_outside(files: loopback.Files) -> None:
    text = files[loopback.OBSERVER]["/etc/prometheus/resilience-alerts.yml"]
    assert "runbook_url: https://git.example.org/site/docs/alerts.md#watchdog" in text
    assert text.replace("https://git.example.org/site/", "").strip() == RULES.read_text(encoding="utf-8").strip()


def test_a_password_with_odd_letters_reaches_the_exporter_whole(files: loopback.Files) -> None:
    told = files[loopback.MEMBER]["/etc/default/prometheus-postgres-exporter"]
    assert "postgresql://resilience_monitor:m%2F%3A%40%27@/postgres?host=/var/run/postgresql&" in told
    assert loopback.OBSERVER in files[loopback.OBSERVER]["/etc/default/prometheus-postgres-exporter"]
    assert "/etc/default/prometheus-postgres-exporter" not in files[loopback.REPOSITORY]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "debian", "said"),
    [
        ({"monitoring_receivers": [MAIL]}, "13", "no receiver for sev1, sev2"),
        ({"monitoring_receivers": []}, "13", "no receiver for sev1, sev2, sev3"),
        ({"monitoring_watchdog_url": ""}, "13", "monitoring_watchdog_url is missing"),
        ({"monitoring_receivers": [WEBHOOK, {**MAIL, "smarthost": ""}]}, "13", "mail needs smarthost"),
        ({"monitoring_receivers": [WEBHOOK, MAIL, TEAMS]}, "12", "teams needs Alertmanager"),
    ],
)  # fmt: skip
def test_a_site_where_somebody_would_not_be_told_is_refused(
    variables: dict[str, t.Any], debian: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(loopback.Refused) as refused:
        loopback.rendered(tmp_path, {**SITE, **variables}, debian=debian)
    assert said in " ".join(str(refused.value).split())
