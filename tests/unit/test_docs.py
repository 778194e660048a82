# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every page leads to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.plugin_utils import scenarios
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

TOP = Path(__file__).resolve().parents[2]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_why_a_runbook_has_no_drill_is_said() -> None:
    text = " ".join((TOP / "docs" / "detection.md").read_text(encoding="utf-8").split())
    left_out = scenarios.drilled(catalogue.RUNBOOKS, None).left_out
    assert left_out and [name for name in left_out if f"`{name}` has no drill" not in text] == []
