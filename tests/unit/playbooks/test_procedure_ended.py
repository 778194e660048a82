# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedure of a runbook ends with, run for real after one that some host may not have got through."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from local_play import played

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

MEMBERS = ("pg-a1", "pg-a2")


def procedure(folder: Path, task: dict[str, t.Any], *options: str, **ends: t.Any) -> tuple[int, dict[str, t.Any]]:
    """How a run ended whose members do this one task, and the report of its evidence."""
    groups = {"members": MEMBERS, "observers": ("observer",)}
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                "orders": {"hosts": {host: {} for host in (*MEMBERS, "observer")}},
                **{name: {"hosts": {host: {} for host in hosts}} for name, hosts in groups.items()},
            },
        }
    }  # fmt: skip
    begin = {
        "ansible.builtin.include_tasks": str(catalogue.TOP / "playbooks" / "tasks" / "begin.yml"),
        "vars": {"operation": "respond", "runbook": "agent_down"},
    }
    plays = [
        {"hosts": "localhost", "gather_facts": False, "tasks": [begin]},
        {"hosts": "orders:&members", "gather_facts": False, "tasks": [task]},
        {"import_playbook": str(catalogue.RUNBOOKS / "end.yml"), "vars": {"runbook": "agent_down", **ends}},
    ]
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (folder / "procedure.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    named = ("-e", "resilience_cluster=orders", "-e", "resilience_confirm=orders")
    ended = played(folder, "procedure.yml", *named, *options)
    [report] = (folder / "evidence").glob("*/report.json")
    return ended.returncode, json.loads(report.read_text())


def test_it_ends_well_where_every_host_got_through(tmp_path: Path) -> None:
    rc, report = procedure(
        tmp_path, {"ansible.builtin.assert": {"that": "true"}}, left_untested=["Clients of gateway b"]
    )
    assert (rc, [check["verdict"] for check in report["checks"]]) == (0, ["passed"])
    assert report["not_tested"][1] == "Clients of gateway b"
    assert report["not_tested"][0].startswith("Whether the service is well")


@pytest.mark.parametrize(("options", "left_out"), [((), "pg-a2"), (("--limit", "localhost,pg-a1"), "observer, pg-a2")])
def test_it_does_not_end_well_without_a_host(tmp_path: Path, options: tuple[str, ...], left_out: str) -> None:
    fails_on_one = {"ansible.builtin.assert": {"that": "inventory_hostname != 'pg-a2'"}}
    rc, report = procedure(tmp_path, fails_on_one, *options)
    [check] = report["checks"]
    assert rc != 0
    assert (check["verdict"], check["reason"]) == ("failed", f"it did not end, or not well, on {left_out}")
