# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what is as it was sealed proves anything; what is not is named, and stops nobody from reading the rest."""

from __future__ import annotations

import json
from pathlib import Path

from evidence_folders import seal

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import sealed


def test_reports_of_a_cluster_are_found_the_newest_first(tmp_path: Path) -> None:
    older = seal(tmp_path / "20261125T180000Z-drill-orders", {"cluster": "orders"})
    newer = seal(tmp_path / "20261126T180000Z-failover-orders", {"cluster": "orders"})
    seal(tmp_path / "20261126T190000Z-drill-billing", {"cluster": "billing"})
    # A name that ends with another one's.
    seal(tmp_path / "20261126T200000Z-drill-eu-orders", {"cluster": "eu-orders"})
    found, problems = sealed.reports(tmp_path, "orders")
    assert list(found) == [newer, older] and problems == []
    assert list(sealed.reports(tmp_path, "orders", "drill")[0]) == [older]


def test_an_edited_report_proves_nothing_and_is_named(tmp_path: Path) -> None:
    folder = seal(tmp_path / "20261125T180000Z-drill-orders", {"cluster": "orders", "rto_seconds": 900})
    (folder / "report.json").write_text(json.dumps({"cluster": "orders", "rto_seconds": 1}), encoding="utf-8")
    found, problems = sealed.reports(tmp_path, "orders")
    assert found == {} and "report.json was changed" in problems[0]


def test_one_that_was_cut_off_before_its_seal_hides_no_other(tmp_path: Path) -> None:
    good = seal(tmp_path / "20261125T180000Z-drill-orders", {"cluster": "orders"})
    cut_off = tmp_path / "20261126T180000Z-drill-orders"
    cut_off.mkdir()
    (cut_off / "report.json").write_text("{", encoding="utf-8")
    found, problems = sealed.reports(tmp_path, "orders")
    assert list(found) == [good] and str(cut_off) in problems[0]
    assert sealed.reports(tmp_path / "none", "orders") == ({}, [])
