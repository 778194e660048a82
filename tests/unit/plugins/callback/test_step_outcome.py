# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step's run tells: what failed and why, what modules answered, and nothing that is not to be logged."""

from __future__ import annotations

import json
import typing as t

MARK = "fraiseql.resilience.rto_timer"


def test_a_run_tells_what_came_of_it(control: t.Any) -> None:
    gone = {"name": "Reach it", "ansible.builtin.command": "true", "delegate_to": "nowhere", "ignore_unreachable": True}
    gone["vars"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    asked = {"fraiseql.resilience.confirmation": {"cluster": "lab", "confirmation": "prod"}, "name": "Confirm"}
    tasks = [
        {"name": "Lint", "fraiseql.resilience.runbook_lint": {"today": "2026-11-26"}},
        {"name": "Hide", MARK: {"mark": "hunter2"}, "no_log": True, "check_mode": True},
        {"name": "Say", "ansible.builtin.debug": {"msg": ["a plan"]}},
        gone,
        {"name": "Fail", "ansible.builtin.fail": {"msg": "it is wet"}, "ignore_errors": True},
        asked,
    ]
    told = control.folder / "told.jsonl"
    environment = {
        "ANSIBLE_CALLBACKS_ENABLED": "fraiseql.resilience.step_outcome",
        "RESILIENCE_STEP_OUTCOME": str(told),
    }
    answer = control.play(tasks, **environment)
    assert answer.rc != 0, answer.stdout
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["begun", "answer", "shown", "unreachable", "failed", "answer", "failed",
                                                "ended"]  # fmt: skip
    assert lines[1]["result"]["verdict"] in ("passed", "failed", "unknown") and "invocation" not in lines[1]["result"]
    assert lines[2]["said"] == ["a plan"]
    assert lines[3]["ignored"] is True
    assert (lines[4]["said"], lines[4]["ignored"], lines[4]["asks"]) == ("it is wet", True, False)
    assert "the confirmation is for 'prod'" in lines[6]["said"] and lines[6]["asks"]
    assert lines[7]["hosts"] == ["observer"]
    assert "hunter2" not in told.read_text()


def test_nobody_is_told_where_nobody_asks(control: t.Any) -> None:
    tasks = [{"name": "Say", "ansible.builtin.debug": {"msg": "a plan"}}]
    answer = control.play(tasks, ANSIBLE_CALLBACKS_ENABLED="fraiseql.resilience.step_outcome")
    assert answer.rc == 0, answer.stdout
