# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks say before they change anything, or instead; afterwards the cluster of a running lab is what it was.

RESILIENCE_LAB=.lab .venv/bin/pytest tests/plans
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from lab_hosts import Lab

# testinfra starts ansible-inventory by its bare name.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
DIRECTORY = Path(os.environ.get("RESILIENCE_LAB", Path(__file__).resolve().parents[2] / ".lab"))


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab(DIRECTORY)
