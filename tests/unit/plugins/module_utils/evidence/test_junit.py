# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from xml.etree import ElementTree

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.junit import junit


@pytest.fixture
def report() -> dict[str, t.Any]:
    return {
        "scenario": "data_loss",
        "operation": "drill",
        "cluster": "lab",
        "began_utc": "2026-11-23T09:12:03.123456Z",
        "duration_seconds": 61.5,
        "checks": [
            {"name": "marker_n", "verdict": "passed", "reason": "it is there"},
            {"name": "marker_n_plus_1", "verdict": "failed", "reason": 'it is there, "too" & <so>\x00'},
            {"name": "standby", "verdict": "unknown", "reason": "nobody looked"},
        ],
    }


def test_checks_are_cases(report: dict[str, t.Any]) -> None:
    suite = ElementTree.fromstring(junit(report)).find("testsuite")
    assert suite is not None
    assert suite.attrib["name"] == "data_loss on lab"
    assert suite.attrib["timestamp"] == "2026-11-23T09:12:03"
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("3", "1", "1")
    assert [case.attrib["name"] for case in suite] == ["marker_n", "marker_n_plus_1", "standby"]


def test_only_what_passed_is_green(report: dict[str, t.Any]) -> None:
    cases = {case.attrib["name"]: case for case in ElementTree.fromstring(junit(report)).iter("testcase")}
    assert [child.tag for child in cases["marker_n"]] == ["system-out"]
    assert [child.tag for child in cases["marker_n_plus_1"]] == ["failure"]
    assert [child.tag for child in cases["standby"]] == ["error"]


def test_any_reason_can_be_written(report: dict[str, t.Any]) -> None:
    failure = ElementTree.fromstring(junit(report)).find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == 'it is there, "too" & <so>\N{REPLACEMENT CHARACTER}'


def test_an_operation_without_scenario_is_named_by_itself(report: dict[str, t.Any]) -> None:
    suite = ElementTree.fromstring(junit({**report, "scenario": None, "operation": "failover"})).find("testsuite")
    assert suite is not None
    assert suite.attrib["name"] == "failover on lab"
