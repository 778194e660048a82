# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page counts only where its test passed; what nobody recorded proves nothing."""

from __future__ import annotations

import paging
import pytest
import pytest_run

CASE = """<testcase name="{name}"><properties><property name="fault_to_page_seconds_{name}" value="{took}"/>
</properties>{inside}</testcase>"""


def report(*cases: str) -> str:
    return f'<testsuites><testsuite name="pytest">{"".join(cases)}</testsuite></testsuites>'


def case(name: str, took: float, inside: str = "") -> str:
    return CASE.format(name=name, took=took, inside=inside)


def test_the_slowest_page_counts() -> None:
    found = pytest_run.tried(report(case("a", 12.5), case("b", 17.0)))
    known = ["HostDown", "NoPrimary", "Watchdog", "DiskFills"]
    assert paging.samples(found, known) == {"fault_to_page_seconds": 17.0, "rules": 4}


@pytest.mark.parametrize("word", ["failure", "error", "skipped"])
def test_a_test_that_did_not_pass_proves_nothing(word: str) -> None:
    found = pytest_run.tried(report(case("a", 1), case("b", 2, f'<{word} message="late"/>')))
    with pytest.raises(AssertionError, match=rf"b \({word}: late\)"):
        paging.samples(found, ["HostDown"])


def test_no_test_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing was recorded"):
        paging.samples(pytest_run.tried(report()), ["HostDown"])


def test_the_rules_are_found() -> None:
    assert {"NoPrimary", "Watchdog"} <= set(paging.rules(paging.RULES))
