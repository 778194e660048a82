# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action runbook_lint: what is wrong is told with its place, and fails no play by itself."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue


def linted(control: t.Any, **given: t.Any) -> t.Any:
    tasks = [
        {"fraiseql.resilience.runbook_lint": given, "register": "linted"},
        {"ansible.builtin.copy": {"content": "{{ linted | to_json }}", "dest": str(control.folder / "said.json")}},
    ]
    return control.play(tasks)


def said(control: t.Any) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load((control.folder / "said.json").read_text()))


def test_a_folder_of_ones_own_is_judged(control: t.Any, tmp_path: Path) -> None:
    shipped = (catalogue.RUNBOOKS / "primary_crash" / "runbook.yml").read_text()
    mine = tmp_path / "mine" / "primary_crash"
    mine.mkdir(parents=True)
    (mine / "runbook.yml").write_text(shipped.replace("alerts: [NoPrimary,", "alerts: [NoPrimry,"))
    answer = linted(control, directory="mine", today="2026-11-26")
    assert answer.rc == 0, answer.stdout
    found = said(control)
    assert (found["verdict"], found["runbooks"], found["changed"]) == ("failed", ["primary_crash"], False)
    [finding] = found["findings"]
    assert (finding["code"], finding["where"]) == ("alert_unknown", "detection.alerts")
    assert "there is no alert NoPrimry" in found["reasons"][0]
    (mine / "runbook.yml").write_text(shipped)
    assert linted(control, directory="mine", today="2026-11-26").rc == 0
    assert said(control)["verdict"] == "passed"


def test_no_folder_and_no_day_are_refused(control: t.Any, tmp_path: Path) -> None:
    answer = linted(control, directory=str(tmp_path / "nothing"))
    assert answer.rc != 0 and "there is no runbook" in answer.stdout
    answer = linted(control, today="soon")
    assert answer.rc != 0 and "this is no day" in answer.stdout
