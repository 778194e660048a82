# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence that drills left in a lab's folder, read with no code of the collection.

RESILIENCE_LAB=.lab RESILIENCE_EVIDENCE=evidence .venv/bin/pytest tests/evidence
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from lab_hosts import Lab

TOP = Path(__file__).resolve().parents[2]
# testinfra starts ansible-inventory by its bare name.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
DIRECTORY = Path(os.environ.get("RESILIENCE_LAB", TOP / ".lab"))
EVIDENCE = Path(os.environ.get("RESILIENCE_EVIDENCE", TOP / "evidence"))
#: What every drill must have left behind.
SCENARIOS = os.environ.get("RESILIENCE_SCENARIOS", "planned_switchover primary_crash primary_host_lost region_lost data_loss").split()


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab(DIRECTORY)


@pytest.fixture(params=SCENARIOS)
def folder(request: pytest.FixtureRequest) -> Path:
    """The newest sealed folder of each scenario."""
    reports = sorted(EVIDENCE.glob("*-drill-*/report.json"))
    found = [report.parent for report in reports if f'"{request.param}"' in report.read_text(encoding="utf-8")]
    assert found, f"{EVIDENCE} holds no report of {request.param}: {[report.parent.name for report in reports]}"
    return found[-1]
