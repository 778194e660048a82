# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook that somebody asks for is one, is sound, and comes with those that it leads to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from sample_runbook import Record, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, library, screen

TODAY = date(2026, 11, 26)


def laid(folder: Path, *documents: Record) -> Path:
    for one in documents:
        (folder / one["id"]).mkdir()
        (folder / one["id"] / "runbook.yml").write_text(yaml.safe_dump(one))
    return folder


def sound() -> Record:
    """The cellar's runbook, by what this collection has."""
    book = document()
    step(book, "look")["task"] = {"module": "certificate_info", "host": "$HOST", "variables": {"min_days": 3}}
    step(book, "drain")["task"]["playbook"] = "failover"
    return book


def test_it_comes_with_those_that_it_leads_to() -> None:
    what = library.chosen(catalogue.RUNBOOKS, "region")
    assert what.root == "region_lost" and what.book.id == "region_lost"
    assert set(what.books) >= {"region_lost", "primary_unresponsive", "cross_region_restore"}
    assert len(what.digest) == 64
    assert library.demand_sound(what, date(2026, 11, 28), refuse_overdue=True) == []


def test_one_for_another_engine_is_not_run(tmp_path: Path) -> None:
    what = library.chosen(laid(tmp_path, document()), "cellar")
    library.demand_engine(what, "manual")
    with pytest.raises(InputError, match="not for the engine patroni") as refused:
        library.demand_engine(what, "patroni")
    assert refused.value.possible == "manual"


def test_what_is_no_runbook_is_said_with_its_place(tmp_path: Path) -> None:
    folder = laid(tmp_path, document(review_days="soon"), document(id="attic_wet"))
    with pytest.raises(InputError, match="cellar_wet is no runbook: review_days: 'soon' is not"):
        library.chosen(folder, "cellar")
    books, broken = library.listing(folder)
    assert [book.id for book in books] == ["attic_wet"] and "review_days" in broken["cellar_wet"]
    assert screen.listed(books, broken, TODAY)[0] == "sev1  attic_wet  The cellar is wet"


def test_one_that_would_go_astray_is_not_run(tmp_path: Path) -> None:
    book = sound()
    step(book, "dry")["next"]["failure"] = "attic"
    with pytest.raises(InputError, match="failure leads to attic, which is no step"):
        library.demand_sound(library.chosen(laid(tmp_path, book), "cellar_wet"), TODAY, refuse_overdue=False)


def test_other_faults_keep_nobody_from_it(tmp_path: Path) -> None:
    what = library.chosen(laid(tmp_path, sound()), "cellar_wet")
    found = library.demand_sound(what, TODAY, refuse_overdue=True)
    assert found and all("alert" in one or "metric" in one or "component" in one or "unit" in one or "link" in one
                         for one in found)  # fmt: skip


def test_a_review_that_is_due_is_told_or_refused(tmp_path: Path) -> None:
    what = library.chosen(laid(tmp_path, sound() | {"reviewed": "2026-01-01", "review_days": 1}), "cellar_wet")
    assert any("a review was due on 2026-01-02" in one
               for one in library.demand_sound(what, TODAY, refuse_overdue=False))  # fmt: skip
    with pytest.raises(RefusedError, match="its review was due on 2026-01-02"):
        library.demand_sound(what, TODAY, refuse_overdue=True)
    assert screen.overdue(what.book, TODAY) == "; its review was due on 2026-01-02"
