# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many of the faults that are seeded into a runbook does its linter find, by the rule for it and by no other?"""

from __future__ import annotations

import typing as t

from pytest_run import Tried, report, tried

TEST = "tests/unit/plugins/module_utils/judge/runbooks/test_lint.py"
SEEDED = "test_a_fault_is_found_by_its_rule_and_by_no_other"
TIMEOUT = 300.0


def found(_bench: t.Any = None) -> dict[str, float]:
    """One round."""
    return {"linter_faults_found": sum(not one.missed for one in seeded())}


def total(_bench: t.Any = None) -> dict[str, float]:
    return {"linter_faults_found": len(seeded())}


def seeded() -> list[Tried]:
    return [one for one in tried(report(TEST, timeout=TIMEOUT)) if one.name.startswith(SEEDED)]
