# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an operation is killed: wherever a kill can leave something new, and never twice where it was whole."""

from __future__ import annotations

from pathlib import Path

import points
import pytest
from points import Moment, Point, Task

LOOKED, CHANGED, WAITED = Task("looked", False, 0.2), Task("changed", True, 0.1), Task("waited", False, 4.0)


def test_a_task_that_only_looked_is_no_point_of_its_own() -> None:
    assert points.distinct([LOOKED, LOOKED, CHANGED, LOOKED, WAITED, LOOKED]) == [1, 3, 5, 6]


def test_some_points_are_spread_evenly_with_both_ends() -> None:
    assert points.spread([1, 3, 5, 8, 9], 3) == [1, 5, 9]
    assert points.spread([1, 3, 5], 0) == [1, 3, 5]
    assert points.spread([1, 3], 9) == [1, 3]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "chaos.json"
    monkeypatch.setattr(points, "FILE", path)
    return path


def test_what_was_whole_is_known_until_the_task_is_another_one(file: Path) -> None:
    tasks = [LOOKED, CHANGED, WAITED]
    points.keep("switchover", tasks, Point(2, "changed", ()))
    content = points.keep("switchover", tasks, Point(3, "waited", ("two primaries",)))
    assert points.whole_points("switchover", tasks) == {2}
    assert points.whole_points("switchover", [LOOKED, WAITED, WAITED]) == set()
    # Nobody killed after the first one yet.
    assert points.samples(content) == [1.0, 0.0, 0.0]
    assert "switchover 2 of 3 (3 tasks)" in points.remark(content)


def test_a_point_of_a_task_that_moved_is_forgotten(file: Path) -> None:
    points.keep("switchover", [LOOKED, CHANGED, WAITED], Point(2, "changed", ("two primaries",)))
    content = points.keep("switchover", [LOOKED, LOOKED, CHANGED, WAITED], Point(4, "waited", ()))
    assert [one["task"] for one in content["operations"]["switchover"]["points"]] == [4]


def test_a_task_that_took_long_on_another_lab_is_a_point_too(file: Path) -> None:
    points.keep("switchover", [LOOKED, LOOKED, WAITED], Point(1, "looked", ()))
    points.keep("switchover", [LOOKED, WAITED, WAITED], Point(2, "waited", ()))
    quick = [LOOKED, Task("waited", False, 0.2), WAITED]
    content = points.keep("switchover", quick, Point(3, "waited", ()))
    assert points.samples(content) == [1.0, 1.0, 1.0] and "switchover 3 of 3 (3 tasks)" in points.remark(content)


def test_moments_stand_beside_the_points_of_an_operation(file: Path) -> None:
    points.keep("restore", [LOOKED, CHANGED], Point(2, "changed", ()))
    points.keep_moment("restore", Moment(3.5, "waited", with_all_it_began=True, wrong=()))
    content = points.keep_moment("failover", Moment(0.25, "looked", with_all_it_began=False, wrong=("a hold",)))
    assert points.samples(content) == [1.0, 0.0]
    assert points.samples(content, "moments") == [1.0, 0.0]
    assert "restore 1 of 2 (2 tasks);" in points.remark(content)
    assert "restore 1, failover 1;" in points.moment_remark(content)
    assert points.whole_points("failover", [LOOKED]) == set()
