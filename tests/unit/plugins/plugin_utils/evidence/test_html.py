# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import re
import typing as t
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import report
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import html
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.report import Circumstances

ENDED = "2026-11-23T09:40:00.000000Z"


def page(about: Circumstances, bundle: Bundle, given: dict[str, t.Any], ledger: bytes = b"") -> str:
    found = report.assemble(about, given, bundle.timeline.read(), ENDED)
    return html.page(found, ledger).decode("utf-8")


class Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID: t.ClassVar = {"meta", "br", "img", "path", "rect"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_says_what_matters(
    about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any], ledger: bytes
) -> None:
    given = {**report.of_judged(host_lost), "not_tested": ["the loss of a whole region"]}
    text = page(about, bundle, given, ledger)
    for said in (
        "primary host lost", '<span class="verdict passed">passed</span>', "RTO 4.31 s", "no row lost",
        "pg-a1: the fence agent says off", "the loss of a whole region", "ssh-keygen -Y verify", "objective ≤ 10 s",
        str(about.key_fingerprint),
    ):  # fmt: skip
        assert said in text
    assert "not signed" not in text
    assert text.count("<svg") == 4


def test_the_page_needs_nothing_from_elsewhere(
    about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any], ledger: bytes
) -> None:
    text = page(about, bundle, report.of_judged(host_lost), ledger)
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://|\son\w+=", text)


@pytest.mark.parametrize("with_ledger", [True, False])
def test_elements_are_closed(
    about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any], ledger: bytes, with_ledger: bool
) -> None:
    balance = Balance()
    balance.feed(page(about, bundle, report.of_judged(host_lost), ledger if with_ledger else b""))
    assert balance.open == []


def test_an_unsigned_page_says_so_loudly(about: Circumstances, bundle: Bundle) -> None:
    text = page(dataclasses.replace(about, key_fingerprint=None), bundle, {})
    assert '<p class="warning">This evidence is <strong>not signed</strong>' in text


def test_an_operation_that_measured_nothing_has_a_page(about: Circumstances, bundle: Bundle) -> None:
    text = page(about, bundle, {})
    assert '<span class="verdict unknown">unknown</span>' in text
    assert "–" in text


def test_nothing_in_a_report_becomes_markup(about: Circumstances, bundle: Bundle) -> None:
    evil = "<script>alert('x')</script>"
    bundle.timeline.append("mark", mark=evil, detail=evil, host=evil)
    bundle.timeline.append("failure", task=evil, host=evil, reason=evil)
    given = {
        "checks": [{"name": evil, "verdict": "passed", "reason": evil}],
        "not_tested": [evil],
        "versions": {evil: evil},
        "objectives": {evil: evil},
        "approvals": [{"by": evil}],
        "transactions": {evil: 1},
    }
    changed = dataclasses.replace(
        about,
        scenario=evil,
        cluster=evil,
        operator={"user": evil, "host": evil, "awx": {"awx_job_id": evil}},
        inventory={evil: {"groups": [evil], "region": evil, "address": evil}},
    )
    assert "<script" not in page(changed, bundle, given)


def test_failed_checks_come_first(about: Circumstances, bundle: Bundle) -> None:
    checks = [{"name": word, "verdict": word, "reason": "r"} for word in ("passed", "unknown", "failed")]
    text = page(about, bundle, {"checks": checks})
    assert text.index('"name">failed<') < text.index('"name">unknown<') < text.index('"name">passed<')


@pytest.mark.parametrize(
    ("value", "aim", "reached"), [(4.3, 10, "passed"), (12, 10, "failed"), (None, 10, "unknown"), (4.3, None, None)]
)
def test_figures_are_held_against_their_objective(
    about: Circumstances, bundle: Bundle, value: float | None, aim: float | None, reached: str | None
) -> None:
    objectives = {} if aim is None else {"rto_seconds": aim}
    found = report.assemble(about, {"rto_seconds": value, "objectives": objectives}, bundle.timeline.read(), ENDED)
    figure = html.figures(found)[0]
    assert figure["reached"] == reached
    assert figure["value"] == ("–" if value is None else f"{value:.2f} s" if value < 10 else "12.0 s")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (16 << 20, "16 MiB")]
)
def test_sizes(count: int, said: str) -> None:
    assert html.size(count) == said


@pytest.mark.parametrize(("value", "said"), [(10, "10 s"), (300, "5 min"), (3600, "1 h"), (0.5, "0.5 s"), (90, "90 s")])
def test_durations(value: float, said: str) -> None:
    assert html.duration(value) == said


def test_the_documentation_says_the_same_commands() -> None:
    documented = (Path(__file__).resolve().parents[5] / "docs" / "evidence.md").read_text(encoding="utf-8")
    for command in html.verify_commands():
        assert command in documented.replace(" \\\n ", "")


def test_a_switchover_without_a_failure_is_no_outage(
    about: Circumstances, bundle: Bundle, switchover: dict[str, t.Any], quiet_ledger: bytes
) -> None:
    text = page(about, bundle, report.of_judged(switchover), quiet_ledger)
    assert "a wait, and no failure" in text
    assert "RTO 0.871 s" in text
    assert "The outage" not in text
