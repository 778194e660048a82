# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runbooks can be drilled, and which somebody can be trained with."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from sample_runbook import document

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.plugin_utils import scenarios
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

FAULT = "- include_tasks: ../../tasks/fault.yml\n"


def runbook(directory: Path, name: str, *, inject: str | None = None, **changed: t.Any) -> None:
    folder = directory / "runbooks" / name
    folder.mkdir(parents=True)
    (folder / "runbook.yml").write_text(yaml.safe_dump(document(id=name, **changed)))
    if inject is not None:
        (folder / "inject.yml").write_text(inject)
        for other in ("respond.yml", "verify.yml"):
            (folder / other).write_text("[]\n")


@pytest.fixture
def playbooks(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/fault.yml").write_text("- include_role:\n    tasks_from: fault.yml\n")
    patroni = {"postgresql": [15], "engines": ["patroni"], "topology": "three members"}
    runbook(tmp_path, "whole", inject=FAULT)
    runbook(tmp_path, "for_ever", inject="- include_role: {tasks_from: host_lost.yml}\n")
    runbook(tmp_path, "primary_crash")
    runbook(tmp_path, "only_text")
    runbook(tmp_path, "other_engine", inject=FAULT, applies_to=patroni)
    runbook(tmp_path, "broken", inject=FAULT, steps="none")
    return tmp_path / "runbooks"


def test_what_can_be_drilled(playbooks: Path) -> None:
    found = scenarios.drilled(playbooks, "manual")
    assert sorted(found.possible) == ["for_ever", "primary_crash", "whole"]
    assert found.left_out["only_text"] == "its folder has no inject.yml, respond.yml, verify.yml"
    assert found.left_out["other_engine"] == "it is not for the engine manual"
    assert "broken" in found.left_out
    assert "other_engine" in scenarios.drilled(playbooks, None).possible


def test_who_is_trained_needs_a_fault_that_is_undone_in_any_case(playbooks: Path) -> None:
    found = scenarios.trained(playbooks, "patroni")
    assert list(found.possible) == ["other_engine"]
    found = scenarios.trained(playbooks, "manual")
    assert list(found.possible) == ["whole"]
    assert found.left_out["for_ever"] == "nothing undoes its fault but its procedure"
    assert found.left_out["primary_crash"] == "its folder has no inject.yml, respond.yml, verify.yml"


def test_a_folder_without_runbooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no runbook"):
        scenarios.drilled(tmp_path, None)


def test_somebody_can_be_trained_with_those_that_are_shipped() -> None:
    found = scenarios.trained(catalogue.RUNBOOKS, "manual")
    assert "replay_paused" in found.possible
    assert "region_lost" in found.left_out
    assert {"region_lost", "replay_paused", "data_loss"} <= set(
        scenarios.drilled(catalogue.RUNBOOKS, "manual").possible
    )
