# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook gives to tasks that it includes must not hide what these find out: given variables come first."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
#: A runbook's data hold no task.
FILES = sorted(path for path in PLAYBOOKS.rglob("*.yml") if path.name != "runbook.yml")
INCLUDES = ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks")
#: What may stand below a task or a play as tasks of its own.
BELOW = ("pre_tasks", "tasks", "post_tasks", "block", "rescue", "always")


def tasks_in(content: t.Any) -> t.Iterator[dict[str, t.Any]]:
    for one in content or []:
        yield one
        for key in BELOW:
            yield from tasks_in(one.get(key))


def found_out(path: Path, seen: frozenset[Path] = frozenset()) -> set[str]:
    """The names that tasks of a file register or set as facts, and those of the files that it includes."""
    names: set[str] = set()
    if path in seen or not path.is_file():
        return names
    for task in tasks_in(yaml.safe_load(path.read_text(encoding="utf-8"))):
        names |= {task["register"]} if "register" in task else set()
        names |= set(task.get("ansible.builtin.set_fact", {})) - {"cacheable"}
        for key in INCLUDES:
            if key in task:
                names |= found_out(path.parent / str(task[key]), seen | {path})
    return names


def hidden(path: Path) -> list[str]:
    found = []
    for task in tasks_in(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for key in INCLUDES:
            given = set(task.get("vars", {})) & found_out(path.parent / str(task[key])) if key in task else set()
            found += [f"{task['name']}: {name}" for name in sorted(given)]
    return found


def on_this_node(path: Path) -> list[str]:
    """Tasks on the control node that would become root there, because the inventory says so for the hosts."""
    return [
        task["name"]
        for task in tasks_in(yaml.safe_load(path.read_text(encoding="utf-8")))
        if task.get("delegate_to") == "localhost" and task.get("vars", {}).get("ansible_become") is not False
    ]


def test_nobody_becomes_root_on_the_control_node() -> None:
    """But for drills, which need a lab there. The keyword become is weaker than the variable."""
    paths = [*PLAYBOOKS.glob("*.yml"), *(PLAYBOOKS / "tasks").rglob("*.yml")]
    found = {path.name: on_this_node(path) for path in paths if not path.name.startswith("control")}
    assert {name: tasks for name, tasks in found.items() if tasks} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLAYBOOKS).with_suffix("")))
def test_nothing_that_is_given_hides_what_is_found_out(path: Path) -> None:
    assert hidden(path) == []


def test_a_variable_that_hides_one_is_found(tmp_path: Path) -> None:
    (tmp_path / "judged.yml").write_text("- ansible.builtin.include_tasks: deeper.yml\n")
    (tmp_path / "deeper.yml").write_text("- block:\n  - debug:\n    register: kept\n")
    playbook = tmp_path / "drill.yml"
    playbook.write_text(
        "- tasks:\n  - name: Judge\n    ansible.builtin.include_tasks: judged.yml\n    vars: {kept: 1, other: 2}\n"
    )
    assert hidden(playbook) == ["Judge: kept"]
