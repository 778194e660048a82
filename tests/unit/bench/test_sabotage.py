# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sabotage counts as caught only where its test ran and passed; one that was not ends the measurement by name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import pytest_run
import sabotage

CASE = '<testcase classname="tests.unit" name="test_found[{name}]" time="1.0">{inside}</testcase>'


def report(*insides: str) -> str:
    cases = "".join(CASE.format(name=number, inside=inside) for number, inside in enumerate(insides))
    return (
        f'<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest">{cases}</testsuite></testsuites>'
    )


def test_every_case_of_the_report_is_a_sabotage() -> None:
    found = pytest_run.tried(report("", "<system-out>said</system-out>"))
    assert [one.name for one in found] == ["test_found[0]", "test_found[1]"]
    sabotage.demand_caught(found)


@pytest.mark.parametrize("word", ["failure", "error", "skipped"])
def test_what_was_not_caught_or_not_tried_is_named(word: str) -> None:
    found = pytest_run.tried(report("", f'<{word} message="assert 1&#10;of more">told</{word}>'))
    with pytest.raises(AssertionError, match=rf"1 of 2 sabotages were caught: test_found\[1\] \({word}: assert 1\)"):
        sabotage.demand_caught(found)


def test_no_sabotage_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="no sabotage was tried"):
        sabotage.demand_caught(pytest_run.tried(report()))


def test_a_round_says_how_many_of_how_many(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sabotage, "run_all", lambda: pytest_run.tried(report("", "", "")))
    bench = SimpleNamespace(folder=tmp_path)
    assert sabotage.caught(bench) == sabotage.total(bench) == {"verify_sabotage_caught": 3}
