# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two primaries stays, and what is said before one moves: the runbook's expressions, answered by Ansible."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from local_play import played

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import topology
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

FOLDER = catalogue.RUNBOOKS / "split_brain"
WAITS = 'ANY 1 ("pg-a2", "repo-a-receiver")'


def tasks(items: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for item in items:
        yield item
        yield from tasks(item.get("block", []))


def said(folder: Path, asserted: dict[str, t.Any], cases: t.Iterable[dict[str, t.Any]]) -> list[str]:
    """What the task says in each case, which has variables of its own; nothing where it is content."""
    task = {**asserted, "ignore_errors": True, "register": "said"}
    keep = {
        "ansible.builtin.set_fact": {"all_said": "{{ all_said | default([]) + [said.msg if said is failed else ''] }}"}
    }
    plays = [{"hosts": "gw-a", "gather_facts": False, "vars": case, "tasks": [task, keep]} for case in cases]
    write = {
        "ansible.builtin.copy": {"content": "{{ all_said | to_json }}", "dest": f"{folder}/said.json", "mode": "0600"}
    }
    plays.append({"hosts": "gw-a", "gather_facts": False, "tasks": [write]})
    hosts = ("gw-a", "gw-b", "pg-a1", "pg-b1")
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                "orders": {"hosts": {host: {} for host in hosts}, "vars": {"resilience_cluster": "orders"}},
                "gateways": {"hosts": {"gw-b": {}, "gw-a": {}}},
            },
        }
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (folder / "plays.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    ended = played(folder, "plays.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return t.cast("list[str]", json.loads((folder / "said.json").read_text()))


def primary(name: str, *followers: str, waits_for: str = WAITS) -> dict[str, t.Any]:
    senders = [{"name": one, "state": "streaming"} for one in followers]
    return {"name": name, "standing": "primary", "senders": senders, "synchronous_standby_names": waits_for}


#: Two primaries, who is named, and what has to be said of it.
SPLITS: dict[str, tuple[list[dict[str, t.Any]], str, str]] = {
    "the other one waits, and nobody follows it": ([primary("pg-a1", "pg-a3"), primary("pg-a2")], "", ""),
    # After a failover into the other region, its primary is alone there: clients wrote to it, and who came back is
    # followed.
    "the other one is alone in its region": (
        [primary("pg-a1", "pg-a2"), primary("pg-b1", waits_for="")], "",
        "pg-b1 waits for nobody and may have acknowledged alone",
    ),
    "nobody is waited for": (
        [primary("pg-a1", "pg-a2", waits_for=""), primary("pg-b1", waits_for="")], "", "pg-b1 waits for nobody",
    ),
    "the one that stays is alone in its region": ([primary("pg-b1", "pg-a2", waits_for=""), primary("pg-a1")], "", ""),
    "somebody knows": ([primary("pg-a1", "pg-a2"), primary("pg-b1", waits_for="")], "pg-a1", ""),
    "a base backup is nobody who follows": (
        [primary("pg-a1"), primary("pg-a2", "pg_basebackup")], "", "others follow neither",
    ),
    "one primary is left": ([primary("pg-b1", waits_for="")], "", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    [play] = [
        one for one in yaml.safe_load((FOLDER / "respond.yml").read_text()) if "giving_way" in one.get("vars", {})
    ]
    [plain] = [task for task in play["tasks"] if task["name"] == "It is plain who stays"]
    cases = [
        {**play["vars"], "split": {"members": members}, "resilience_lost_primary": named}
        for members, named, _expected in SPLITS.values()
    ]
    return dict(zip(SPLITS, said(tmp_path_factory.mktemp("split"), plain, cases), strict=True))


@pytest.mark.parametrize("name", SPLITS)
def test_who_stays_is_plain_where_the_other_one_cannot_have_acknowledged_alone(
    answers: dict[str, str], name: str
) -> None:
    expected = SPLITS[name][2]
    assert (expected in answers[name]) if expected else answers[name] == ""


@pytest.fixture(scope="module")
def moves() -> dict[str, t.Any]:
    """What is done where the primary has to move."""
    [found] = [one for one in yaml.safe_load((FOLDER / "tasks" / "timeline_renewed.yml").read_text()) if "block" in one]
    found["vars"] |= {"cluster": {"primary": "pg-a1", "timeline": 3, "hazards": []}, "next_timeline": 4}
    return t.cast("dict[str, t.Any]", found)


def test_clients_of_another_gateway_are_not_forgotten_while_the_primary_moves(
    moves: dict[str, t.Any], tmp_path: Path
) -> None:
    [heard] = [task for task in tasks(moves["block"]) if "Every client can be held" in task["name"]]
    known = moves["vars"]
    refused, accepted = said(tmp_path, heard, [known, {**known, "resilience_accept_unheld": "readers"}])
    assert "gw-a would hold its clients meanwhile; those of gw-b would not be held" in " ".join(refused.split())
    assert accepted == ""


def test_clients_whose_commits_nobody_confirms_are_not_held(moves: dict[str, t.Any], tmp_path: Path) -> None:
    """The region's only other member was promoted by mistake, and is fenced now."""
    [heard] = [task for task in tasks(moves["block"]) if "confirms its commits" in task["name"]]
    left = topology.Member(
        "pg-a1", "a", topology.Standing.PRIMARY, synchronous_standby_names='ANY 1 ("pg-a2")',
        senders=[{"name": "pg-b1", "state": "streaming", "sync_state": "async"}],
    )  # fmt: skip
    hazards = [one.as_dict() for one in topology.hazards([left])]
    known = {key: value for key, value in moves["vars"].items() if key != "cluster"}
    cases = [{**known, "cluster": {"primary": "pg-a1", "hazards": found}} for found in (hazards, [])]
    refused, accepted = said(tmp_path, heard, cases)
    assert "nobody of 'ANY 1 (\"pg-a2\")' streams: commits on pg-a1 wait" in refused and accepted == ""
    assert "Until then nobody restarts a member" in refused
