# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the order of a playbook's tasks, and their conditions, leave to a run after one that was killed."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from local_play import played

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
RECEIVED = "fraiseql.resilience.received_wal"


def plays(name: str) -> list[dict[str, t.Any]]:
    loaded: list[dict[str, t.Any]] = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
    return loaded


def tasks(name: str) -> list[dict[str, t.Any]]:
    return [task for play in plays(name) for task in play["tasks"]]


def test_the_receiver_forgets_its_wal_only_once_a_member_has_it() -> None:
    states = [task[RECEIVED]["state"] for task in tasks("restore") if RECEIVED in task]
    assert states == ["delivered", "set_aside"]


def test_what_a_member_had_to_reach_is_demanded_whether_the_receiver_still_has_it_or_not() -> None:
    [delivered] = [task for task in tasks("restore") if task.get(RECEIVED, {}).get("state") == "delivered"]
    assert "received" not in delivered["when"]
    assert "received.require_lsn" in delivered[RECEIVED]["require_lsn"]
    [end] = [task["fraiseql.resilience.recovery_end"] for task in tasks("restore")
             if "fraiseql.resilience.recovery_end" in task]  # fmt: skip
    assert "delivered.require_lsn" in end["target_lsn"]


MARK, DESCRIPTOR = "/var/lib/fraiseql-resilience/incomplete", "/etc/fraiseql-resilience/member.json"


def applies(task: dict[str, t.Any], **facts: t.Any) -> bool:
    """Whether the task's condition holds."""
    expression = jinja2.Environment().compile_expression(str(task.get("when", "true")), undefined_to_none=False)
    return bool(expression(ansible_check_mode=False, **facts))


def roles(task: dict[str, t.Any]) -> bool:
    return "ansible.builtin.include_role" in task


def includes(task: dict[str, t.Any], name: str) -> bool:
    return str(task.get("ansible.builtin.include_tasks", "")).endswith(name)


