# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that is run again at once, while what its killed run began goes on by itself on the hosts.

The playbooks' own tasks, answered by Ansible; where one would ask a host's systemd or database, something else answers.
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from local_play import played

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

PLAYBOOKS = catalogue.TOP / "playbooks"
OURS = "fraiseql.resilience"


def in_order(items: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for item in items:
        yield item
        for key in ("tasks", "block"):
            yield from in_order(item.get(key, []))


def names(playbook: str) -> list[str]:
    """The tasks of a playbook in order."""
    found = in_order(yaml.safe_load((PLAYBOOKS / f"{playbook}.yml").read_text()))
    return [item["name"] for item in found if "hosts" not in item]


def named(playbook: str, name: str) -> dict[str, t.Any]:
    [task] = [
        one for one in in_order(yaml.safe_load((PLAYBOOKS / f"{playbook}.yml").read_text())) if one["name"] == name
    ]
    return task


def run(
    folder: Path,
    tasks: list[dict[str, t.Any]],
    variables: dict[str, t.Any],
    hosts: str = "observer",
    run_once: bool = True,
    **environment: str,
) -> tuple[int, str, dict[str, t.Any]]:
    """Exit code, what was said, and the variables named in ``keep``, of tasks that the observer is given, or others."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    known: dict[str, t.Any] = dict.fromkeys(("observer", "pg-a1", "pg-a2", "pg-b1"), local)
    known["pg-away"] = {**local, **away}
    play = {
        "hosts": hosts, "gather_facts": False, "any_errors_fatal": True, "run_once": run_once, "vars": variables,
        "tasks": tasks,
    }  # fmt: skip
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": known}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    ended = played(folder, "play.yml", **environment)
    kept = folder / "kept.json"
    return ended.returncode, " ".join(ended.stdout.split()), json.loads(kept.read_text()) if kept.exists() else {}


def tasks_of(name: str, **instead: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The tasks of a file, with another module in place of one of ours."""
    tasks: list[dict[str, t.Any]] = yaml.safe_load((PLAYBOOKS / "tasks" / name).read_text())
    for module, other in instead.items():
        for task in tasks:
            if task.pop(f"{OURS}.{module}", None) is not None:
                task.update(other)
    return tasks


def kept(folder: Path, expression: str) -> dict[str, t.Any]:
    return {"ansible.builtin.copy": {"content": f"{{{{ {expression} | to_json }}}}", "dest": f"{folder}/kept.json"}}


def member(name: str, standing: str, **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, "standing": standing, "senders": [], "ssh_answers": True, **more}


# Whoever is armed by an earlier run ----------------------------------------------------------------------------------


def test_nobody_is_armed_any_more_before_a_candidate_is_chosen() -> None:
    """Else the candidate of the killed run and that of this one both promote themselves."""
    order = names("switchover")
    assert order.index("Look at the cluster from outside") < order.index("Nobody is armed by an earlier run")
    assert order.index("Nobody is armed by an earlier run") < order.index("Choose the candidate")
    task = named("switchover", "Nobody is armed by an earlier run")
    assert task["ansible.builtin.include_tasks"] == "tasks/engine_manual/disarmed.yml"
    assert task["when"] == "cluster.engine == 'manual' and not ansible_check_mode"
    tasks = yaml.safe_load((PLAYBOOKS / "tasks" / "engine_manual" / "disarmed.yml").read_text())
    assert tasks[0][f"{OURS}.demotion"] == tasks[1][f"{OURS}.promotion"] == {"state": "disarmed"}


def disarmed(folder: Path, members: list[dict[str, t.Any]]) -> tuple[int, str, list[str]]:
    """What became of it, and on which hosts something was disarmed, in order."""
    note = {"ansible.builtin.shell": f"echo {{{{ item | default('primary') }}}} >> {folder}/disarmed"}
    tasks = tasks_of("engine_manual/disarmed.yml", promotion=note, demotion=note)
    code, said, _kept = run(folder, tasks, {"cluster": {"primary": "pg-a1", "members": members}})
    return code, said, (folder / "disarmed").read_text().split()


def test_each_standby_is_disarmed_and_the_primary_first(tmp_path: Path) -> None:
    primary = member("pg-a1", "primary", senders=[{"name": "pg-b1"}, {"name": "repo-a-receiver"}])
    code, said, done = disarmed(tmp_path, [primary, member("pg-a2", "standby"), member("pg-b1", "unseen")])
    assert code == 0, said
    assert done == ["primary", "pg-a2", "pg-b1"]


def test_a_standby_that_cannot_be_disarmed_refuses_the_switchover(tmp_path: Path) -> None:
    members = [member("pg-a1", "primary"), member("pg-away", "standby"), member("pg-a2", "standby")]
    code, said, done = disarmed(tmp_path, members)
    assert code != 0
    assert "pg-away may still be armed by an earlier run, and cannot be asked: " in said, said
    assert "Nothing was changed." in said
    assert done == ["primary", "pg-a2"]


def test_one_that_does_not_run_holds_no_switchover_up(tmp_path: Path) -> None:
    code, said, done = disarmed(tmp_path, [member("pg-a1", "primary"), member("pg-away", "unseen", ssh_answers=False)])
    assert (code, done) == (0, ["primary"]), said


# A move that goes on by itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("playbook", ["switchover", "rejoin"])
def test_a_hold_and_then_a_move_are_waited_for(playbook: str) -> None:
    order = names(playbook)
    found = [
        order.index(name)
        for name in (
            "What an earlier switchover holds is let go first",
            "Look at the cluster from outside",
            "A primary that an earlier run moves is waited for",
        )
    ]
    assert found == list(range(found[0], found[0] + 3))
    assert named(playbook, order[found[2]])["when"] == "cluster.primary is none"


@pytest.mark.parametrize(
    ("armed", "seconds"), [("demotion", 150), ("promotion", 150), ("nobody", 5)], ids=["stops", "follows", "lost"]
)
def test_a_primary_that_is_lost_is_not_waited_for_as_long_as_one_that_moves(
    tmp_path: Path, armed: str, seconds: int
) -> None:
    def answer(module: str) -> dict[str, t.Any]:
        """Only pg-a2 knows of something that is armed."""
        return {"ansible.builtin.command": "true", "changed_when": f"item == 'pg-a2' and {armed == module}"}

    tasks = tasks_of("move_awaited.yml", demotion=answer("demotion"), promotion=answer("promotion"))
    assert all(task.pop("check_mode") is True for task in tasks[:2]), "it asks, and disarms nobody"
    asked = tasks[-1].pop(f"{OURS}.cluster_info")
    tasks[-1]["ansible.builtin.debug"] = {"msg": asked["primary_within"]}
    seen = [member("pg-a1", "unseen"), member("pg-a2", "standby"), member("pg-away", "unseen")]
    code, said, found = run(
        tmp_path, [*tasks, kept(tmp_path, "{'within': cluster.msg}")], {"cluster": {"primary": None, "members": seen}}
    )
    assert code == 0, said
    assert int(found["within"]) == seconds


@pytest.mark.parametrize("gateway", ["pg-a1", "pg-away"], ids=["there", "away"])
def test_a_hold_is_waited_for_where_its_gateway_can_be_asked(tmp_path: Path, gateway: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "systemctl"
    program.write_text(
        f"#!/bin/sh\necho >> {tmp_path}/looks\n[ $(wc -l < {tmp_path}/looks) -gt 2 ] && echo inactive || echo active\n"
    )
    program.chmod(0o755)
    code, said, _kept = run(
        tmp_path, tasks_of("hold_awaited.yml"), {"gateway": gateway}, PATH=f"{programs}:/usr/bin:/bin"
    )
    assert code == 0, said
    assert not (tmp_path / "looks").exists() if gateway == "pg-away" else (tmp_path / "looks").read_text() == "\n" * 3


def test_a_hold_that_lasts_is_not_passed_over(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text("#!/bin/sh\necho active\n")
    (programs / "systemctl").chmod(0o755)
    [task] = tasks_of("hold_awaited.yml")
    task["retries"] = 1
    code, said, _kept = run(tmp_path, [task], {"gateway": "pg-a1"}, PATH=f"{programs}:/usr/bin:/bin")
    assert code != 0, said


def test_a_host_that_does_not_say_whether_it_is_armed_is_not_taken_for_one_that_is_not(tmp_path: Path) -> None:
    dumb = {"ansible.builtin.fail": {"msg": "systemctl gave no answer within 10 s and was killed"}}
    tasks = tasks_of("move_awaited.yml", demotion=dumb, promotion=dumb)[:1]
    seen = [member("pg-a2", "standby")]
    code, said, _kept = run(tmp_path, tasks, {"cluster": {"primary": None, "members": seen}})
    assert code != 0, said
    assert "gave no answer" in said


# Hosts that greet, and let nobody in ---------------------------------------------------------------------------------

ASKED = {
    "rejoin": ("It is known which hosts were made again, and not to the end", "unfinished"),
    "restore": ("It is known which member an earlier run began with", "earlier"),
}


@pytest.mark.parametrize("playbook", ASKED)
def test_a_host_that_cannot_be_asked_does_not_end_the_play(tmp_path: Path, playbook: str) -> None:
    name, answers = ASKED[playbook]
    task = named(playbook, name)
    seen = [member("pg-away", "unseen"), member("pg-a2", "standby")]
    known = {"cluster": {"primary": None, "members": seen}, "members": ["pg-a2", "pg-away"]}
    found = f"{{'said': {answers}.results | selectattr('rc', 'defined') | map(attribute='item.name')}}"
    code, said, asked = run(tmp_path, [task, kept(tmp_path, found)], known)
    assert code == 0, said
    assert asked == {"said": ["pg-a2"]}


@pytest.mark.parametrize("still", ["", "pg-a2"])
def test_a_drill_looks_on_past_a_host_that_is_down_and_not_past_a_fault_that_stays(tmp_path: Path, still: str) -> None:
    """Who is down is named by the look at the cluster, with what to do."""
    [play] = [one for where, one in plays() if where.endswith("an earlier drill has left that was cut off")]
    ended, judged = play["tasks"][1:]
    ended["ansible.builtin.include_tasks"] = {"file": "undo.yml", **ended.pop("ansible.builtin.include_role")}
    del ended["ansible.builtin.include_tasks"]["name"], ended["ansible.builtin.include_tasks"]["tasks_from"]
    undo = {"ansible.builtin.command": "true", "failed_when": f"inventory_hostname == '{still}'"}
    (tmp_path / "undo.yml").write_text(yaml.safe_dump([undo]))
    code, said, _kept = run(tmp_path, [ended, judged], {}, hosts="all", run_once=False)
    assert (code == 0) == (still == ""), said
    assert ("could not be ended on pg-a2, " in said) == (still == "pg-a2")


def plays() -> list[tuple[str, dict[str, t.Any]]]:
    """Every play of every playbook, by where it is."""
    return [
        (f"{path.relative_to(PLAYBOOKS)}: {play.get('name')}", play)
        for path in sorted(PLAYBOOKS.rglob("*.yml"))
        for play in yaml.safe_load(path.read_text()) or []
        if isinstance(play, dict) and "hosts" in play
    ]


def test_what_is_to_go_on_without_a_host_does_so_in_a_play_that_ends_with_one() -> None:
    """Ansible ends such a play at a host that cannot be reached, ignored or not."""
    ending = [(where, play) for where, play in plays() if play.get("run_once") or play.get("any_errors_fatal")]
    found = [
        f"{where}: {task['name']}"
        for where, play in ending
        for task in in_order(play.get("tasks", []))
        if task.get("ignore_unreachable")
        and not (task.get("run_once") is False and task.get("any_errors_fatal") is False)
    ]
    assert ending
    assert found == []


# A backup that goes on by itself -------------------------------------------------------------------------------------


def test_a_backup_that_runs_is_waited_for_before_it_is_judged_which_are_missing() -> None:
    order = names("rotate_repository_key")
    begin = order.index("A backup that runs already has ended")
    assert order[begin + 1 : begin + 3] == [
        "Look at what can be restored with the new key",
        "It is known where a full backup is missing",
    ]
    asked = named("rotate_repository_key", order[begin])[f"{OURS}.pgbackrest_backup"]
    assert (asked["state"], asked["wait"]) == ("awaited", "{{ pgbackrest_backup_timeout }}")
    taken = named("rotate_repository_key", "Each repository of the new key holds a full backup")
    assert taken[f"{OURS}.pgbackrest_backup"]["wait"] == "{{ pgbackrest_backup_timeout }}"
    first = yaml.safe_load((PLAYBOOKS / "tasks" / "backed_up.yml").read_text())[0]
    assert first[f"{OURS}.pgbackrest_backup"]["wait"] == "{{ pgbackrest_backup_timeout | default(86400) }}"


#: What the repository host holds beside a full backup in repository 1, and whether room for another one is asked for.
ROOM: dict[str, tuple[list[int], list[int], bool, bool]] = {
    "the first run": ([1, 2], [], False, True),
    "another backup runs": ([1, 2], [], True, True),
    "the new repository is empty": ([1, 2, 11, 12], [], False, True),
    "its backup is being taken": ([1, 2, 11, 12], [], True, False),
    "it has its backup": ([1, 2, 11, 12], [11], False, False),
    "only the object store has": ([1, 2, 11, 12], [12], False, True),
}


@pytest.mark.parametrize("case", ROOM)
def test_room_is_asked_for_only_where_a_backup_is_still_to_be_taken(tmp_path: Path, case: str) -> None:
    repositories, backed_up, runs, asked = ROOM[case]
    held = {
        "repositories": [{"repo": repo} for repo in repositories],
        "backups": [{"repo": repo, "type": "full", "repository_size": 1000} for repo in [1, *backed_up]],
        "backup_running": runs,
    }
    rotation = {"begun": False, "new": [11, 12]}
    known = {"rotation": rotation, "held": held, "room": {"stdout_lines": ["Avail", "1200"]}}
    code, said, _kept = run(
        tmp_path, [named("rotate_repository_key", "The disk has room for another full backup")], known
    )
    assert (code != 0) == asked, said
    assert not asked or "a full backup takes" in said


# A failover ----------------------------------------------------------------------------------------------------------


def test_a_receiver_that_a_killed_run_detached_follows_again() -> None:
    """Also where the next run finds the new primary, and so does nothing of what leads there."""
    plays = yaml.safe_load((PLAYBOOKS / "failover.yml").read_text())
    order = [task["name"] for task in plays[-1]["tasks"]]
    begin = order.index("Take over, unless an earlier run did")
    assert order[begin + 1 : begin + 3] == ["The receiver follows the new primary", "Protect the cluster again"]
    task = named("failover", "The receiver follows the new primary")
    assert task["when"] == "cluster.engine == 'manual' and not repository_lost"


@pytest.mark.parametrize(("primary", "refused"), [("pg-a2", False), ("pg-b1", True), (None, True)])
def test_a_promotion_that_goes_on_meanwhile_is_gone_on_with(tmp_path: Path, primary: str | None, refused: bool) -> None:
    """The receiver follows the new timeline by then, which the candidate was not on when it was chosen."""
    tasks = tasks_of("received_wal_carried.yml")
    asked = [task for task in tasks if f"{OURS}.cluster_info" in task]
    assert [task["when"] for task in asked] == [
        "received.packed is not defined and resilience_accept_loss | default('') | length == 0"
    ]
    known = {
        "plan": {"candidate": "pg-a2", "candidate_lsn": "0/5"},
        "repository": "repo",
        "received": {"msg": "it holds WAL of timeline 4"},
        "overtaken": {"primary": primary},
    }
    code, said, _kept = run(tmp_path, [task for task in tasks[1:] if task not in asked], known)
    assert (code != 0) == refused, said
    assert not refused or "may hold acknowledged rows that pg-a2 does not have" in said


# A drill -------------------------------------------------------------------------------------------------------------


def test_why_nobody_could_look_before_a_drill_is_told(tmp_path: Path) -> None:
    task = named("drills/scenario", "Wait until what a drill before has left is over")
    look = task["block"][0]
    look.pop(f"{OURS}.detection", None)
    look["ansible.builtin.fail"] = {"msg": "no observer answers."}
    code, said, _kept = run(tmp_path, [task], {})
    assert code != 0
    assert "no observer answers. No fault was made." in said, said
