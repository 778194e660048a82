# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A catalogue that lost half a line to a full disk loses nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.catalogue import (
    BACKUP,
    Catalogue,
    read,
    replace,
)


def line(label: str) -> dict[str, str]:
    return {"schema": BACKUP, "label": label}


def test_lines_are_appended_and_nothing_is_rewritten(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    assert catalogue.lines() == []
    catalogue.append(line("A"))
    first = catalogue.path.read_bytes()
    catalogue.append(line("ü"))
    assert catalogue.path.read_bytes().startswith(first)
    assert catalogue.path.read_bytes().isascii()
    assert [one["label"] for one in catalogue.lines()] == ["A", "ü"]


def test_half_a_line_stays_alone(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    catalogue.path.write_bytes(b'{"schema": "fraiseql.resilience/backup/1", "lab')
    catalogue.append(line("B"))
    assert [one["label"] for one in catalogue.lines()] == ["B"]


def test_other_lines_are_no_backups(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text('{"schema": "another/1"}\n[1]\nnothing\n\xff\n')
    assert read(path, BACKUP) == []


def test_a_run_is_seen_until_it_ends(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    assert catalogue.began(1) is None
    catalogue.begin(1, {"wanted": "full"})
    assert catalogue.began(1) == {"wanted": "full"} and catalogue.began(2) is None
    catalogue.marker(1).write_text("{")
    assert catalogue.began(1) == {}
    catalogue.end(1)
    catalogue.end(1)
    assert catalogue.began(1) is None


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace(path, "old")
    with pytest.raises(UnicodeEncodeError):
        replace(path, "new" * 1000 + "\ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
