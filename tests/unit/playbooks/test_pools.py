# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On whom runbook pool_exhausted looks for a pool's connections: its tasks, run before servers that only answer."""

from __future__ import annotations

import json
import os
import re
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from local_play import played

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

FOLDER = catalogue.RUNBOOKS / "pool_exhausted"
INCLUDE = "ansible.builtin.include_tasks"
MEMBERS = {"pg-a1": "primary", "pg-a2": "standby", "pg-b1": "standby", "pg-b2": "unseen"}
PORTS = {name: 5501 + number for number, name in enumerate(MEMBERS)}
#: Says which server it is asked, by its port, and for what; each has the same statement of a minute.
RUNUSER = """#!/bin/sh
printf '%s\\0' "$*" >> {log}
echo '[{{"pid": 7, "seconds": 60, "waits_for": "", "database": "o", "role": "r", "statement": "SELECT ?"}}]'
"""
STEPS = ("Look who holds them", "They are cancelled", "What goes on all the same ends with its session")


def healthz(*waiting: str) -> dict[str, t.Any]:
    """What a gateway's agent answers; nobody waits for the first pool."""
    pools = [{"componentId": "orders/idle", "observedValue": 0.0, "status": "pass", "output": ""}]
    pools += [{"componentId": name, "observedValue": 7.0, "status": "fail", "output": name} for name in waiting]
    return {"content": json.dumps({"checks": {"pgbouncer:waiting": pools}})}


def asked(folder: Path, **waiting: tuple[str, ...]) -> list[tuple[str, str, list[str]]]:
    """Of each member that was asked: what was done there, and for which pools, as it knows them."""
    (folder / "bin").mkdir()
    log, stub = folder / "asked", folder / "bin" / "runuser"
    stub.write_text(RUNUSER.format(log=log))
    stub.chmod(0o755)
    procedure = yaml.safe_load((FOLDER / "respond.yml").read_text())
    [free] = [play for play in procedure if "waited_for" in play.get("vars", {})]
    *_ask, seen = yaml.safe_load((FOLDER / "tasks" / "look.yml").read_text())
    tasks = [seen, *(task for task in free["tasks"] if task["name"] in STEPS)]
    for task in tasks:
        if INCLUDE in task:
            task[INCLUDE] = str((FOLDER / task[INCLUDE]).resolve())
    standing = [{"name": name, "standing": what} for name, what in MEMBERS.items()]
    answers = [{"gateway": name.replace("_", "-"), **healthz(*pools)} for name, pools in waiting.items()]
    known = {"cluster": {"primary": "pg-a1", "members": standing}, "gateways_asked": {"results": answers}}
    plays = [{"hosts": "gw-a", "gather_facts": False, "vars": {**free["vars"], **known}, "tasks": tasks}]
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    offered = {"gateway_readonly_databases": ["orders", "big orders"]}
    hosts: dict[str, t.Any] = {"gw-a": offered, "gw-b": {}}
    hosts |= {name: {"resilience_postgresql_port": port} for name, port in PORTS.items()}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"vars": local, "hosts": hosts}}))
    (folder / "plays.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    ended = played(folder, "plays.yml", PATH=f"{folder}/bin:{os.environ['PATH']}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [read(line) for line in log.read_text().split("\0") if line] if log.exists() else []


def read(line: str) -> tuple[str, str, list[str]]:
    [port] = re.findall(r"--port=(\d+)", line)
    [names] = re.findall(r"usename IN \((.*?)\)", line)
    done = re.search("pg_(cancel|terminate)_backend", line)
    member = next(name for name, its in PORTS.items() if its == int(port))
    return member, done[1] if done else "look", re.findall(r"'((?:[^']|'')*)'", names)


DONE = ("look", "cancel", "terminate")


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ({"gw_a": ("orders_readonly/app",)}, {"pg-a2": ["orders/app"], "pg-b1": ["orders/app"]}),
        (
            {"gw_a": ("big orders_readonly/o'brien", "orders/app_readonly/x")},
            {"pg-a1": ["orders/app_readonly/x"], "pg-a2": ["big orders/o''brien"], "pg-b1": ["big orders/o''brien"]},
        ),
        # That gateway has no readers: it is what the database is called.
        ({"gw_b": ("orders_readonly/app",)}, {"pg-a1": ["orders_readonly/app"]}),
        ({"gw_a": ()}, {}),
    ],
    ids=["readers", "both", "a database of that name", "nobody"],
)  # fmt: skip
def test_connections_of_a_pool_are_looked_for_where_it_leads(
    tmp_path: Path, waiting: dict[str, tuple[str, ...]], expected: dict[str, list[str]]
) -> None:
    found = asked(tmp_path, **waiting)
    assert found == [(member, done, pools) for done in DONE for member, pools in expected.items()]
