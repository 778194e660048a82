# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action backup_report: a host's records become two files on the control node; what could not be seen is told."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import months

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records


def host(folder: Path, days: int = 3) -> Path:
    """A host that keeps the records of November's first days."""
    known = months.month(days)
    kept = records.files("orders", folder)
    for path, lines in ((kept.catalogue, known.catalogue), (kept.verifications, known.verifications)):
        for line in lines:
            records.append(path, line)
    return folder


def reported(control: t.Any, folder: Path, *options: str, **given: t.Any) -> t.Any:
    task = {"name": "orders", "stanza": "orders", "directory": "reports", "records_directory": str(folder), **given}
    return control.play([{"fraiseql.resilience.backup_report": task}], *options)


def test_both_files_are_written(control: t.Any, tmp_path: Path) -> None:
    folder = host(tmp_path / "host")
    records.files("orders", folder).catalogue.open("a").write('{"utc": "2026-')
    answer = reported(control, folder, month="2026-11", objectives=months.OBJECTIVES, repos=[1, 2])
    assert answer.rc == 0, answer.stdout
    said = json.loads((tmp_path / "reports" / "backups-orders-2026-11.json").read_text())
    assert (said["cluster"], len(said["backups"]), len(said["verifications"])) == ("orders", 75, 4)
    assert [one["detail"] for one in said["forecast"]["warnings"] if one["code"] == "line_unread"] == [
        "catalogue.jsonl: line 76 is torn: it was being written when the host stopped"
    ]
    page = (tmp_path / "reports" / "backups-orders-2026-11.html").read_text()
    assert "75 backups" in page and "retention repository 1" in page


def test_a_host_without_records_has_a_report_that_knows_nothing(control: t.Any, tmp_path: Path) -> None:
    answer = reported(control, tmp_path / "none")
    assert answer.rc == 0, answer.stdout
    [said] = [json.loads(path.read_text()) for path in (tmp_path / "reports").glob("*.json")]
    assert said["verdict"] == "unknown"


def test_records_that_cannot_be_read_are_no_empty_month(control: t.Any, tmp_path: Path) -> None:
    records.files("orders", tmp_path).catalogue.mkdir(parents=True)
    answer = reported(control, tmp_path)
    assert answer.rc != 0 and "the records could not be read" in answer.stdout
    assert not (tmp_path / "reports").exists()


def test_check_mode_writes_nothing_and_no_month_is_refused(control: t.Any, tmp_path: Path) -> None:
    assert reported(control, host(tmp_path / "host", 1), "--check", month="2026-11").rc == 0
    assert not (tmp_path / "reports").exists()
    answer = reported(control, tmp_path, month="Nov 2026")
    assert answer.rc != 0 and "this is no month" in answer.stdout
