# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab in RESILIENCE_LAB, by default .lab; it has other keys and certificates afterwards, so this comes last."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lab"))
# testinfra starts ansible-inventory by its bare name.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

from lab_hosts import Lab  # noqa: E402


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab(Path(os.environ.get("RESILIENCE_LAB", TOP / ".lab")))
