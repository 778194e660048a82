# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an operation is killed, and what is known of that: docs/chaos.json. Pure, but for that one file.

The file: ``{"schema", "operations": {name: {"tasks", "distinct", "points": [{"task", "name", "wrong": [...]}],
"moments": [{"second", "name", "with_all_it_began", "wrong": [...]}]}}}``; an operation has points, moments, or both.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "docs" / "chaos.json"
SCHEMA = "fraiseql.resilience/chaos/1"
#: After so many seconds within a task the hosts may have gone on by themselves.
MAY_GO_ON_SECONDS = 1.0
WHERE = "each by name in [chaos.json](chaos.json)"


@dataclass(frozen=True)
class Task:
    """A task of an undisturbed run: whether it changed anything anywhere, and how long it took."""

    name: str
    changed: bool
    seconds: float


@dataclass(frozen=True)
class Point:
    """An operation killed after one of its tasks and run again: what is wrong afterwards."""

    task: int
    name: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """An operation killed in the middle of a task and run again; its workers too, or not: what is wrong afterwards."""

    second: float
    name: str
    with_all_it_began: bool
    wrong: tuple[str, ...]


def read_tasks(path: Path) -> list[Task]:
    return [Task(**one) for one in json.loads(path.read_text(encoding="utf-8"))]


def distinct(tasks: t.Sequence[Task]) -> list[int]:
    """Numbers of the tasks after which a kill can leave something else than a kill after the task before.

    A task that only looked leaves the hosts as they were, unless it took so long that they went on by themselves.
    """
    found = [number for number, task in enumerate(tasks, start=1) if task.changed or task.seconds >= MAY_GO_ON_SECONDS]
    return sorted({1, *found, len(tasks)})


def spread(numbers: t.Sequence[int], wanted: int) -> list[int]:
    """All of the numbers, or some in equal steps, the first and the last included."""
    if not 0 < wanted < len(numbers):
        return list(numbers)
    steps = max(1, wanted - 1)
    return sorted({numbers[round(step * (len(numbers) - 1) / steps)] for step in range(wanted)})


def known() -> dict[str, t.Any]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"schema": SCHEMA, "operations": {}}


def whole_points(operation: str, tasks: t.Sequence[Task]) -> set[int]:
    """Points that were whole before, by their numbers; a task that has another name by now is another one."""
    recorded = _of(known(), operation)["points"]
    return {
        one["task"]
        for one in recorded
        if not one["wrong"] and one["task"] <= len(tasks) and tasks[one["task"] - 1].name == one["name"]
    }


def keep(operation: str, tasks: t.Sequence[Task], point: Point) -> dict[str, t.Any]:
    """The file's content with one more point."""
    content = known()
    kept = _of(content, operation)
    this = {"task": point.task, "name": point.name, "wrong": list(point.wrong)}
    # One that was killed after a task that has another place or name by now says nothing about this one.
    still = {(number, task.name) for number, task in enumerate(tasks, start=1)}
    others = [one for one in kept["points"] if one["task"] != point.task and (one["task"], one["name"]) in still]
    ordered = sorted([*others, this], key=lambda one: int(one["task"]))
    # On another lab, or under more load, another task may have taken long enough to be one of them.
    points = {*distinct(tasks), *(one["task"] for one in ordered)}
    mine = {"tasks": len(tasks), "distinct": len(points), "points": ordered}
    return _written(content, operation, {**kept, **mine})


def keep_moment(operation: str, moment: Moment) -> dict[str, t.Any]:
    """The file's content with one more moment."""
    content = known()
    kept = _of(content, operation)
    this = {**asdict(moment), "wrong": list(moment.wrong)}
    return _written(content, operation, {**kept, "moments": [*kept["moments"], this]})


def _of(content: t.Mapping[str, t.Any], operation: str) -> dict[str, t.Any]:
    return {"tasks": 0, "distinct": 0, "points": [], "moments": [], **content["operations"].get(operation, {})}


def _written(content: dict[str, t.Any], operation: str, kept: dict[str, t.Any]) -> dict[str, t.Any]:
    content["operations"][operation] = kept
    unfinished = FILE.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(FILE)
    return content


def samples(content: dict[str, t.Any], kind: str = "points") -> list[float]:
    """One a point, or one a moment: whole (1) or not (0). A point where nobody killed yet is not known to be whole."""
    kept = _with(content, kind).values()
    seen = [float(not one["wrong"]) for operation in kept for one in operation[kind]]
    missing = sum(max(0, one["distinct"] - len(one["points"])) for one in kept) if kind == "points" else 0
    return seen + missing * [0.0]


def remark(content: dict[str, t.Any]) -> str:
    """How far the points reach, by operation."""
    parts = [
        f"{name} {len(one['points'])} of {one['distinct']} ({one['tasks']} tasks)"
        for name, one in _with(content, "points").items()
    ]
    reach = (
        "killed after each task that changed something or took a second, since any other leaves what was there before"
    )
    return f"{reach}: {', '.join(parts)}; {WHERE}."


def moment_remark(content: dict[str, t.Any]) -> str:
    """How many moments, by operation."""
    parts = [f"{name} {len(one['moments'])}" for name, one in _with(content, "moments").items()]
    reach = "at random moments, each in a part of its own of the run's time; every other time the run's workers live on"
    return f"{reach}: {', '.join(parts)}; {WHERE}."


def _with(content: dict[str, t.Any], kind: str) -> dict[str, t.Any]:
    kept = {name: _of(content, name) for name in content["operations"]}
    return {name: one for name, one in kept.items() if one[kind]}
