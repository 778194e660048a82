# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault was seen only where the test that makes it passed."""

from __future__ import annotations

import re

import green_faults
from pytest_run import TOP, Tried


def test_what_did_not_pass_was_not_seen() -> None:
    first, second, third, *_others = green_faults.FAULTS.values()
    found = [Tried(first, "", {}), Tried(second, "skipped: needs root", {}), Tried(third, "failure: late", {})]
    assert green_faults.samples([*found, Tried("test_of_another_kind", "", {})]) == {"green_faults_seen": 1}
    assert green_faults.samples([]) == {"green_faults_seen": 0}


def test_each_fault_has_a_test_of_its_own() -> None:
    text = "".join((TOP / path).read_text(encoding="utf-8") for path in green_faults.TESTS)
    made = set(re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE))
    assert len(set(green_faults.FAULTS.values())) == len(green_faults.FAULTS) == 13
    assert set(green_faults.FAULTS.values()) <= made
