# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module availability_record: gives what touches the period, and says what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Transactions
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.modules import availability_record

#: 2026-11-26T18:00:00Z
NOW = 1795716000.0
DAY = 86400.0


def test_only_the_period_is_given(tmp_path: Path) -> None:
    for month, at in (("2026-09", NOW - 60 * DAY), ("2026-11", NOW - 2 * DAY)):
        records.append(tmp_path / f"{month}.jsonl", Transactions("committed", at, at + 60).as_record())
    with (tmp_path / "2026-11.jsonl").open("a") as file:
        file.write('{"utc": "2026-11-2')
    answer = availability_record.act({"month": None, "directory": str(tmp_path)}, NOW)
    assert [line["utc"] for line in answer["lines"]] == ["2026-11-24T18:00:00.000Z"]
    assert (answer["changed"], len(answer["problems"])) == (False, 1)
    assert len(availability_record.act({"month": "2026-09", "directory": str(tmp_path)}, NOW)["lines"]) == 1


def test_no_month_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is no month"):
        availability_record.act({"month": "autumn", "directory": str(tmp_path)}, NOW)
