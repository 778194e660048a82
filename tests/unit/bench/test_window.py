# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The large repository has what the figure says, in the shape that pgBackRest prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import window

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import walk

FIXTURES = Path(__file__).resolve().parents[1] / "plugins" / "module_utils" / "collect" / "fixtures"


def test_it_holds_a_month_of_hourly_backups_and_50000_segments() -> None:
    listed = pgbackrest.parse_listing(json.dumps(window.archive()))
    files = {name: file.time for name, file in listed.items() if file is not None}
    histories = {int(name[:8], 16): text for name, text in window.histories().items()}
    chain = walk(1, files, histories)
    assert sum(len(span) for line in chain.timelines.values() for span in line.spans) == 50_000
    assert [line.gaps for line in chain.timelines.values()] == [(), (), ()]
    held = pgbackrest.parse_info(json.dumps(window.info(window.backups())), "lab").backups
    assert (len(held), sum(one.type == "full" for one in held), len(held[23].references)) == (720, 30, 23)


def test_its_backups_have_the_fields_of_a_real_one() -> None:
    real = json.loads((FIXTURES / "pgbackrest-info.json").read_text())[0]
    ours = window.info(window.backups())[0]
    assert set(ours["backup"][0]) == set(real["backup"][0])
    assert set(ours) == set(real)


def test_a_repository_that_is_judged_otherwise_is_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = window.archive()
    gone = sorted(name for name in whole if name.endswith(".zst"))[100]
    monkeypatch.setattr(window, "archive", lambda: {name: one for name, one in whole.items() if name != gone})
    with pytest.raises(AssertionError, match="judged otherwise"):
        window.large_repository()
