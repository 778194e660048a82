# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a month: says what matters, needs nothing from elsewhere, also where there is nothing, or all failed."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import months
import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_report as reports
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import period as periods
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import backup_page, html

MONTH = months.month()
NOTHING, FAILED = Known(repos=[1, 2]), months.all_failed()


def report(known: Known = MONTH, **objectives: t.Any) -> dict[str, t.Any]:
    period = periods.period_of("2026-11", months.NOW)
    windows = months.windows() if known is MONTH else None
    said = reports.backup_report(known, period, objectives or months.OBJECTIVES, months.NOW, windows)
    return {"cluster": "orders", "stanza": "orders", **said}


def page(said: dict[str, t.Any]) -> str:
    return backup_page.page(said).decode("utf-8")


class Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID: t.ClassVar = {"meta", "br", "path", "circle"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("known", [MONTH, NOTHING, FAILED], ids=["month", "nothing", "all failed"])
def test_any_month_has_a_page_that_needs_nothing_from_elsewhere(known: Known) -> None:
    text = page(report(known))
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://|\son\w+=", text)
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(drawing)
        assert "nan" not in drawing and "inf" not in drawing


def test_the_page_says_what_failed_and_what_came_after() -> None:
    text = page(report())
    for said in (
        "the repository is full", "orders.items: 3 rows are not the same", "2026-11-13T03:00:00Z", "hourly",
        "Every hour (UTC) and its backup", "objective ≤ 5 min", "722 backups",
    ):  # fmt: skip
        assert said in text
    assert text.count("<svg") == 8


def test_a_month_of_nothing_says_so_and_draws_nothing() -> None:
    text = page(report(NOTHING))
    assert "None in this period" in text and "no backup of this period is known to be good" in text
    assert "<svg" not in text and 'class="verdict unknown">unknown</span>' in text


def test_where_all_failed_alike_failures_are_told_once_and_each_backup_is_listed() -> None:
    text = page(report(FAILED))
    assert text.count("the repository cannot be written: read-only") == 1 and "720 × incr backup" in text
    assert text.count("the key is wrong") == 1 and "30 × standard verification" in text
    assert text.count('<span class="verdict failed">failed</span>') > 750
    assert 'class="cell failed"' in text


def test_failures_that_differ_or_were_mended_apart_stay_apart() -> None:
    rows = backup_page.runs(report()["failures"])
    assert [one["count"] for one in rows] == [1, 1, 1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(40, "40 s"), (119, "119 s"), (720, "12 min"), (86402, "24.0 h"), (302400, "3.5 d")]
)
def test_spans(seconds: float, said: str) -> None:
    assert html.span(seconds) == said


def test_nothing_in_a_record_becomes_markup() -> None:
    evil = "<script>alert('x')</script>"
    bad = months.backup(5, "incr", verdict="failed", why=evil)
    known = Known([{**bad, "by": evil, "wanted": evil, "label": evil}], [months.verification(6, "standard", verdict="failed", why=evil)], problems=[evil])
    said = {**report(known), "cluster": evil}
    assert "<script" not in page(said)


def test_every_hour_of_the_month_has_a_cell() -> None:
    said = report()
    days = dict(backup_page.hours(said, months.BEGIN, months.BEGIN + 30 * 86400))
    assert (len(days), {len(hours) for hours in days.values()}) == (30, {24})
    assert days["11-13"][2:7] == ["passed", "missed", "missed", "missed", "passed"]
    assert (days["11-06"][1], days["11-07"][1], days["11-21"][9]) == ("failed", "full", "unknown")


@pytest.mark.parametrize(("rto", "reached"), [(3600, "passed"), (100, "failed"), (None, None)])
def test_the_predicted_time_is_held_against_the_objective(rto: int | None, reached: str | None) -> None:
    objectives = {"retention_days": 30, **({} if rto is None else {"rto_seconds": rto})}
    figure = next(one for one in backup_page.figures(report(**objectives)) if one["name"] == "a restore would take")
    assert figure["reached"] == reached
    assert figure["value"] not in (None, "–")


def test_an_objective_far_above_is_told_in_words_and_a_near_one_is_drawn() -> None:
    far, near = page(report(rto_seconds=36000, retention_days=30)), page(report())
    assert "times as high" in far and 'class="limit"' not in far
    assert 'class="limit"' in near and "times as high" not in near
