# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of records: a torn line costs itself alone, and is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "orders" / "results.jsonl"
    records.append(path, {"n": 1, "reason": "größer"})
    records.append(path, {"n": 2})
    assert records.read(path) == records.Lines(({"n": 1, "reason": "größer"}, {"n": 2}), ())


def test_a_file_that_is_not_there_has_no_records_yet(tmp_path: Path) -> None:
    assert records.read(tmp_path / "none.jsonl") == records.Lines()


def test_a_torn_last_line_is_told_and_the_next_one_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": ')
    read = records.read(path)
    assert read.records == ({"n": 1},)
    assert read.problems == ("results.jsonl: line 2 is torn: it was being written when the host stopped",)
    records.append(path, {"n": 3})
    assert records.read(path) == records.Lines(({"n": 1}, {"n": 3}), ("results.jsonl: line 2 is no JSON",))


@pytest.mark.parametrize("line", [b"[1]", b"7", b"null", b"\xff\xfe", b"{]", b"[" * 100_000])
def test_a_line_of_another_kind_is_told(line: bytes) -> None:
    read = records.parse(b'{"n": 1}\n' + line + b'\n\n{"n": 2}\n', "catalogue.jsonl")
    assert read.records == ({"n": 1}, {"n": 2})
    [problem] = read.problems
    assert problem.startswith("catalogue.jsonl: line 2 is no ")


def test_what_cannot_be_read_or_written_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="cannot be read"):
        records.read(tmp_path)
    with pytest.raises(UnknownError, match="cannot be written"):
        records.append(tmp_path, {})


def test_a_file_of_one_record_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "forecasts" / "forecast.json"
    records.replace(path, {"n": 1})
    records.replace(path, {"n": 2})
    assert records.read(path).records == ({"n": 2},)
    assert [one.name for one in path.parent.iterdir()] == ["forecast.json"]
    with pytest.raises(UnknownError, match="cannot be written"):
        records.replace(path / "below", {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_what_root_makes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    records.append(tmp_path / "forecasts.jsonl", {})
    assert (tmp_path / "forecasts.jsonl").stat().st_uid == 65534


def test_each_stanza_has_its_own_files(tmp_path: Path) -> None:
    kept = records.files("orders", tmp_path)
    assert kept.catalogue == tmp_path / "backups/orders/catalogue.jsonl"
    assert kept.forecasts == tmp_path / "verifications/orders/forecasts.jsonl"
    assert kept.verifications == tmp_path / "verifications/orders/results.jsonl"
