# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of every role, module and playbook, whoever wrote it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
COLLECTION = "fraiseql.resilience"
ROLES = sorted(path for path in (TOP / "roles").glob("*") if path.is_dir())
MODULES = sorted(path for path in (TOP / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
PLAYBOOKS = sorted([*(TOP / "playbooks").glob("*.yml"), *(TOP / "playbooks" / "drills").glob("*.yml")])
#: All that a user's machine runs; the rest of the repository may be missing there.
RUNS = ("meta", "plugins", "roles", "playbooks")
#: Playbooks that can take a service away or data with it.
DESTRUCTIVE = {
    "switchover", "failover", "failback", "rejoin", "restore", "restore_commit", "repository_restore", "controls",
    "retire_repository_key", "rotate_certificates", "rotate_repository_key", "trainings/started",
} | {
    f"drills/{path.stem}"
    for path in (TOP / "playbooks" / "drills").glob("*.yml")
    if path.stem not in ("begin", "unknown")
}  # fmt: skip
#: Where a list of tasks hides inside a play or a block.
TASK_LISTS = ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always")

#: Ways to take in another file, by the path beside the one that says so.
TAKES_IN = ("ansible.builtin.import_playbook", "ansible.builtin.import_tasks", "ansible.builtin.include_tasks")


def ids(path: Path) -> str:
    return path.stem


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def running_files(*suffixes: str) -> list[Path]:
    return [
        path
        for folder in RUNS
        for path in sorted((TOP / folder).rglob("*"))
        if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts
    ]


def tasks_of(items: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every play and task below ``items``, blocks opened."""
    for item in items or []:
        if not isinstance(item, dict):
            continue
        yield item
        for key in TASK_LISTS:
            yield from tasks_of(item.get(key))


def task_files() -> list[Path]:
    return [
        path
        for path in running_files(".yml")
        if path.is_relative_to(TOP / "playbooks") or path.parent.name in {"tasks", "handlers"}
    ]


# Roles ---------------------------------------------------------------------------------------------------------------


def main_spec(role: Path) -> dict[str, t.Any]:
    options: dict[str, t.Any] = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})
    return options


def defaults(role: Path) -> dict[str, t.Any]:
    path = role / "defaults" / "main.yml"
    return (load(path) or {}) if path.exists() else {}


@pytest.mark.parametrize("role", ROLES, ids=ids)
def test_specified_defaults_are_the_defaults(role: Path) -> None:
    specified = {name: option["default"] for name, option in main_spec(role).items() if "default" in option}
    assert specified == defaults(role)


@pytest.mark.parametrize("role", ROLES, ids=ids)
def test_each_variable_is_typed_described_and_commented(role: Path) -> None:
    for name, option in main_spec(role).items():
        assert option.get("type"), name
        assert option.get("description"), name
    lines = (role / "defaults" / "main.yml").read_text(encoding="utf-8").splitlines() if defaults(role) else []
    for above, line in zip(["", *lines], lines, strict=False):
        if re.match(r"[a-z_]+:", line):
            assert above.startswith("#") or " # " in line, f"{line}: no comment says what it is, with its unit"


@pytest.mark.parametrize("role", ROLES, ids=ids)
def test_variables_carry_the_name_of_their_role(role: Path) -> None:
    """Also those that tasks make; only what several roles share begins with ``resilience_``."""
    own = "resilience_" if role.name == "cluster" else f"{role.name}_"
    assert [name for name in defaults(role) if not name.startswith(own)] == []
    made = {name for path in (role / "tasks").glob("*.yml") for task in tasks_of(load(path)) for name in made_by(task)}
    # How Ansible reaches a host is no variable of ours.
    allowed = (own, f"_{own}", f"__{own}", "resilience_", "ansible_pipelining")
    assert sorted(name for name in made if not name.startswith(allowed)) == []


def made_by(task: dict[str, t.Any]) -> t.Iterator[str]:
    """The variables that exist after a task, or while it runs."""
    if "register" in task:
        yield task["register"]
    yield from (name for name in task.get("ansible.builtin.set_fact", {}) if name != "cacheable")
    if not any(key in task for key in ("ansible.builtin.include_role", "ansible.builtin.import_role")):
        yield from task.get("vars", {})


@pytest.mark.parametrize("role", ROLES, ids=ids)
def test_secrets_have_no_default_and_are_not_logged(role: Path) -> None:
    for name, option in main_spec(role).items():
        if re.search(r"(password|passphrase|secret|s3_key)$", name):
            assert "default" not in option, name
            assert option.get("no_log") is True, name


@pytest.mark.parametrize("role", ROLES, ids=ids)
@pytest.mark.parametrize("heading", ["Outcome", "Idempotent", "Atomic", "Roll-back"])
def test_readme_says(role: Path, heading: str) -> None:
    assert re.search(rf"^## {heading}$", (role / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


# Modules -------------------------------------------------------------------------------------------------------------


def documentation(module: Path) -> dict[str, str]:
    """The three documentation strings of a module, by name."""
    found = {}
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in {"DOCUMENTATION", "EXAMPLES", "RETURN"} and isinstance(node.value, ast.Constant):
                found[name] = str(node.value.value)
    return found


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_module_is_documented(module: Path) -> None:
    found = documentation(module)
    assert set(found) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    fragments = yaml.safe_load(found["DOCUMENTATION"]).get("extends_documentation_fragment", [])
    known = {f"{COLLECTION}.attributes", f"{COLLECTION}.attributes.info_module"}
    assert known & set([fragments] if isinstance(fragments, str) else fragments), "check_mode, diff_mode, idempotent"
    assert any(f"{COLLECTION}.{module.stem}" in example for example in yaml.safe_load(found["EXAMPLES"]))
    assert yaml.safe_load(found["RETURN"])


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_module_has_a_unit_test(module: Path) -> None:
    assert list((TOP / "tests" / "unit" / "plugins").rglob(f"test_{module.stem}.py"))


def test_every_module_is_in_the_action_group() -> None:
    group = load(TOP / "meta" / "runtime.yml")["action_groups"]["resilience"]
    assert group == [module.stem for module in MODULES]


# Playbooks and tasks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", task_files(), ids=lambda path: str(path.relative_to(TOP)))
def test_no_task_waits_for_a_person_or_hides_a_failure(path: Path) -> None:
    for item in tasks_of(load(path)):
        label = item.get("name", item)
        assert "vars_prompt" not in item, label
        assert not {"pause", "ansible.builtin.pause"} & set(item), label
        assert "ignore_errors" not in item, label


def test_who_becomes_another_user_needs_no_file_that_both_can_read() -> None:
    """From a login that is not root, Ansible would need setfacl there for that; through a pipe it needs nothing."""
    becoming = [path for path in task_files() if any("become_user" in task for task in tasks_of(load(path)))]
    assert becoming
    for path in becoming:
        taken = [task for other in path.parent.glob("*.yml") for task in tasks_of(load(other))
                 if task.get("ansible.builtin.include_tasks") == path.name]  # fmt: skip
        assert taken, path
        assert [task["name"] for task in taken if not task.get("vars", {}).get("ansible_pipelining")] == []


def opened(path: Path) -> t.Iterator[dict[str, t.Any]]:
    """The tasks of a playbook in order, with those of the task files that it takes in."""
    for item in tasks_of(load(path)):
        yield item
        for key in TAKES_IN:
            name = item.get(key)
            if isinstance(name, str) and (path.parent / name).exists():
                yield from opened(path.parent / name)


@pytest.mark.parametrize("name", sorted(DESTRUCTIVE))
def test_a_destructive_playbook_is_confirmed_and_approved_before_anything_else(name: str) -> None:
    around = {"hosts", "block", *TAKES_IN}
    acts = [item for item in opened(TOP / "playbooks" / f"{name}.yml") if not around & set(item)]
    assert f"{COLLECTION}.confirmation" in acts[0], acts[0]
    assert f"{COLLECTION}.approval" in acts[1], acts[1]


def test_dependencies_are_what_is_called() -> None:
    """The collections that tasks name, and only they, are in galaxy.yml, and docs/dependencies.md explains each."""
    called = set()
    for path in task_files():
        for item in tasks_of(load(path)):
            called |= {match[1] for key in item if (match := re.fullmatch(r"(\w+\.\w+)\.\w+", key))}
    called -= {"ansible.builtin", COLLECTION}
    dependencies = load(TOP / "galaxy.yml")["dependencies"]
    assert set(dependencies) == called
    asked = {entry["name"]: entry["version"] for entry in load(TOP / "requirements.yml")["collections"]}
    assert asked == dependencies
    explained = (TOP / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert [name for name in sorted(called) if f"`{name}`" not in explained] == []


# The collection as a whole -------------------------------------------------------------------------------------------


def committed_files() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout.split("\0")
    return [TOP / name for name in names if name and (TOP / name).is_file()]


def test_what_runs_reads_nothing_from_docs_tests_or_extensions() -> None:
    reads = re.compile(r"""["'](?:\.\./)*(?:docs|tests|extensions)/|\.\./(?:docs|tests|extensions)/""")
    files = running_files(".yml", ".py", ".j2", ".sh")
    assert files
    assert [str(path.relative_to(TOP)) for path in files if reads.search(path.read_text(encoding="utf-8"))] == []


def test_no_file_names_a_place_on_the_machine_that_it_was_written_on() -> None:
    places = re.compile(rb"/(?:work|farm)/(?:main|shared|\.)|/home/\w+/|/root/\.pyenv")
    files = committed_files()
    assert files
    assert [str(path.relative_to(TOP)) for path in files if places.search(path.read_bytes())] == []


def test_python_and_programs_carry_the_licence() -> None:
    files = [path for path in committed_files() if path.suffix == ".py" and path.stat().st_size]
    missing = [path for path in files if "SPDX-License-Identifier: GPL-3.0-or-later" not in path.read_text("utf-8")]
    assert [str(path.relative_to(TOP)) for path in missing] == []


def test_first_lines_and_execute_bits_agree() -> None:
    """A module has neither; a program that is installed on a host names that host's own Python; nothing else runs."""
    for path in committed_files():
        first = path.read_bytes().split(b"\n", 1)[0].decode("utf-8", "replace")
        name = str(path.relative_to(TOP))
        if name.startswith("plugins/"):
            allowed = {"#!/usr/bin/python"} if name.startswith("plugins/modules/") else set()
            assert not os.access(path, os.X_OK), name
        elif name.startswith("roles/"):
            allowed = {"#!/usr/bin/python3", "#!/usr/bin/python3 -IS", "#!/bin/sh", "#!/usr/bin/env bash"}
        else:
            allowed = {"#!/usr/bin/python3", "#!/usr/bin/env python3", "#!/usr/bin/env bash"}
        assert not first.startswith("#!") or first in allowed, f"{name}: {first}"
        assert first.startswith("#!") or not os.access(path, os.X_OK), f"{name} can be executed, but by what?"


def test_playbooks_load_with_only_what_a_user_installs(tmp_path: Path) -> None:
    """Nothing but meta/, plugins/, roles/ and playbooks/ has to be there, and nothing is called that does not exist."""
    alone = tmp_path / "ansible_collections" / "fraiseql" / "resilience"
    for folder in RUNS:
        shutil.copytree(TOP / folder, alone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "galaxy.yml", alone)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "-i", "localhost,"]
    command += ["-e", "resilience_cluster=all", "-e", "resilience_scenario=replay_paused"]
    names = [playbook.relative_to(TOP / "playbooks").with_suffix("") for playbook in PLAYBOOKS]
    command += [".".join([COLLECTION, *name.parts]) for name in names]
    environment = {
        "PATH": "/usr/bin:/bin",
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "home"),
    }
    answer = subprocess.run(
        command, check=False, cwd=tmp_path, env={**environment, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert str(TOP / "playbooks") not in answer.stdout + answer.stderr


def within(task: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    return [inner for key in TASK_LISTS for inner in tasks_of(task.get(key))]


def hosts_asked_for_in_vain(path: Path) -> t.Iterator[str]:
    """Ansible reads ``delegate_to`` of a skipped task, too; what was skipped before it has registered nothing."""
    for block in tasks_of(load(path)):
        if "when" not in block:
            continue
        inner = within(block)
        unmade = {task["register"] for task in inner if "register" in task}
        for task in inner:
            words = set(re.findall(r"[a-z_]+", task.get("delegate_to", "")))
            if words & unmade and "default" not in words:
                yield f"{task['name']}: {task['delegate_to']}"


@pytest.mark.parametrize("path", task_files(), ids=lambda path: str(path.relative_to(TOP)))
def test_a_skipped_block_asks_for_no_host_that_it_would_have_found(path: Path) -> None:
    assert list(hosts_asked_for_in_vain(path)) == []
