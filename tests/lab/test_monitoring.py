# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab with monitoring: every target of Prometheus answers, and a fault reaches the receiver outside."""

from __future__ import annotations

import time
import typing as t

import pytest
from lab_hosts import Lab
from outside import prometheus, receiver

PAGE_SECONDS = 60


@pytest.fixture(autouse=True)
def monitored(lab: Lab) -> None:
    if not lab.runner.get_variables("observer").get("resilience_monitoring"):
        pytest.skip("the lab was made without lab_monitoring")


def test_every_target_answers(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    def silent() -> list[str]:
        targets = prometheus(lab, "targets?state=active")["activeTargets"]
        assert len({one["labels"]["job"] for one in targets}) >= 10
        return [one["scrapeUrl"] for one in targets if one["health"] != "up"]

    assert wait(lambda: not silent(), seconds=60), silent()


def test_every_rule_is_evaluated(lab: Lab) -> None:
    groups = prometheus(lab, "rules")["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
    assert len(alerts) >= 45
    assert [rule["name"] for rule in alerts if rule["health"] != "ok"] == []
    assert [rule["state"] for rule in alerts if rule["name"] == "Watchdog"] == ["firing"]


def test_a_lost_primary_reaches_the_receiver_and_is_called_off(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    primary = lab.primary
    with receiver(lab) as told:
        begin = time.monotonic()
        with lab.frozen(primary):
            wait(lambda: told.of("NoPrimary"), seconds=PAGE_SECONDS - 5)
        assert told.of("NoPrimary"), told.names()
        [first, *_again] = told.of("NoPrimary")
        assert first["at"] - begin < PAGE_SECONDS
        assert first["labels"]["severity"] == "sev1"
        assert first["annotations"]["runbook_url"].endswith("docs/alerts.md#noprimary")
        assert wait(lambda: told.of("NoPrimary", "resolved"), seconds=600), "it was not called off"
