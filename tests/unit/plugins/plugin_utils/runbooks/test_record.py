# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of evidence that several users of a control node share."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import record


def bundle(directory: Path) -> Bundle:
    found = Bundle.create(directory, record.OPERATION, "lab", "cellar_wet")
    found.timeline.append(walk.RUN, digest="d", parameters={"CLUSTER": "lab"})
    return found


def test_a_run_goes_on_from_one_that_it_may_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = bundle(tmp_path)
    left = record.left(tmp_path, "lab", "cellar_wet")
    assert left is not None and left.path == begun.path
    assert record.why_not(left, "d", {"CLUSTER": "lab"}, record.now()) == ""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert "another user's" in record.why_not(left, "d", {"CLUSTER": "lab"}, record.now())


def test_evidence_that_nobody_else_may_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(tmp_path)

    def refused(_self: Bundle) -> t.NoReturn:
        raise PermissionError

    monkeypatch.setattr(Bundle, "opening", refused)
    assert record.left(tmp_path, "lab", "cellar_wet") is None


@pytest.mark.parametrize(("folder", "lock"), [(0o755, 0o644), (0o2775, 0o664), (0o700, 0o600)])
def test_whoever_may_write_to_the_folder_may_take_the_lock(tmp_path: Path, folder: int, lock: int) -> None:
    shared = tmp_path / "evidence"
    shared.mkdir()
    shared.chmod(folder)
    with record.only_run(shared, "lab", {"runbook": "cellar_wet"}):
        assert stat.S_IMODE((shared / ".runbook-lab.lock").stat().st_mode) == lock
