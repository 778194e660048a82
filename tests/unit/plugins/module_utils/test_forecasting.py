# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program keeps a forecast before it verifies; it imports nothing of Ansible for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import months

from ansible_collections.fraiseql.resilience.plugins.module_utils import forecasting
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records


def test_what_was_foretold_is_tested_by_what_came_after(tmp_path: Path) -> None:
    known = months.month(4)
    given = {"catalogue": known.catalogue, "verifications": known.verifications[:4]}
    before = forecasting.read("orders", repos=[1], root=tmp_path, given=given)
    said = forecasting.foretold(before, months.OBJECTIVES, months.NOW, keep=True)
    assert records.read(before.files.forecasts).records[0]["recoveries"] == said["recoveries"]
    assert records.read(before.files.forecast).records == records.read(before.files.forecasts).records
    after = forecasting.read("orders", repos=[1], root=tmp_path, given={**given, "verifications": known.verifications})
    told = forecasting.foretold(after, months.OBJECTIVES, months.NOW, keep=False)
    assert told["errors"]["n"] >= 1
    assert len(records.read(before.files.forecasts).records) == 1


def test_a_program_needs_no_ansible_for_it() -> None:
    module = "ansible_collections.fraiseql.resilience.plugins.module_utils.forecasting"
    script = f"import sys, {module}; sys.exit('ansible' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
