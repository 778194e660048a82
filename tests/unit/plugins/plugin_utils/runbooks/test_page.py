# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook's page shows its decisions, both ways of each step, and what may be lost."""

from __future__ import annotations

import shlex

import pytest
from ansible.parsing.splitter import parse_kv
from sample_runbook import SCHEMA, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, Task, parsed
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import page


@pytest.fixture
def book() -> Runbook:
    return parsed(document(), SCHEMA, "cellar_wet")


def test_the_diagram_has_each_step_and_each_way(book: Runbook) -> None:
    drawn = page.diagram(book)
    assert 's1{"Does it still rise?"}' in drawn
    assert 's3[["The water is drained"]]' in drawn
    assert 's5(["The cellar is dry"])' in drawn
    assert 's0 -->|"success"| s4' in drawn
    assert 's0 -->|"failure or unknown"| s1' in drawn
    assert 's1 -->|"it rises"| s3' in drawn
    assert 's1 -.->|"unknown"| s6' in drawn
    assert 's2 -->|"in any case"| s3' in drawn
    assert "class s3 destructive" in drawn


def test_words_do_not_end_a_label() -> None:
    given = document()
    step(given, "choose")["title"] = 'Is "it" < 3 & rising?'
    assert '{"Is #quot;it#quot; #lt; 3 #amp; rising?"}' in page.diagram(parsed(given, SCHEMA, "cellar_wet"))


def test_both_ways_of_a_step_stand_side_by_side(book: Runbook) -> None:
    text = page.page(book, {})
    assert "<th>with Ansible</th><th>by hand</th>" in text
    assert "# DR: cellar_wet/look\n# on $HOST\nsystemctl status pump@a.service | head -5\n```" in text
    assert "Not by hand: the wheel is rusty" in text
    assert "**Can be undone**; approved by one person. Way back: pour it back" in text
    assert "Keep: how high it stands." in text
    assert "- failure → 7. Call the plumber" in text
    assert text.startswith("# The cellar is wet\n")


def test_what_commands_take_for_granted_is_said_once(book: Runbook) -> None:
    assert "By hand: " not in page.page(book, {})
    given = document()
    for name in ("look", "dry"):
        step(given, name)["command"] = [{"host": "$HOST", "run": "curl --silent http://$HOST:8008/livez"}]
    text = page.page(parsed(given, SCHEMA, "cellar_wet"), {})
    assert text.count("By hand: agents answer on port 8008, under the names of the inventory") == 1
    assert "6432" not in text


def test_what_it_is_about_stands_above(book: Runbook) -> None:
    text = page.page(book, {})
    assert "**sev1**: sev1 while corks float" in text
    assert "[CellarWet](../alerts.md#cellarwet)" in text
    assert "water stands:\n\n```promql\nsum by (rack) (water_litres) > 3\n```" in text
    assert "back within 600 s" in text and "| longest way | 600 s" in text
    assert "| recovery | 420 s | the house is told when it is dry |" in text
    assert "| plumber | 600 s | the pumps |" in text
    assert "[docs/cellar.md#pumps](../../docs/cellar.md#pumps), <https://example.org/corks>" in text


def test_a_task_is_typed_so_that_ansible_reads_each_value_as_one() -> None:
    variables = {"resilience_cluster": "$CLUSTER", "resilience_accept_loss": "it is $WHY", "keep": True, "type": "full"}
    typed = page.typed(Task("drain", None, "control", True, variables), {})
    words = shlex.split(typed.replace("\\\n", " "))
    assert words[:4] == ["ansible-playbook", "-i", "inventory.yml", "fraiseql.resilience.drain"]
    assert words[-1] == "--check"
    filled = [word.replace("$WHY", "the cellar's, too").replace("$CLUSTER", "orders") for word in words[5:-1:2]]
    assert [parse_kv(word) for word in filled] == [
        {"resilience_cluster": "orders"}, {"resilience_accept_loss": "it is the cellar's, too"},
        {"keep": "true"}, {"type": "full"},
    ]  # fmt: skip


def test_a_playbook_of_its_own_folder_is_called_by_its_place() -> None:
    own = {name: f"fraiseql.resilience.runbooks.cellar_wet.{name}" for name in ("respond", "verify")}
    verify = Task("verify", None, "control", False, {})
    assert page.typed(verify, own).endswith(" fraiseql.resilience.runbooks.cellar_wet.verify")
    assert page.typed(verify, {}).endswith(" fraiseql.resilience.verify")
    given = document()
    step(given, "drain")["task"]["playbook"] = "respond"
    text = page.page(parsed(given, SCHEMA, "cellar_wet"), own)
    assert "ansible-playbook -i inventory.yml fraiseql.resilience.runbooks.cellar_wet.respond \\\n" in text


def test_a_module_runs_on_the_clusters_hosts_of_a_group() -> None:
    typed = page.typed(Task(None, "level_info", "observers", False, {"rack": "$CLUSTER", "most": 3}), {})
    assert shlex.split(typed.replace("\\\n", " ")) == [
        "ansible", "-i", "inventory.yml", "$CLUSTER:&observers", "-m", "fraiseql.resilience.level_info",
        "-a", "rack='$CLUSTER' most=3",
    ]  # fmt: skip
    assert '"$HOST"' in page.typed(Task(None, "level_info", "$HOST", False, {}), {})


def test_the_index_has_a_row_for_each_by_severity(book: Runbook) -> None:
    mild = parsed(document(id="attic_wet", severity={"level": "sev3", "rule": "always"}), SCHEMA, "attic_wet")
    rows = page.index([mild, book]).splitlines()[2:]
    assert [row.split("|")[2].strip() for row in rows] == ["sev1", "sev3"]
    assert "[cellar_wet](cellar_wet.md): The cellar is wet" in rows[0] and "| 600 s | 0 s | manual |" in rows[0]
