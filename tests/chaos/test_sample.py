# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation, killed half-way and run again; ``make chaos`` kills each operation after each of its tasks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import run
from lab_hosts import Lab
from rounds import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "evidence").mkdir()
    return Bench(Lab(Path(os.environ.get("RESILIENCE_LAB", run.TOP / ".lab"))), tmp_path)


def test_a_switchover_that_is_killed_half_way_is_ended_by_the_next_run(bench: Bench) -> None:
    undisturbed = run.disturbed(bench, "switchover", run.UNDISTURBED)
    assert undisturbed.wrong == []
    half = len(undisturbed.tasks) // 2
    killed = run.disturbed(bench, "switchover", run.Kill(after_task=half))
    assert killed.wrong == [], f"killed after task {half} of {len(undisturbed.tasks)}"
