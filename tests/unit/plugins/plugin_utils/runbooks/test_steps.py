# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which playbook or module does a step, and on which hosts."""

from __future__ import annotations

import json
import os
import types
import typing as t
from pathlib import Path

import pytest
from sample_runbook import SCHEMA, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import parsed
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import steps
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.hands import Hands
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Cluster, Prepared, Steps

LAB = Cluster("lab", ["pg-a1", "pg-b1", "obs"], {"members": "databases", "observers": "observers"})


def prepared(
    task: dict[str, t.Any],
    own: dict[str, str] | None = None,
    approval: str | None = None,
    **parameters: t.Any,
) -> Prepared:
    given = document()
    step(given, "look")["task"] = task
    book = parsed(given, SCHEMA, "cellar_wet")
    now = walk.standing({"cellar_wet": book}, "cellar_wet", [])
    outer = t.cast("t.Any", types.SimpleNamespace())
    known = {"CLUSTER": "lab", **parameters}
    return Steps(outer, LAB, known, {"cellar_wet": own or {}}, approval, lambda _line: None).prepared(now)


def test_a_playbook_of_the_collection_gets_its_variables() -> None:
    found = prepared({"playbook": "failover", "check": True, "variables": {"resilience_cluster": "$CLUSTER"}})
    assert found == Prepared("fraiseql.resilience.failover", {"resilience_cluster": "lab"}, True, 60, False)


def test_a_playbook_of_its_own_folder_goes_before_one_of_the_collection() -> None:
    assert prepared({"playbook": "verify"}).playbook == "fraiseql.resilience.verify"
    own = {"verify": "/srv/books/cellar_wet/verify.yml"}
    assert prepared({"playbook": "verify"}, own).playbook == "/srv/books/cellar_wet/verify.yml"
    assert prepared({"playbook": "status"}, own).playbook == "fraiseql.resilience.status"


@pytest.mark.parametrize(
    ("host", "pattern"),
    [
        ("control", "localhost"),
        ("observers", "lab:&observers"),
        ("members", "lab:&databases"),
        ("$HOST", "pg-a1,pg-b1"),
    ],
)
def test_a_module_is_run_on_the_clusters_own_hosts(host: str, pattern: str) -> None:
    found = prepared(
        {"module": "certificate_info", "host": host, "variables": {"min_days": 21}}, HOST=["pg-a1", "pg-b1"]
    )
    [play] = t.cast("list[dict[str, t.Any]]", found.playbook)
    assert play["hosts"] == pattern
    assert play["tasks"][0]["fraiseql.resilience.certificate_info"] == {"min_days": 21}


def test_a_host_of_another_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="lab has no such host") as refused:
        prepared({"module": "certificate_info", "host": "$HOST"}, HOST="pg-x9")
    assert refused.value.possible == "obs, pg-a1, pg-b1"


def test_by_hand_several_hosts_are_what_they_are_to_a_playbook() -> None:
    now = walk.standing({"cellar_wet": parsed(document(), SCHEMA, "cellar_wet")}, "cellar_wet", [])
    known = {"CLUSTER": "lab", "HOST": ["pg-a1", "pg-b1"]}
    found = Hands(t.cast("t.Any", None), LAB, known, {}, None, lambda _line: None).prepared(now)
    [play] = t.cast("list[dict[str, t.Any]]", found.playbook)
    assert (play["hosts"], play["environment"]) == ("pg-a1,pg-b1", {"CLUSTER": "lab", "HOST": "pg-a1,pg-b1"})


def test_an_approval_goes_to_the_operation_that_it_is_for_and_to_no_other(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"operation": "failover"}))
    assert prepared({"playbook": "failover"}, approval=str(request)).variables == {}
    assert prepared({"playbook": "rejoin"}, approval=str(request)).variables == {"resilience_approval": ""}
    # What cannot be read is told by whoever asks for it.
    assert prepared({"playbook": "rejoin"}, approval=str(tmp_path / "gone.json")).variables == {}


def test_the_last_words_of_a_step_that_ends_while_it_is_looked_at_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whom it left behind holds its output open, so that has no end."""
    monkeypatch.setattr(steps, "LOOK_SECONDS", 0)
    reads, writes = os.pipe()

    class Ending:
        stdout = os.fdopen(reads, "rb")
        ended = False

        def poll(self) -> int:
            if not self.ended:
                os.write(writes, b"why it failed\n")
            self.ended = True
            return 2

    with Ending.stdout:
        assert [line for line in steps._lines(t.cast("t.Any", Ending())) if line] == ["why it failed"]
    os.close(writes)
