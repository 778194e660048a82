# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long from a fault to the page, and how many rules are there?

The tests of tests/unit/roles/monitoring/test_from_fault_to_page.py are run: a real PostgreSQL, gateway, exporters,
Prometheus and Alertmanager on this machine, and a receiver that is told. No lab is needed.

    .venv/bin/python tests/bench/paging.py        once, on the terminal
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import yaml
from pytest_run import TOP, Tried, report, tried

TESTS = "tests/unit/roles/monitoring/test_from_fault_to_page.py"
RULES = TOP / "roles" / "monitoring" / "files" / "alerts.yml"
#: Seconds for all of them.
TIMEOUT = 900.0
TOOK = "fault_to_page_seconds"


def paged(_bench: t.Any = None) -> dict[str, float]:
    """One round: the slowest page of all faults."""
    return samples(tried(report("-m", "slow", TESTS, timeout=TIMEOUT)), rules(RULES))


def samples(found: t.Sequence[Tried], known: t.Sequence[str]) -> dict[str, float]:
    """
    :raises AssertionError: a test failed or could not be run: then nothing is proven.
    """
    wrong = [f"{one.name} ({one.missed})" for one in found if one.missed]
    took = [float(value) for one in found for name, value in one.properties.items() if name.startswith(TOOK)]
    if wrong or not took:
        raise AssertionError(f"the way to the page is not proven: {'; '.join(wrong) or 'nothing was recorded'}")
    return {TOOK: max(took), "rules": len(known)}


def rules(path: Path) -> list[str]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]


if __name__ == "__main__":
    print(json.dumps(paged()))
