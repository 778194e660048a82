# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What repeated drills say, and what they do not."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.repetition import Repetition, repetitions


def test_drills_are_put_together_by_scenario_and_what_was_run_once_is_left_out() -> None:
    found = repetitions([("a", 2.0, 0), ("b", 1.0, 0), ("a", 4.0, 1), ("a", None, 0), ("a", 6.0, None)])
    assert found == [Repetition("a", (2.0, 4.0), 1)]


def test_the_spread_of_five() -> None:
    found = Repetition("a", (5.0, 9.0, 6.0, 7.0, 8.0), 0).as_dict()
    assert (found["n"], found["min"], found["median"], found["max"]) == (5, 5.0, 7.0, 9.0)
    assert found["p95"] == pytest.approx(8.8)


def test_a_zero_is_as_sure_as_there_are_drills() -> None:
    assert Repetition("a", (1.0,) * 30, 0).loss_bound == pytest.approx(0.1)
    assert Repetition("a", (1.0, 1.0), 0).loss_bound is None
    assert Repetition("a", (1.0,) * 30, 1).loss_bound is None
