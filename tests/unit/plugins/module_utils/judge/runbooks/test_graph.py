# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps a way leads through, and how long the longest one is."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import graph

#: a leads to b and c, both to d; d back to b, or on to e. f stands alone and leads to itself.
STEPS = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["b", "e"], "e": [], "f": ["f"]}


def test_what_can_be_reached() -> None:
    assert graph.reached(STEPS, "a") == {"a", "b", "c", "d", "e"}
    assert graph.reached(STEPS, "a", without=["d"]) == {"a", "b", "c"}
    assert graph.reached(STEPS, "a", without=["a"]) == set()
    assert graph.reached({"a": ["gone"]}, "a") == {"a"}
    assert graph.leading_to(STEPS, ["e"]) == {"a", "b", "c", "d", "e"}
    assert graph.leading_to(STEPS, []) == set()


def test_what_goes_round() -> None:
    assert graph.rings(STEPS) == [["b", "d"], ["f"]]
    assert graph.unbounded(STEPS, ["d"]) == [["f"]]
    assert graph.unbounded(STEPS, ["b", "f"]) == []


@pytest.mark.parametrize(
    ("visits", "most"),
    [
        ({"d": 1}, 1 + 4 + 2 * 2 + 8 + 16),  # a c, b at most before and after d, d, e
        ({"d": 3}, 1 + 4 + 4 * 2 + 3 * 8 + 16),
        ({"b": 2}, 1 + 4 + 2 * 2 + 3 * 8 + 16),
    ],
)
def test_the_longest_way(visits: dict[str, int], most: float) -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0, "e": 16.0}
    assert graph.longest(STEPS, "a", weights.__getitem__, visits) == most


def test_the_longest_of_two_ways_is_not_their_sum() -> None:
    assert graph.longest({"a": ["b", "c"], "b": [], "c": []}, "a", {"a": 1.0, "b": 2.0, "c": 5.0}.__getitem__, {}) == 6