def run_here(folder: Path, play: dict[str, t.Any], hosts: dict[str, t.Any]) -> dict[str, str]:
    """What each host of a play that runs on this machine writes into a file of its own at its end."""
    inventory = {"all": {"hosts": hosts, "vars": {"ansible_python_interpreter": sys.executable}}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    done = played(folder, "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.stem: path.read_text() for path in folder.glob("*.said")}


def said(folder: Path, what: str) -> dict[str, t.Any]:
    return {"ansible.builtin.copy": {"content": what, "dest": f"{folder}/{{{{ inventory_hostname }}}}.said"}}


def test_a_host_is_new_until_it_is_whole(tmp_path: Path) -> None:
    """Its descriptor is one of the first things that it gets."""
    text = (PLAYBOOKS / "tasks" / "host_new.yml").read_text(encoding="utf-8")
    for path in (MARK, DESCRIPTOR):
        assert text.count(path) == 1
        text = text.replace(path, f"{tmp_path}/{{{{ inventory_hostname }}}}-{Path(path).name}")
    (tmp_path / "host_new.yml").write_text(text)
    for name in ("whole-member.json", "half-member.json", "half-incomplete", "begun-incomplete"):
        (tmp_path / name).touch()
    play = {
        "hosts": "all", "gather_facts": False,
        "tasks": [{"ansible.builtin.include_tasks": "host_new.yml"}, said(tmp_path, "{{ new_host | string }}")],
    }  # fmt: skip
    hosts = {name: {"ansible_connection": "local"} for name in ("whole", "half", "begun", "untouched")}
    assert run_here(tmp_path, play, hosts) == {"whole": "False", "half": "True", "begun": "True", "untouched": "True"}


def test_a_rejoin_takes_who_is_not_whole_although_it_streams(tmp_path: Path) -> None:
    looks = [task for task in tasks("rejoin") if MARK in str(task.get("ansible.builtin.raw"))]
    [knows] = [task for task in tasks("rejoin") if "returning" in task.get("ansible.builtin.set_fact", {})]
    for task in looks:
        task["ansible.builtin.raw"] = task["ansible.builtin.raw"].replace(MARK, f"{tmp_path}/{{{{ item.name }}}}")
    members = [
        {"name": name, "receiving_from": source, "ssh_answers": answers}
        for name, source, answers in (
            ("primary", None, True), ("streams", "primary", True), ("half", "primary", True), ("missing", None, False),
            ("lost", "primary", True),
        )
    ]  # fmt: skip
    for name in ("primary", "half", "missing"):
        (tmp_path / name).touch()
    play = {
        "hosts": "observer", "gather_facts": False,
        "vars": {"cluster": {"primary": "primary", "members": members}},
        "tasks": [*looks, knows, said(tmp_path, "{{ returning | sort | join(' ') }}")],
    }  # fmt: skip
    hosts: dict[str, t.Any] = {one["name"]: {"ansible_connection": "local"} for one in members}
    hosts["lost"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts["observer"] = {"ansible_connection": "local"}
    assert run_here(tmp_path, play, hosts) == {"observer": "half missing"}


def test_a_host_of_which_nobody_knows_whether_it_is_whole_ends_the_rejoin(tmp_path: Path) -> None:
    [look] = [task for task in tasks("rejoin") if MARK in str(task.get("ansible.builtin.raw"))]
    look["ansible.builtin.raw"] = "exit 2"
    members = [{"name": "streams", "receiving_from": "primary", "ssh_answers": True}]
    play = {
        "hosts": "observer", "gather_facts": False, "vars": {"cluster": {"primary": "primary", "members": members}},
        "tasks": [look, said(tmp_path, "went on")],
    }  # fmt: skip
    hosts: dict[str, t.Any] = {name: {"ansible_connection": "local"} for name in ("streams", "observer")}
    with pytest.raises(AssertionError):
        run_here(tmp_path, play, hosts)


@pytest.mark.parametrize(
    ("new_host", "method", "standby", "built"),
    [
        (False, "start", True, False), (False, "build", False, True), (True, "build", False, True),
        (True, "none", True, True), (True, "restore", True, True),
    ],
)  # fmt: skip
def test_a_rejoin_builds_what_is_new_or_empty_and_starts_only_what_has_data(
    new_host: bool, method: str, standby: bool, built: bool
) -> None:
    [play] = [play for play in plays("rejoin") if play["name"] == "Bring the missing members back"]
    facts = {"new_host": new_host, "back": {"method": method}}
    starts = [task for task in play["tasks"] if "fraiseql.resilience.demotion" in task]
    builds = [task for task in play["tasks"] if roles(task)]
    assert [applies(task, **facts) for task in starts + builds] == [standby, built]


def task_file(name: str) -> list[dict[str, t.Any]]:
    loaded: list[dict[str, t.Any]] = yaml.safe_load((PLAYBOOKS / "tasks" / f"{name}.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("way", ["restore", "rejoin", "engine_patroni/rejoined"])
def test_a_new_host_is_marked_from_before_its_first_role(way: str) -> None:
    steps = task_file(way) if "/" in way else tasks(way)
    first = next(number for number, task in enumerate(steps) if roles(task))
    [mark] = [number for number, task in enumerate(steps) if includes(task, "host_begun.yml")]
    assert mark == first - 1
    for new_host in (True, False):
        assert applies(steps[mark], new_host=new_host) is new_host
        assert applies(steps[first], new_host=new_host, back={"method": "none"}) is new_host


@pytest.mark.parametrize("name", ["restore", "rejoin"])
def test_the_mark_goes_last(name: str) -> None:
    [*_before, last] = tasks(name)
    assert includes(last, "host_completed.yml")
    assert [applies(last, new_host=new_host) for new_host in (True, False)] == [True, False]
    [*before, goes] = task_file("host_completed")
    assert goes["ansible.builtin.file"] == {"path": MARK, "state": "absent"}
    assert all(roles(task) for task in before)


def test_a_restore_prepares_no_host_by_starting_data_that_an_earlier_run_brought() -> None:
    [play] = [play for play in plays("restore") if play["name"] == "Prepare hosts that were made again"]
    [task] = [task for task in play["tasks"] if roles(task)]
    assert {part["role"]: part.get("tasks") for part in task["loop"]}["postgresql"] == "prepared"
    prepared = (PLAYBOOKS.parent / "roles" / "postgresql" / "tasks" / "prepared.yml").read_text(encoding="utf-8")
    assert [next(iter(set(one) - {"name"})) for one in yaml.safe_load(prepared)] == ["ansible.builtin.import_tasks"] * 3
    assert "run.yml" not in prepared


#: What members hold of an earlier run, what is asked for, and who is restored.
BEGUN: tuple[tuple[dict[str, str], dict[str, str], str], ...] = (
    ({}, {}, "pg-a1"),
    ({}, {"primary": "pg-b1"}, "pg-b1"),
    ({"pg-a2": "default"}, {}, "pg-a2"),
    ({"pg-a2": "default"}, {"resilience_restore_type": "time"}, "pg-a1"),
    ({"pg-a2": "standby"}, {}, "pg-a1"),
    ({"pg-a2": "default", "pg-b1": "required"}, {}, "pg-b1"),
    ({"pg-a2": "default"}, {"resilience_restore_member": "pg-b1"}, "pg-b1"),
    ({"pg-b1": "required"}, {"resilience_restore_member": "pg-a2"}, "refused"),
    ({"pg-b1": "required"}, {"resilience_restore_member": "pg-a2", "resilience_restore_type": "time"}, "pg-a2"),
    ({"pg-b1": "required"}, {"primary": "pg-a2"}, "pg-a2"),
)


def test_a_restore_goes_on_with_the_member_that_an_earlier_run_began_with(tmp_path: Path) -> None:
    """Each case is a host of one play."""
    [judges] = [play for play in plays("restore") if play["name"] == "Judge the request"]
    names = [task["name"] for task in judges["tasks"]]
    begin = names.index("It is known which member an earlier run began with")
    steps = judges["tasks"][begin : begin + 3]
    steps[0]["ansible.builtin.raw"] = steps[0]["ansible.builtin.raw"].replace(
        "/var/lib/fraiseql-resilience/", f"{tmp_path}/{{{{ inventory_hostname }}}}/{{{{ item.name }}}}/"
    )
    members = ["pg-a1", "pg-a2", "pg-b1"]
    hosts: dict[str, t.Any] = {name: {"ansible_connection": "local"} for name in members}
    for number, (holds, given, _member) in enumerate(BEGUN):
        for name, held in holds.items():
            folder = tmp_path / f"case{number}" / name
            (folder / "received-wal").mkdir(parents=True)
            if held == "required":
                (folder / "received-wal" / "required.json").touch()
            else:
                (folder / "restore.json").write_text(json.dumps({"options": [f"--type={held}", "--repo=1"]}))
        seen = [{"name": name, "ssh_answers": True} for name in members]
        cluster = {"primary": given.get("primary"), "timeline": None, "members": seen}
        hosts[f"case{number}"] = {"ansible_connection": "local", "cluster": cluster, **given}
    refused = {"block": steps, "rescue": [{"ansible.builtin.set_fact": {"restore": {"member": "refused"}}}]}
    play = {
        "hosts": "case*", "gather_facts": False, "vars": {"members": members, "repository_lost": False},
        "tasks": [refused, said(tmp_path, "{{ restore.member }}")],
    }  # fmt: skip
    assert run_here(tmp_path, play, hosts) == {f"case{number}": case[2] for number, case in enumerate(BEGUN)}


def test_clients_that_only_prove_the_service_end_by_themselves_where_nobody_is_left_to_end_them() -> None:
    [begin] = [task for task in task_file("service_proven") if includes(task, "clients_watched.yml")]
    [start] = [task["fraiseql.resilience.recovery_probe"] for task in task_file("clients_watched")
               if task.get("fraiseql.resilience.recovery_probe", {}).get("state") == "started"]  # fmt: skip
    assert begin["vars"]["longest_seconds"] <= 60
    assert "longest_seconds" in start["max_seconds"]
