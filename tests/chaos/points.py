# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an operation is killed, and what is known of that: docs/chaos.json. Pure, but for that one file.

The file: ``{"schema", "operations": {name: {"tasks", "distinct", "points": [{"task", "name", "wrong": [...]}]}}}``.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "docs" / "chaos.json"
SCHEMA = "fraiseql.resilience/chaos/1"
#: After so many seconds within a task the hosts may have gone on by themselves.
MAY_GO_ON_SECONDS = 1.0


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
    recorded = known()["operations"].get(operation, {}).get("points", [])
    return {
        one["task"]
        for one in recorded
        if not one["wrong"] and one["task"] <= len(tasks) and tasks[one["task"] - 1].name == one["name"]
    }


def keep(operation: str, tasks: t.Sequence[Task], point: Point) -> dict[str, t.Any]:
    """The file's content with one more point."""
    content = known()
    record = content["operations"].setdefault(operation, {"points": []})
    others = [one for one in record["points"] if one["task"] != point.task]
    mine = {"task": point.task, "name": point.name, "wrong": list(point.wrong)}
    content["operations"][operation] = {
        "tasks": len(tasks),
        "distinct": len(distinct(tasks)),
        "points": sorted([*others, mine], key=lambda one: int(one["task"])),
    }
    unfinished = FILE.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(FILE)
    return content


def samples(content: dict[str, t.Any]) -> list[float]:
    """One a point: whole (1) or not (0)."""
    return [float(not point["wrong"]) for one in content["operations"].values() for point in one["points"]]


def remark(content: dict[str, t.Any]) -> str:
    """How far the points reach, by operation."""
    parts = [
        f"{name} {len(one['points'])} of {one['distinct']} ({one['tasks']} tasks)"
        for name, one in content["operations"].items()
    ]
    reach = (
        "killed after each task that changed something or took a second, since any other leaves what was there before"
    )
    return f"{reach}: {', '.join(parts)}; each by name in [chaos.json](chaos.json)."
